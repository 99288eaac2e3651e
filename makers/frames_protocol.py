"""Which frames a training takes from the runs of a sweep, as part of a section of its file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ..stores.training import SplitBy
from .frame_sample import FrameSampleMaker
from .labelled_set import LabelledSetMaker
from .training_set import TrainingSetMaker


class FramesProtocol(BaseModel):
    """Frames of runs, packings and crystals, labelled and split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    teacher: str | None = Field(None, description="Labels all frames; default: stages.md.")
    frames_per_run: int = Field(60, ge=1, description="Independent frames of a run, at most.")
    least_distance: float = Field(0.4, ge=0, description="Of two frames' fingerprints.")
    packing_density_scales: tuple[float, ...] = Field(
        (0.7, 0.85, 1.0, 1.15), description="Random packings, over the components' density."
    )
    packing_n_atoms: int = Field(84, ge=4, description="Atoms in a packing.")
    strains: tuple[float, ...] = Field(
        (-0.04, -0.02, 0.0, 0.02, 0.04, 0.08), description="Linear, of crystals."
    )
    rattles_a: tuple[float, ...] = Field((0.05, 0.15), description="Displacements in crystals, A.")
    max_force_ev_a: float = Field(25.0, gt=0, description="Frames with stronger ones are left out.")
    validation_fraction: float = Field(0.1, gt=0, lt=0.5, description="Whole trajectories.")
    test_fraction: float = Field(0.1, gt=0, lt=0.5, description="Whole trajectories.")
    split_by: SplitBy = Field(
        "glass",
        description="Whole glasses go to a split, where there are five or more; or whole runs.",
    )
    most_labels: int = Field(
        200, ge=3, le=9999, description="Frames that VASP labels, at most: the most different."
    )
    least_labelled: float = Field(
        0.9, gt=0, le=1, description="Share of these that must get a label of VASP."
    )
    seed: int = Field(1, ge=1, description="Of the training, packings and runs.")

    @property
    def asks_while_learning(self) -> bool:
        """Whether the training itself asks the teacher for labels."""
        return False

    def sample(self) -> FrameSampleMaker:
        """Return the Maker of frames that are labelled one by one."""
        return FrameSampleMaker(
            frames_per_run=self.frames_per_run,
            least_distance=self.least_distance,
            packing_density_scales=self.packing_density_scales,
            packing_n_atoms=self.packing_n_atoms,
            strains=self.strains,
            rattles_a=self.rattles_a,
            most_frames=self.most_labels,
            seed=self.seed,
        )

    def labelled_set(self, teacher: str) -> LabelledSetMaker:
        """Return the Maker of the set that their labels by `teacher` make."""
        return LabelledSetMaker(
            level=teacher,
            least_labelled=self.least_labelled,
            max_force_ev_a=self.max_force_ev_a,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
            split_by=self.split_by,
        )

    def training_set(self, teacher: str) -> TrainingSetMaker:
        """Return the Maker of the frames, labelled by `teacher`."""
        return TrainingSetMaker(
            level=teacher,
            frames_per_run=self.frames_per_run,
            least_distance=self.least_distance,
            packing_density_scales=self.packing_density_scales,
            packing_n_atoms=self.packing_n_atoms,
            strains=self.strains,
            rattles_a=self.rattles_a,
            max_force_ev_a=self.max_force_ev_a,
            validation_fraction=self.validation_fraction,
            test_fraction=self.test_fraction,
            split_by=self.split_by,
            seed=self.seed,
        )
