"""How a foundation potential is fine-tuned for a sweep, as a section of its file."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, field_validator

from ..engines.finetune_settings import finetune_settings
from ..errors import InputError
from .finetune import FineTuneMaker
from .frames_protocol import FramesProtocol

_TrainingValues: TypeAlias = dict[str, int | float | str | list[str] | None]


class FineTuneProtocol(FramesProtocol):
    """Fine-tune a foundation potential on frames of the sweep's runs, labelled by its teacher."""

    parent: str = Field(
        "chgnet-r2scan", description="CHGNet or MACE to begin with, without added dispersion."
    )
    scope: Literal["candidate", "sweep"] = Field(
        "candidate",
        description="One model per candidate (a composition and phase), or one for all.",
    )
    training: _TrainingValues = Field(
        default={}, description="Schedule and loss: epochs, learning_rate, weight_force..."
    )

    @field_validator("training")
    @classmethod
    def _known_settings(cls, training: _TrainingValues) -> _TrainingValues:
        try:
            finetune_settings(training)
        except (InputError, TypeError) as error:
            raise ValueError(str(error)) from None
        return training

    def fine_tuning(self) -> FineTuneMaker:
        """Return the Maker of the model."""
        return FineTuneMaker(parent=self.parent, training={"seed": self.seed, **self.training})
