"""The document of a trained model: what it is, what made it, how wrong it is, where it holds."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from ..quantity import Status  # noqa: TC001  (pydantic reads it at run time)
from .documents import Model, StepDocument
from .domain_report import ErrorTable  # noqa: TC001  (idem)
from .fine_tuning import FineTuning  # noqa: TC001  (idem)
from .student_checks import StudentCheck  # noqa: TC001  (idem)
from .training import DataDomain, Split  # noqa: TC001  (idem)

WEIGHTS_ROLE: Final[str] = "weights"
DOMAIN_ROLE: Final[str] = "domain"
LEARNED_ROLE: Final[str] = "frames-learned"
"""Labelled frames that its own runs added to its training set."""


class TrialRun(Model):
    """An MD run of a student that looked for the end of what it knows."""

    name: str
    formula: str
    ensemble: str
    temperature_k: float
    temperature_end_k: float | None = None
    density_g_cm3: tuple[float, float] = Field(description="From and to.")
    n_steps: int
    status: Status
    note: str = ""
    share_above: float = Field(description="Of frames above the grade that is selected.")
    largest_grade: float
    n_selected: int
    teacher_errors: ErrorTable | None = Field(description="On frames of this very run.")


class LearningRound(Model):
    """One training and the runs that tried the student."""

    n_train: int
    epochs: int
    best_epoch: int
    rmse: dict[str, float]
    runs: list[TrialRun]
    n_new: int = Field(description="Frames that went into the next training.")


class TrainedModelDocument(StepDocument):
    """A model that haloflow trained, with its weights in a file."""

    kind: Literal["trained_model"] = "trained_model"
    architecture: Literal["nep", "chgnet", "mace"]
    level: str = Field(description="Its own level of theory, by the hash of its weights.")
    weights_sha256: str
    teacher: str = Field(description="Level of its labels.")
    teacher_sha256: str
    data_hash: str = Field(description="Content hash of the training set it began with.")
    parent: str | None = Field(None, description="sha256 of the weights it began with.")
    handed_from: str = Field("", description="The model that this one is, where none was made.")
    of_round: bool = Field(
        default=False, description="Made while a sweep learned (`learn: true`), of its runs."
    )
    errors: dict[str, ErrorTable] = Field(description="Per split; test frames chose nothing.")
    errors_by_temperature: dict[str, ErrorTable] = Field(
        default_factory=dict, description="Of test frames: '300 to 600 K', or without one."
    )
    check: StudentCheck | None = Field(
        None, description="Where it came with the package; in a store, a step of its own."
    )
    splits: dict[str, Split] = Field(
        default_factory=dict,
        description="Trajectory to the split it was in, and its parent's; not told of a NEP.",
    )
    domain: DataDomain = Field(description="Of all frames that it was trained on.")
    fine_tuning: FineTuning | None = Field(None, description="None for a NEP student.")
    select_grade: float | None = Field(None, description="None where runs are not graded.")
    stop_grade: float | None = Field(None, description="Idem.")
    rounds: list[LearningRound] = Field(default_factory=list)
    repulsion_ev_a: dict[str, float] = Field(
        default_factory=dict,
        description="Weakest outward force of each pair of elements from 0.5 to 1.2 A.",
    )
    us_per_atom_step: float = Field(description="Processor time where it was trained.")
