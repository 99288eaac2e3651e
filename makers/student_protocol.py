"""How a student of a sweep's teacher is made, as a section of a sweep file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..engines.nep_settings import nep_settings
from ..errors import InputError
from .distill import DistillMaker
from .finetune import FineTuneMaker
from .finetune_protocol import TrainingValues  # noqa: TC001  (pydantic reads it at run time)
from .frames_protocol import FramesProtocol
from .student_check import StudentCheckMaker

if TYPE_CHECKING:
    from .training_set import TrainingSetMaker

_Kelvin = Annotated[float, Field(gt=0, le=5000)]
_NepValues: TypeAlias = dict[str, int | float | list[int] | None]


class CheckProtocol(BaseModel):
    """Hold the student against its teacher: the runs of the sweep again, D, and long runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    diffusion_temperatures_k: tuple[_Kelvin, ...] = Field(
        (750.0, 1000.0), description="Teacher's runs of the first glass to compare D; or none."
    )
    diffusion_steps: int = Field(20_000, ge=10, description="Length of these.")
    long_steps: int = Field(100_000, ge=20, description="Length of the student's own runs.")
    long_temperatures_k: tuple[_Kelvin, ...] | None = Field(
        None, description="Of these; default: coldest, middle and hottest MD."
    )
    density_tolerance: float = Field(0.02, gt=0, description="Difference over the teacher's.")
    peak_tolerance_a: float = Field(0.03, gt=0, description="Of first peaks, cation to anion.")
    coordination_tolerance: float = Field(0.15, gt=0, description="Of anions around a cation.")

    def maker(self, temperatures_k: tuple[float, ...], seed: int) -> StudentCheckMaker:
        """Return the Maker; `temperatures_k` of long runs where the section names none."""
        return StudentCheckMaker(
            density_tolerance=self.density_tolerance,
            peak_tolerance_a=self.peak_tolerance_a,
            coordination_tolerance=self.coordination_tolerance,
            long_steps=self.long_steps,
            long_temperatures_k=self.long_temperatures_k or temperatures_k,
            seed=seed,
        )


class StudentProtocol(FramesProtocol):
    """Train a student on all runs of the sweep: a NEP, which tries itself, or a small MACE."""

    parent: str | None = Field(
        None,
        description="Student of the store to go on with, e.g. nep:0123456789ab; or auto, that "
        "of MD.",
    )
    learn: bool = Field(
        default=False,
        description="MD that leaves the parent's domain goes on, with a student that has "
        "learned from it.",
    )
    learn_rounds: int = Field(2, ge=1, le=5, description="How often, at most.")
    last_frames: int = Field(
        10, ge=0, description="Of a run that left the parent's domain, before its end."
    )
    architecture: Literal["nep", "mace"] = Field(
        "nep", description="A MACE learns from the same frames, but tries no MD."
    )
    mace: dict[str, int | float] = Field(
        default={}, description="Shape of a MACE: channels, n_layers, cutoff_a..."
    )
    training: TrainingValues = Field(
        default={}, description="Of a MACE, as in `fine_tune`: epochs, learning_rate..."
    )
    nep: _NepValues = Field(
        default={}, description="Architecture and training: epochs, neurons, cutoffs..."
    )
    refine_epochs: int = Field(60, ge=1, description="Of each training after the first.")
    temperatures_k: tuple[_Kelvin, ...] | None = Field(
        None, min_length=1, description="Of the student's own runs; default: coldest MD to melt."
    )
    density_scales: tuple[float, ...] = Field(
        (0.85, 1.15), description="Of the student's own runs at constant volume."
    )
    trial_steps: int = Field(10_000, ge=10, description="Length of each of its runs.")
    max_rounds: int = Field(6, ge=1, description="Trainings, at most.")
    most_new: int = Field(60, ge=1, description="Frames that a round adds, at most.")
    accepted_share: float = Field(
        0.01, ge=0, lt=1, description="Of a run's frames above the grade that is worth a label."
    )
    n_checked: int = Field(
        5,
        ge=0,
        description="Frames of each run that the teacher checks, and a next training learns.",
    )
    check: CheckProtocol | None = Field(
        None, description="Hold it against its teacher when it is trained: {} for the defaults."
    )

    @field_validator("nep")
    @classmethod
    def _known_settings(cls, nep: _NepValues) -> _NepValues:
        try:
            nep_settings(nep)
        except (InputError, TypeError) as error:
            raise ValueError(str(error)) from None
        return nep

    @model_validator(mode="after")
    def _possible(self) -> StudentProtocol:
        if self.learn and self.parent is None:
            raise ValueError("learn is for sweeps with a parent, whose MD it runs")
        if self.learn and self.check is not None:
            raise ValueError("check is for students of a sweep's teacher, without learn")
        if self.architecture == "mace":
            for name in ("parent", "check", "nep"):
                if getattr(self, name):
                    raise ValueError(f"{name} is for students of the architecture nep")
            try:
                self.small_mace().physics()
            except (InputError, TypeError) as error:
                raise ValueError(str(error)) from None
        elif self.mace or self.training:
            raise ValueError("mace and training are for students of the architecture mace")
        return self

    @property
    def asks_while_learning(self) -> bool:
        """Whether it is a NEP, whose own runs find frames that it has labelled."""
        return self.architecture == "nep"

    def small_mace(self) -> FineTuneMaker:
        """Return the Maker of a student that is a MACE."""
        seed = {"seed": self.seed}
        return FineTuneMaker(mace=seed | self.mace, training=seed | self.training)

    def training_set(self, teacher: str) -> TrainingSetMaker:
        """Return the Maker of the frames, labelled by `teacher`."""
        made = super().training_set(teacher)
        return replace(made, last_frames=self.last_frames if self.parent else 0)

    def distillation(self, teacher: str, temperatures_k: tuple[float, ...]) -> DistillMaker:
        """Return the Maker of the student; `temperatures_k` where the section names none."""
        return DistillMaker(
            level=teacher,
            nep={"seed": self.seed, **self.nep},
            refine_epochs=self.refine_epochs,
            temperatures_k=self.temperatures_k or temperatures_k,
            density_scales=self.density_scales,
            trial_steps=self.trial_steps,
            max_rounds=self.max_rounds,
            most_new=self.most_new,
            accepted_share=self.accepted_share,
            n_checked=self.n_checked,
            least_distance=self.least_distance / 2,
            max_force_ev_a=self.max_force_ev_a,
            seed=self.seed,
        )
