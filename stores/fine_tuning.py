"""How a foundation potential was fine-tuned, as the document of the result tells it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from .documents import Model
from .domain_report import ErrorTable  # noqa: TC001  (pydantic reads it at run time)

PARITY_ROLE: Final = "parity"
"""Of the file with labels and values of all frames."""


class TrainingEpoch(Model):
    """A pass over the training frames; epoch 0 is the network before the first."""

    epoch: int
    learning_rate: float
    train_loss: float | None = Field(description="Mean while the network changed.")
    validation_loss: float
    energy_mev_per_atom: float = Field(description="Mean absolute error, validation frames.")
    force_mev_a: float = Field(description="Idem.")
    stress_gpa: float | None = Field(description="Idem; None where no stress was learned.")


class TemperatureErrors(Model):
    """Errors on the frames of a temperature."""

    temperature_k: float | None = Field(
        description="To the nearest hundred; None where atoms do not move."
    )
    errors: ErrorTable


class ParityPoints(Model):
    """Labels and values of a split, pairs of (label, value); of many, some at random."""

    energy_ev_per_atom: list[tuple[float, float]]
    force_ev_a: list[tuple[float, float]] = Field(description="Components.")
    stress_gpa: list[tuple[float, float]] = Field(description="Components.")


class FineTuning(Model):
    """The training of a network that began with the weights of another, or with random ones."""

    parent_level: str | None = Field(description="Level it began with; None for random weights.")
    shape: dict[str, Any] | None = Field(None, description="Of a network of random weights.")
    settings: dict[str, Any]
    n_parameters_trained: int
    reference_shift_ev: dict[str, float] = Field(
        description="By element, added to the reference energies before the first step."
    )
    best_epoch: int = Field(description="The one that was taken, of the lowest validation loss.")
    stopped_early: bool
    history: list[TrainingEpoch]
    parent_errors: ErrorTable | None = Field(
        description="Of the parent on the test frames, its reference energies shifted alike."
    )
    parity: dict[str, ParityPoints] = Field(
        default_factory=dict, description="Per split; all points are in a file."
    )
    errors_at: dict[str, list[TemperatureErrors]] = Field(description="Per split.")
