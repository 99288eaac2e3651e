"""Running the job of a step in a queue: nobody is there to tell, so the store is told all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from pymongo.errors import PyMongoError

from ...errors import ClaimError, InterruptedRunError, StoreError
from ...makers.step import limited_to, release_claims
from ...quantity import Status
from ...stores.results import clear_failures, failures, heads, record_failure, used_all
from ..status import update_summaries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobflow import Job

    from ...stores.connection import HaloflowStore

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
    """

    identity: str
    name: str
    after: tuple[str, ...]
    candidate_ids: tuple[str, ...]
    walltime_s: float
    cores: int
    estimated_core_hours: float

    def as_record(self) -> dict[str, Any]:
        """Return plain types."""
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "after": list(self.after),
            "candidate_ids": list(self.candidate_ids),
        }

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
    Exception
        Whatever the step raised, but for an interruption.
    """
    if not _can_start(job, orders, store):
        return Ending.SKIPPED
    noted = failures(store, [orders.identity])
    try:
        if not _is_done(job, orders, store):
            with limited_to(orders.walltime_s):
                job.run(store.jobstore)
    except (InterruptedRunError, ClaimError) as reason:  # a checkpoint, or another is at it
        if tell is not None:
            tell(reason.problem)
        return Ending.INTERRUPTED
    except Exception as error:
        with suppress(StoreError, PyMongoError):  # the manager keeps the traceback
            message = str(error) or type(error).__name__
            record_failure(store, orders.identity, orders.name, message)
        raise
    finally:
        release_claims()
    if noted:
        clear_failures(store, [orders.identity])
    if len(orders.candidate_ids) <= _MOST_CANDIDATES:
        update_summaries(store, list(orders.candidate_ids))
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
        return bool(found) or not orders.after
    broken = (Status(head.get("status", Status.OK)).broke_down for head in found.values())
    return found.keys() == set(orders.after) and not any(broken)
