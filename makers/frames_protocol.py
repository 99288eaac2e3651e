"""Which frames a training takes from the runs of a sweep, as part of a section of its file."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from ..stores.training import SplitBy
from .frame_sample import FrameSampleMaker
from .labelled_set import LabelledSetMaker
from .training_set import TrainingSetMaker

if TYPE_CHECKING:
    from .step import StepMaker


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
        return FrameSampleMaker(most_frames=self.most_labels, **self._settings_of(FrameSampleMaker))

    def labelled_set(self, teacher: str) -> LabelledSetMaker:
        """Return the Maker of the set that their labels by `teacher` make."""
        return LabelledSetMaker(level=teacher, **self._settings_of(LabelledSetMaker))

    def training_set(self, teacher: str) -> TrainingSetMaker:
        """Return the Maker of the frames, labelled by `teacher`."""
        return TrainingSetMaker(level=teacher, **self._settings_of(TrainingSetMaker))

    def _settings_of(self, maker: type[StepMaker]) -> dict[str, Any]:
        """Return the values of the section that a Maker has by the same names."""
        names = {field.name for field in fields(maker)} & FramesProtocol.model_fields.keys()
        return {name: getattr(self, name) for name in names}
