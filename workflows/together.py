"""Steps that one worker runs side by side, their forces evaluated together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jobflow import CURRENT_JOB

from ..engines.lockstep import Lockstep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .steps import PlannedStep
    from .worker import Outcome


def run_together(
    steps: Iterable[PlannedStep],
    run: Callable[[PlannedStep], Outcome],
    joining: Callable[[], Iterable[PlannedStep]],
) -> Iterator[Outcome]:
    """Yield what became of each step, as they end.

    Parameters
    ----------
    steps
        To begin with.
    run
        Runs one step.
    joining
        Asked again and again for steps that join.
    """

    def tasks(some: Iterable[PlannedStep]) -> Iterator[tuple[str, Callable[[], Outcome]]]:
        return ((step.identity, partial(run, step)) for step in some)

    together: Lockstep[Outcome] = Lockstep(_keep_job)
    for _identity, outcome in together.run(tasks(steps), lambda: tasks(joining())):
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome


def _keep_job() -> Callable[[], None]:
    """Note jobflow's current job, which is one for the process."""
    job, store = CURRENT_JOB.job, CURRENT_JOB.store

    def put_back() -> None:
        CURRENT_JOB.job, CURRENT_JOB.store = job, store

    return put_back
