"""The document of a training set: which frames, from where, labelled by what, split how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..quantity import Quantity  # noqa: TC001  (pydantic reads it at run time)
from .documents import Model, StepDocument

Split = Literal["train", "validation", "test"]
SplitBy = Literal["glass", "run"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class FrameGroup(Model):
    """Frames of one trajectory, or one independent packing or distorted crystal.

    A group lies in one split as a whole.
    """

    name: str = Field(description="Stands in each frame of the files as `trajectory`.")
    origin: str = Field(description="Kind of step, 'packing' or 'crystal'.")
    source: str = Field(description="Identity of the step, or hash of the crystal or mixture.")
    start: str = Field(
        "", description="What its run began with, which runs of one glass share; or not known."
    )
    formula: str
    split: Split
    n_frames: int
    n_offered: int = Field(description="Frames before duplicates and strong forces were left out.")
    stride: int = Field(description="Frames between two that count as independent.")
    temperature_k: tuple[float, float] | None = Field(description="Of its frames, from and to.")
    density_g_cm3: tuple[float, float]


class DataDomain(Model):
    """What a set of frames covers."""

    elements: list[str]
    formulas: list[str] = Field(description="Reduced.")
    temperature_k: tuple[float, float] | None
    density_g_cm3: tuple[float, float]


class FrameSampleDocument(StepDocument):
    """Frames that are to be labelled one by one, in a file of extended XYZ."""

    kind: Literal["frame_sample"] = "frame_sample"
    content_hash: str = Field(description="Of the file.")
    n_frames: int
    n_duplicates: int
    n_left_over: int = Field(description="Frames left out for more different ones.")
    groups: list[FrameGroup] = Field(description="Not divided yet: all are of one split.")
    domain: DataDomain


class FrameLabelDocument(StepDocument):
    """Energy, forces and stress of one frame of a sample, in a file of extended XYZ."""

    kind: Literal["label"] = "label"
    level: str
    level_sha256: str = Field(description="Of the settings of that level.")
    sample_hash: str = Field(description="Content hash of the sample.")
    number: int = Field(description="Of the frame in the sample, from 1.")
    trajectory: str = Field(description="The group of the frame; empty where there is none.")
    failure: str = Field("", description="Why the frame has no label.")
    energy_ev_per_atom: Quantity | None = Field(
        None, description="Free energy, whose derivatives the forces are."
    )
    max_force_ev_a: float | None = None
    max_stress_gpa: float | None = None


class TrainingSetDocument(StepDocument):
    """Labelled frames for the training of a potential, in files of extended XYZ."""

    kind: Literal["training_set"] = "training_set"
    level: str
    level_sha256: str = Field(description="Of the weights that gave the labels.")
    content_hash: str = Field(description="Of the files of all splits.")
    handed_from: str = Field("", description="The set that this one is, where none was added.")
    n_frames: dict[str, int] = Field(description="Per split.")
    n_duplicates: int
    n_strained: int = Field(description="Frames left out for a force above the limit.")
    n_failed: int = Field(0, description="Frames left out that the level could not evaluate.")
    failed: dict[str, str] = Field(
        default_factory=dict, description="Of these, where each was a step: which, and why."
    )
    sample_hash: str | None = Field(
        None, description="Of the sample whose frames were labelled one by one."
    )
    max_force_ev_a: float = Field(description="The limit.")
    rms_force_ev_a: float = Field(description="Of all frames that stayed.")
    groups: list[FrameGroup]
    domain: DataDomain

    @property
    def n_test_of_known_glasses(self) -> int | None:
        """Test trajectories of a glass that other splits hold too; None where not known."""
        test = [group for group in self.groups if group.split == "test"]
        runs = [group for group in self.groups if group.origin not in {"packing", "crystal"}]
        if not all(group.start for group in [*test, *runs]):
            return None
        learned = {group.start for group in self.groups if group.split != "test"}
        return sum(group.start in learned for group in test)
