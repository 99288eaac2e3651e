"""Whether a run stayed inside what its potential was trained on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorTable(_Part):
    """Errors of a model against the labels of some frames."""

    energy_mae_mev_per_atom: float
    energy_rmse_mev_per_atom: float
    force_mae_mev_a: float
    force_rmse_mev_a: float
    stress_mae_gpa: float
    stress_rmse_gpa: float
    force_rms_mev_a: float = Field(description="Of the labels.")
    force_mae_of_element_mev_a: dict[str, float]
    force_rmse_of_element_mev_a: dict[str, float] = Field(default_factory=dict)
    n_frames: int


class DomainReport(_Part):
    """How far a run went beyond the training of the model that drove it."""

    share_above: float | None = Field(
        None, description="Of frames with an atom above the grade; None: it was not watched."
    )
    grade: float | None = None
    largest_grade: float | None = Field(None, description="None where it is not finite.")
    n_graded: int = 0
    teacher: str = ""
    teacher_errors: ErrorTable | None = Field(None, description="On frames of this very run.")
    note: str = Field("", description="Why there are no grades, or no errors.")
