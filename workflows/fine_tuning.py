"""The steps that fine-tune a foundation potential on the runs of a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engines.finetune import architecture_of
from ..engines.finetune_settings import finetune_settings
from ..errors import InputError, SweepError
from ..makers.labelled_set import LabelledSetMaker
from ..units import SECONDS_PER_HOUR
from .chain import StepChain, output_of
from .cost import Cost
from .training_frames import frames_step, n_frames_of, runs_of, teacher_of
from .tuned_runs import tuned_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..makers.finetune import FineTuneMaker
    from ..makers.finetune_protocol import FineTuneProtocol
    from ..makers.frames_protocol import FramesProtocol
    from .chain import PlannedStep
    from .plan import CandidatePlan
    from .sweep import Sweep

_TRAIN_MS = {"chgnet": 4.0, "mace": 10.0, "new": 1.0}
"""Milliseconds per atom, frame and epoch on one thread: forwards, and twice backwards."""
_DISK_GB = 0.1
_LEAST_RUNS = 3
_SECTION = "fine_tune"


def fine_tuning_steps(sweep: Sweep, drafts: Sequence[CandidatePlan]) -> list[list[PlannedStep]]:
    """Return what the section `fine_tune` adds to each candidate: frames, a model, its runs.

    Raises
    ------
    SweepError
        If the teacher is not named, or a model has too few runs.
    InputError
        If the parent cannot be fine-tuned, or does not know an element.
    """
    asked = sweep.fine_tune
    if asked is None:
        return [[] for _ in drafts]
    teacher = teacher_of(sweep, asked, _SECTION)
    _require_possible(asked)
    if asked.scope == "candidate":
        learned = [_steps([draft], asked, teacher) for draft in drafts]
    else:
        learned = [_steps(drafts, asked, teacher)] * len(drafts)
    if asked.md is None:
        return learned
    return [
        [*steps, *tuned_runs(draft, steps[-1], asked)]
        for draft, steps in zip(drafts, learned, strict=True)
    ]


def _steps(
    drafts: Sequence[CandidatePlan], asked: FineTuneProtocol, teacher: str
) -> list[PlannedStep]:
    if (n_runs := len(runs_of(drafts))) < _LEAST_RUNS:
        raise SweepError(
            f"fine_tune: {drafts[0].document.label} has too few runs to learn from",
            given=f"{n_runs} melts and MD runs",
            allowed=f"{_LEAST_RUNS} or more: whole ones go to training, validation and test",
            remedy="add temperatures or seeds, or write fine_tune: {scope: sweep}",
        )
    chain = StepChain()
    frames = frames_step(chain, "fine_tune_frames", drafts, asked, teacher)
    trained_step(chain, _SECTION, asked.fine_tuning(), frames, drafts=drafts, asked=asked)
    return list(chain.steps.values())


def trained_step(
    chain: StepChain,
    name: str,
    maker: FineTuneMaker,
    frames: PlannedStep,
    *,
    drafts: Sequence[CandidatePlan],
    asked: FramesProtocol,
) -> None:
    """Add the training of a network on the `frames` of some candidates."""
    n_atoms = max(draft.document.n_atoms for draft in drafts)
    n_frames, epochs = n_frames_of(drafts, asked), finetune_settings(maker.training).epochs
    if isinstance(frames.maker, LabelledSetMaker):
        n_frames = len(frames.after) - 1  # a label for each
    ms = _TRAIN_MS["new" if maker.mace is not None else architecture_of(maker.parent)]
    hours = 1e-3 * ms * n_atoms * n_frames * epochs / SECONDS_PER_HOUR
    chain.add(
        name,
        maker,
        inputs={"training_set": output_of(frames)},
        parents={"set0": frames.identity},
        after=(frames,),
        cost=Cost(hours, _DISK_GB, epochs, n_atoms),
    )


def _require_possible(asked: FineTuneProtocol) -> None:
    if asked.mace is not None:
        return
    try:
        architecture_of(asked.parent)
    except InputError as error:
        error.problem = f"fine_tune.parent: {error.problem}"
        raise
