"""What a round of learning came to, as the document of a student says it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from ..engines.assessment import errors_of
from ..stores.domain_report import ErrorTable
from ..stores.models import LearningRound, TrialRun
from .training_set import domain_of

_RANGE_K = 300.0
WITHOUT_TEMPERATURE = "packings and distorted crystals"

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

    from ..engines.nep_training import TrainedNep
    from .trials import Tried


def trial_document(
    tried: Tried, select_grade: float, n_selected: int, errors: ErrorTable | None
) -> TrialRun:
    """Describe a run of a student; `errors` are its own, on frames of this run."""
    settings = tried.trial.settings
    return TrialRun(
        name=tried.trial.name,
        formula=domain_of(tried.frames[:1]).formulas[0],
        ensemble=settings.ensemble,
        temperature_k=settings.temperature_k,
        temperature_end_k=settings.temperature_end_k,
        density_g_cm3=tried.density_g_cm3,
        n_steps=tried.result.n_steps,
        status=tried.result.status,
        note=tried.result.note,
        share_above=tried.share_above(select_grade),
        largest_grade=float(max(tried.grades)),
        n_selected=n_selected,
        teacher_errors=errors,
    )


def round_document(
    student: TrainedNep, runs: list[TrialRun], *, n_train: int, n_new: int
) -> LearningRound:
    """Describe one training, and the runs that tried the student."""
    return LearningRound(
        n_train=n_train,
        epochs=student.epochs,
        best_epoch=student.best_epoch,
        rmse=student.rmse,
        runs=runs,
        n_new=n_new,
    )


def error_table(calculator: object, frames: Sequence[Atoms]) -> ErrorTable:
    """Return the errors of a student on frames with the teacher's labels."""
    return ErrorTable(**asdict(errors_of(calculator, frames)))


def errors_by_temperature(calculator: object, frames: Sequence[Atoms]) -> dict[str, ErrorTable]:
    """Return the errors on labelled frames by ranges of temperature, cold first.

    Crystals that were distorted, and packings, have none; they come last.
    """
    groups: dict[float, list[Atoms]] = {}
    for frame in frames:
        kelvin = frame.info.get("temperature_k")
        low = np.inf if kelvin is None else _RANGE_K * (kelvin // _RANGE_K)
        groups.setdefault(float(low), []).append(frame)
    return {
        f"{low:g} to {low + _RANGE_K:g} K" if np.isfinite(low) else WITHOUT_TEMPERATURE:
        error_table(calculator, groups[low])
        for low in sorted(groups)
    }  # fmt: skip
