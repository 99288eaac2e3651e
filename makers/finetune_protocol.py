"""How a foundation potential is fine-tuned for a sweep, as a section of its file."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..engines.finetune_settings import finetune_settings
from ..engines.mace_shape import mace_shape
from ..errors import InputError
from .finetune import FineTuneMaker
from .frames_protocol import FramesProtocol

TrainingValues: TypeAlias = dict[str, int | float | str | list[str] | None]
_Kelvin = Annotated[float, Field(gt=0, le=5000)]


class TunedMDProtocol(BaseModel):
    """MD of every sample by the model that was trained, from where its first MD began."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperatures_k: tuple[_Kelvin, ...] | None = Field(
        None, min_length=1, description="Default: those of the sample's MD."
    )
    equilibration_steps: int | None = Field(
        None, ge=0, description="Default: md.equilibration_steps."
    )
    production_steps: int | None = Field(None, ge=1, description="Default: md.production_steps.")

    @field_validator("temperatures_k")
    @classmethod
    def _distinct(cls, temperatures: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if len(set(temperatures or ())) < len(temperatures or ()):
            raise ValueError("a temperature stands twice")
        return temperatures


class FineTuneProtocol(FramesProtocol):
    """Fine-tune a foundation potential on frames of the sweep's runs, labelled by its teacher."""

    parent: str = Field(
        "chgnet-r2scan", description="CHGNet or MACE to begin with, without added dispersion."
    )
    mace: TrainingValues | None = Field(
        None,
        description="Begin with a small MACE of random weights instead: {} for the defaults; "
        "channels, n_layers, cutoff_a...",
    )
    scope: Literal["candidate", "sweep"] = Field(
        "candidate",
        description="One model per candidate (a composition and phase), or one for all.",
    )
    training: TrainingValues = Field(
        default={}, description="Schedule and loss: epochs, learning_rate, weight_force..."
    )

    md: TunedMDProtocol | None = Field(
        None, description="MD by the model in the same sweep: {} as the sweep's; default: none."
    )

    @field_validator("training")
    @classmethod
    def _known_settings(cls, training: TrainingValues) -> TrainingValues:
        try:
            finetune_settings(training)
        except (InputError, TypeError) as error:
            raise ValueError(str(error)) from None
        return training

    @field_validator("mace")
    @classmethod
    def _known_shape(cls, mace: TrainingValues | None) -> TrainingValues | None:
        try:
            mace_shape(mace or {})
        except (InputError, TypeError) as error:
            raise ValueError(str(error)) from None
        return mace

    def fine_tuning(self) -> FineTuneMaker:
        """Return the Maker of the model."""
        shape = None if self.mace is None else {"seed": self.seed, **self.mace}
        training = {"seed": self.seed, **self.training}
        return FineTuneMaker(parent=self.parent, training=training, mace=shape)
