"""How a network is fine-tuned, checked before the training begins."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from ..errors import InputError

LOSSES: Final = ("MSE", "Huber", "MAE")
REFERENCES: Final = ("refit", "keep")
_NOT_PHYSICS: Final = ("checkpoint_epochs",)


@dataclass(frozen=True)
class FineTuneSettings:
    """Schedule, loss and what stays as it was.

    The loss and its weights are those of ``chgnet.trainer.Trainer``: energies per atom in eV,
    components of forces in eV/A, of stress in GPa, each averaged over a batch.

    Attributes
    ----------
    epochs
        Passes over the training frames, at most.
    patience
        The training ends early after so many epochs without a lower validation loss.
    batch
        Frames per step of the optimizer (Adam).
    learning_rate, final_learning_rate
        At the first and the last step; it falls along a cosine.
    weight_energy, weight_force, weight_stress
        In the loss; without a stress weight no stress is needed.
    loss
        One of `LOSSES`; Huber changes over at 0.1.
    gradient_clip
        Largest norm of a step's gradient; ``None`` for no limit.
    frozen
        Parameters whose names begin like one of these stay as they are, e.g.
        ``("atom_embedding", "bond_embedding")``.
    references
        ``"refit"`` shifts the reference energies of the elements before the first step, by the
        least shift that takes the mean error off the training energies; ``"keep"`` does not.
    seed
        Of the order of frames.
    checkpoint_epochs
        At most so many epochs are lost when the process is killed.
    """

    epochs: int = 50
    patience: int = 10
    batch: int = 8
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    weight_energy: float = 1.0
    weight_force: float = 1.0
    weight_stress: float = 0.1
    loss: Literal["MSE", "Huber", "MAE"] = "MSE"
    gradient_clip: float | None = 10.0
    frozen: tuple[str, ...] = ()
    references: Literal["refit", "keep"] = "refit"
    seed: int = 1
    checkpoint_epochs: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "frozen", tuple(sorted(self.frozen)))
        for name, least, most in (
            ("epochs", 1, 100_000),
            ("patience", 1, 100_000),
            ("batch", 1, 10_000),
            ("learning_rate", 1e-7, 1.0),
            ("final_learning_rate", 0.0, self.learning_rate),
            ("weight_energy", 0.0, math.inf),
            ("weight_force", 0.0, math.inf),
            ("weight_stress", 0.0, math.inf),
            ("gradient_clip", 1e-6, math.inf),
            ("seed", 0, 2**31 - 2),
            ("checkpoint_epochs", 1, 100_000),
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and least <= value <= most):
                raise InputError(
                    f"{name} of a fine-tuning is out of range",
                    given=value,
                    allowed=f"{least:g} to {most:g}",
                    remedy=f"correct {name}",
                )
        for name, known in (("loss", LOSSES), ("references", REFERENCES)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} of a fine-tuning is not known",
                    given=getattr(self, name),
                    allowed=known,
                    remedy=f"correct {name}",
                )

    def rate(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step, the first being 0."""
        fall = (1 + math.cos(math.pi * step / max(n_steps - 1, 1))) / 2
        low, high = self.final_learning_rate, self.learning_rate
        return low + (high - low) * fall

    def physics(self) -> dict[str, Any]:
        """Return what decides the trained model."""
        return {k: v for k, v in asdict(self).items() if k not in _NOT_PHYSICS}


def finetune_settings(values: dict[str, Any]) -> FineTuneSettings:
    """Return settings from plain `values`, e.g. of a file.

    Raises
    ------
    InputError
        If a name is not known or a value out of range.
    """
    known = [field.name for field in fields(FineTuneSettings)]
    if unknown := sorted(values.keys() - set(known)):
        raise InputError(
            "unknown settings of a fine-tuning",
            given=unknown,
            allowed=known,
            remedy="correct or remove them",
        )
    return FineTuneSettings(**values)
