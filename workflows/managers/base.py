"""What haloflow asks of an engine of queues: to take steps, and to say what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

from ...errors import MissingDependencyError, StoreError, UnknownNameError
from ...stores.mongodb import MongoDBStore, redacted

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from ...stores.connection import HaloflowStore
    from ..plan import Plan

JobPhase: TypeAlias = Literal[
    "waiting", "queued", "running", "paused", "failed", "cancelled", "done"
]
"""``waiting`` for parents, ``queued`` for a worker; ``done`` with a result or without."""

UNFINISHED: frozenset[JobPhase] = frozenset(("waiting", "queued", "running", "paused", "failed"))
"""The phases of jobs that will run, or can be run again, without being submitted anew."""

NONE_ABANDONED: Mapping[str, datetime] = MappingProxyType({})

_MANAGERS = {
    "fireworks": ("fireworks", "FireWorksManager"),
    "jobflow-remote": ("jobflow_remote", "JobflowRemoteManager"),
}
_TAIL_LINES = 12


@dataclass(frozen=True)
class JobState:
    """Where the job of a step stands.

    Attributes
    ----------
    identity
        Of the step.
    job_id
        The manager's own id.
    queue_id, queue_position
        Id in the queue of the machine, and how many jobs of this user start before it plus one;
        ``None`` where unknown.
    cause
        Why it failed, in one line.
    tail
        The last lines of what the job or the manager wrote about the failure.
    earlier
        Causes of failed attempts before this one.
    run_s
        Wall time of all its attempts.
    cores
        Threads it was given.
    estimated_core_hours
        From the plan.
    """

    identity: str
    phase: JobPhase
    job_id: str
    queue_id: str | None = None
    queue_position: int | None = None
    cause: str = ""
    tail: str = ""
    earlier: tuple[str, ...] = ()
    run_s: float = 0.0
    cores: int = 1
    estimated_core_hours: float = 0.0


@dataclass(frozen=True)
class Submission:
    """What a submission gave to a manager.

    Attributes
    ----------
    n_known
        Steps that the manager had already.
    n_reused
        Steps with a stored result.
    """

    n_flows: int
    n_jobs: int
    n_known: int
    n_reused: int


class Manager(Protocol):
    """An engine of queues; methods that change something return the identities changed."""

    name: str
    watch_log: Path | None
    """Where a watchdog writes, of an engine that nobody else looks after."""

    @property
    def starter(self) -> str:
        """The command that the user lets run so that jobs start; empty where none is needed."""

    def close(self) -> None:
        """Give back its connections; it is not used any more."""

    def submit(self, plan: Plan, store: HaloflowStore) -> Submission:
        """Hand over the steps of `plan` without a result, less those it has already.

        Called in one process at a time for a store.
        """

    def states(self, identities: Collection[str]) -> dict[str, JobState]:
        """Return the states of those steps that were handed over, by identity."""

    def retry(self, identities: Collection[str]) -> set[str]:
        """Let failed jobs run again."""

    def cancel(self, identities: Collection[str]) -> set[str]:
        """Take unfinished jobs back; those that run are ended."""

    def pause(self, identities: Collection[str]) -> set[str]:
        """Let no further job of these start; those that run go on."""

    def resume(self, identities: Collection[str]) -> set[str]:
        """Undo `pause`."""

    def recover(
        self,
        identities: Collection[str],
        abandoned: Mapping[str, datetime] = NONE_ABANDONED,
        claimed: Collection[str] = frozenset(),
    ) -> set[str]:
        """Find jobs that were lost with their process or machine, and let them run again.

        Parameters
        ----------
        identities
            Of steps without a result.
        abandoned
            Steps that a process claimed at this time (UTC, naive) and left without a word.
        claimed
            Steps that a living process has claimed: only the end of a job, never its silence,
            tells that one of these was lost.
        """


def open_manager(name: str) -> Manager:
    """Return the manager of this name, configured as its engine is on this machine.

    Raises
    ------
    UnknownNameError
        There is none of this name.
    MissingDependencyError
        Its package is not installed.
    """
    if name not in _MANAGERS:
        raise UnknownNameError.of("manager", name, _MANAGERS)
    module, cls = _MANAGERS[name]
    try:
        loaded = import_module(f"{__package__}.{module}")
    except ModuleNotFoundError as error:
        package = (error.name or name).partition(".")[0]
        if package == __name__.partition(".")[0]:
            raise
        raise MissingDependencyError.of(package, name, f"--to {name}") from None
    return cast("Manager", getattr(loaded, cls)())


def require_server(store: HaloflowStore) -> None:
    """Refuse a store that workers on other machines could not share.

    Raises
    ------
    StoreError
        It is an embedded one.
    """
    if not isinstance(store.outputs, MongoDBStore):
        raise StoreError(
            "workers of a queue cannot share an embedded store",
            given=redacted(store.uri),
            allowed="mongodb://host/database",
            remedy="start a server with `haloflow db start`, copy what there is with "
            "`haloflow db copy`, and give --store mongodb://...",
        )


def tail_of(text: str) -> str:
    """Return the last lines of a traceback or a log."""
    return "\n".join(text.rstrip().splitlines()[-_TAIL_LINES:])


def cause_of(text: str) -> str:
    """Return what a traceback or a log says last: the error, without where it was raised."""
    lines = [line for line in text.rstrip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it left no message"
