"""The queue of this machine, as qtoolkit reads it: who waits, who runs, who is gone."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qtoolkit.core.data_objects import QState
from qtoolkit.core.exceptions import CommandFailedError, OutputParsingError
from qtoolkit.io.pbs import PBSIO
from qtoolkit.io.sge import SGEIO
from qtoolkit.io.slurm import SlurmIO
from qtoolkit.manager import QueueManager

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SCHEDULERS = {"SLURM": SlurmIO, "PBS": PBSIO, "SGE": SGEIO}
_PENDING = frozenset((QState.QUEUED, QState.QUEUED_HELD, QState.REQUEUED, QState.REQUEUED_HELD))


@dataclass(frozen=True)
class QueueView:
    """The jobs of this user.

    Attributes
    ----------
    positions
        Of those that wait: id to 1 for the next, 2 ...
    ids
        All that wait or run.
    """

    ids: frozenset[str]
    positions: Mapping[str, int] = field(default_factory=dict)


def look_at_queue(scheduler: str | None) -> QueueView | None:
    """Return the user's jobs in the queue, or ``None`` where there is none to ask.

    Parameters
    ----------
    scheduler
        As FireWorks calls it: SLURM, PBS or SGE; others are not asked.
    """
    if scheduler not in _SCHEDULERS:
        return None
    manager = QueueManager(_SCHEDULERS[scheduler]())
    try:
        jobs = manager.get_jobs_list(user=getpass.getuser())
    except (CommandFailedError, OutputParsingError):  # not a machine of this queue
        return None
    waiting = sorted((str(job.job_id) for job in jobs if job.state in _PENDING), key=_number)
    return QueueView(
        frozenset(str(job.job_id) for job in jobs),
        {job_id: position for position, job_id in enumerate(waiting, start=1)},
    )


def _number(job_id: str) -> tuple[int, str]:
    """Order ids as they were given."""
    digits = job_id.partition(".")[0].partition("_")[0]
    return (int(digits) if digits.isdigit() else 0, job_id)


def end_jobs(scheduler: str | None, job_ids: Iterable[str]) -> None:
    """Take jobs out of the queue; one that is gone already is none of the matter."""
    if scheduler in _SCHEDULERS:
        manager = QueueManager(_SCHEDULERS[scheduler]())
        for job_id in job_ids:
            manager.cancel(job_id)
