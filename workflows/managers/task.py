"""Running the job of a step in a queue: nobody is there to tell, so the store is told all."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pymongo.errors import DuplicateKeyError, PyMongoError

from ...errors import ClaimError, HaloflowError, InterruptedRunError, StoreError
from ...makers.step import release_claims
from ...makers.walltime import limited_to
from ...quantity import Status
from ...settings import get_settings
from ...stores.mongodb import translated
from ...stores.results import clear_failures, failures, heads, record_failure, used_all
from ..status import update_summaries
from .attempts import Attempt
from .sharing import own_share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jobflow import Job

    from ...stores.connection import HaloflowStore
    from .base import Manager

_OF_RESOURCES = (*("walltime_s", "cores", "gpus", "checkpoint_s", "least_s", "replicas_per_gpu"),)
_LAST = "recovery"
_MOST_CANDIDATES = 8
"""What more candidates share is summarised with the steps that only one of them has."""


class Ending(StrEnum):
    """How a job ended that did not fail."""

    DONE = "done"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Orders:
    """What goes with the job of a step.

    Attributes
    ----------
    after
        Identities of the steps that ran before.
    candidate_ids
        Candidates that the step belongs to.
    walltime_s
        Seconds after which it stops with a checkpoint.
    stage
        As in ``resources:`` of a sweep.
    work_units
        Steps that it has to do, as estimated.
    checkpoint_s
        Estimated seconds to its next checkpoint.
    least_s
        Seconds without which no job should begin it.
    gpus
        It asked for; ``None`` in what earlier versions submitted.
    replicas_per_gpu
        How many such steps fit on one GPU.
    """

    identity: str
    name: str
    after: tuple[str, ...]
    candidate_ids: tuple[str, ...]
    walltime_s: float
    cores: int
    estimated_core_hours: float
    stage: str = "analysis"
    work_units: int = 0
    checkpoint_s: float = 0.0
    least_s: float = 0.0
    gpus: int | None = None
    replicas_per_gpu: int = 1

    def as_record(self) -> dict[str, Any]:
        """Return plain types."""
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "after": list(self.after),
            "candidate_ids": list(self.candidate_ids),
        }

    def about_resources(self) -> dict[str, Any]:
        """Return what follows from ``resources:`` in the sweep."""
        return {name: getattr(self, name) for name in _OF_RESOURCES}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Read what `as_record` gave."""
        lists = ("after", "candidate_ids")
        return cls(**{**record, **{name: tuple(record[name]) for name in lists}})


def run_queued(
    job: Job, orders: Orders, store: HaloflowStore, tell: Callable[[str], None] | None = None
) -> Ending:
    """Run a step; what it does not do is told by the ending, why it failed by the store.

    Parameters
    ----------
    job, orders, store
        What to run and where its documents go.
    tell
        Takes the reason of an interruption.

    Raises
    ------
    EngineError
        Job after job of the step was interrupted, and got it no further.
    StoreError
        The server of the store went away for longer than it is waited for.
    Exception
        Whatever the step raised, but for an interruption.
    """
    own_share()
    with translated(store.uri):
        return _run(job, orders, store, tell)


def _run(
    job: Job, orders: Orders, store: HaloflowStore, tell: Callable[[str], None] | None
) -> Ending:
    if not _can_start(job, orders, store):
        return Ending.SKIPPED
    noted = failures(store, [orders.identity])
    ending = Ending.DONE
    try:
        if not _is_done(job, orders, store):
            ending = _attempt(job, orders, store, tell)
    except Exception as error:  # whatever it is: noted, and raised again
        with suppress(StoreError, PyMongoError):  # the manager keeps the traceback
            message = str(error) or type(error).__name__
            record_failure(store, orders.identity, orders.name, message)
        raise
    finally:
        release_claims()
    if ending is Ending.INTERRUPTED:
        return ending
    if noted:
        clear_failures(store, [orders.identity])
    if len(orders.candidate_ids) <= _MOST_CANDIDATES:
        update_summaries(store, list(orders.candidate_ids))
    return ending


def look_after_others(store: HaloflowStore, manager: Callable[[], Manager]) -> None:
    """Let run again what other jobs lost, unless somebody has looked of late.

    Jobs do this as they begin and end, so that sweeps look after themselves. Trouble with it
    is not theirs.
    """
    with suppress(HaloflowError, PyMongoError, OSError):  # not theirs
        if _is_due(store, get_settings().watch_s):
            from .watching import recover_all  # noqa: PLC0415  (imports all that plans sweeps)

            recover_all(store, manager())


def _is_due(store: HaloflowStore, interval_s: float) -> bool:
    """Tell one of all that ask within an interval that it is their turn."""
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = store.meta._collection  # noqa: SLF001  (maggma has no update on a condition)
    old = {"_id": _LAST, "at": {"$lt": now - timedelta(seconds=interval_s)}}
    if rows.update_one(old, {"$set": {"at": now}}).matched_count:
        return True
    with suppress(DuplicateKeyError):  # another was faster: it is its turn
        rows.insert_one({"_id": _LAST, "at": now})
        return True
    return False


@contextmanager
def equipped_for(orders: Orders) -> Iterator[None]:
    """Let the settings be those of a step: its threads, and no GPU where it asked for none."""
    own = {"HALOFLOW_THREADS_PER_WORKER": str(orders.cores)}
    if orders.gpus == 0:
        own["HALOFLOW_DEVICE"] = "cpu"
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    get_settings.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        get_settings.cache_clear()


def _attempt(
    job: Job, orders: Orders, store: HaloflowStore, tell: Callable[[str], None] | None
) -> Ending:
    attempt = Attempt(store, orders)
    try:
        with limited_to(orders.walltime_s), equipped_for(orders):
            job.run(store.jobstore)
    except (InterruptedRunError, ClaimError) as reason:  # a checkpoint, or another is at it
        attempt.interrupted(reason.problem)
        if tell is not None:
            tell(reason.problem)
        return Ending.INTERRUPTED
    attempt.close()
    return Ending.DONE


def _is_done(job: Job, orders: Orders, store: HaloflowStore) -> bool:
    """Tell whether the document is stored, from all that is there to start from by now."""
    own = heads(store, [orders.identity]).get(orders.identity)
    if own is None:
        return False
    return job.maker.needs_all_inputs or used_all(own, heads(store, orders.after))


def _can_start(job: Job, orders: Orders, store: HaloflowStore) -> bool:
    """Tell whether what the step starts from is there and did not break down."""
    found = heads(store, orders.after)
    if not job.maker.needs_all_inputs:
        essential = {job.function_kwargs["parents"][name] for name in job.maker.essential}
        return (bool(found) or not orders.after) and found.keys() >= essential & {*orders.after}
    broken = (Status(head.get("status", Status.OK)).broke_down for head in found.values())
    return found.keys() == set(orders.after) and not any(broken)
