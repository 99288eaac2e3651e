"""What jobflow-remote notes about its jobs, in haloflow's words."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .base import JobPhase, JobState, cause_of, tail_of
from .jobflow_remote_task import EARLIER, IDENTITY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .batch import QueueView

EARLIER_FIELD = f"job.metadata.{EARLIER}"
ORDERS_FIELD = "job.function_kwargs.orders"
FIELDS = (
    *("uuid", "index", "db_id", "state", "start_time", "end_time", "worker", "error", "remote"),
    *("job.metadata", f"{ORDERS_FIELD}.cores", f"{ORDERS_FIELD}.estimated_core_hours"),
)
_PHASES: dict[str, JobPhase] = {
    "WAITING": "waiting",
    "READY": "queued",
    "CHECKED_OUT": "queued",
    "UPLOADED": "queued",
    "SUBMITTED": "queued",
    "BATCH_SUBMITTED": "queued",
    "RUNNING": "running",
    "BATCH_RUNNING": "running",
    "RUN_FINISHED": "running",
    "DOWNLOADED": "running",
    "COMPLETED": "done",
    "PAUSED": "paused",
    "FAILED": "failed",
    "REMOTE_ERROR": "failed",
    "STOPPED": "cancelled",
    "USER_STOPPED": "cancelled",
}
_FURTHEST: Sequence[JobPhase] = (
    *("running", "done", "queued", "paused", "waiting", "failed", "cancelled"),
)
_LOST = re.compile(
    r"does not contain the response|was not present in the download|output store file"
    r"|^pymongo\.errors\.|StoreTimeoutError: ",
    re.MULTILINE,
)
_END = re.compile(r"time limit|walltime|cancelled|memory|killed", re.IGNORECASE)
"""What queues write about jobs that they end."""
_KILLED = "the job was killed: by the queue, its time limit, or its machine"


def phase_of(state: str) -> JobPhase:
    """Return the phase that a state of jobflow-remote means."""
    return _PHASES[state]


def is_lost(row: Mapping[str, Any]) -> bool:
    """Tell whether a job failed without a fault of the step: killed, or cut off from something."""
    return row["state"] == "REMOTE_ERROR" or _LOST.search(row.get("error") or "") is not None


def run_s(row: Mapping[str, Any] | None) -> float:
    """Return the wall time of a job and of those that it replaced."""
    if row is None:
        return 0.0
    before = float(row.get("run_s_before", 0.0))
    started, ended = row.get("start_time"), row.get("end_time")
    if started is None or (ended is None and phase_of(row["state"]) != "running"):
        return before
    until = ended or datetime.now(UTC).replace(tzinfo=None)
    return before + float(max((until - started).total_seconds(), 0.0))


def furthest(rows: Collection[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the job of a step that got furthest; another sweep may have brought a second one."""
    return min(rows, key=lambda row: _FURTHEST.index(phase_of(row["state"])))


def job_state(row: Mapping[str, Any], queue: QueueView | None) -> JobState:
    """Return a job in haloflow's words.

    Parameters
    ----------
    row
        With `FIELDS`.
    queue
        That of the worker, where it is known.
    """
    remote = row.get("remote") or {}
    phase, orders = phase_of(row["state"]), row["job"]["function_kwargs"]["orders"]
    queue_id = remote.get("process_id")
    failed = phase == "failed"
    return JobState(
        identity=row["job"]["metadata"][IDENTITY],
        phase=phase,
        job_id=str(row["db_id"]),
        queue_id=queue_id,
        queue_position=queue.positions.get(queue_id) if queue and queue_id else None,
        cause=cause_of_row(row) if failed else "",
        tail=_tail(row) if failed else "",
        earlier=tuple(row["job"]["metadata"].get(EARLIER, ())),
        run_s=run_s(row),
        cores=int(orders["cores"]),
        estimated_core_hours=float(orders["estimated_core_hours"]),
    )


def cause_of_row(row: Mapping[str, Any]) -> str:
    """Return why a job failed, in one line."""
    error = _error(row)
    if row["state"] == "FAILED" and "\n" not in error.strip() and is_lost(row):
        told = [line for line in _of_queue(row).splitlines() if _END.search(line)]
        return f"the job was killed: {told[-1].strip()}" if told else _KILLED
    return cause_of(error)


def _error(row: Mapping[str, Any]) -> str:
    return row.get("error") or (row.get("remote") or {}).get("error") or ""


def _tail(row: Mapping[str, Any]) -> str:
    """Return the end of the traceback and of what the job itself wrote last."""
    return tail_of("\n".join(part for part in (_error(row), _of_queue(row)) if part))


def _of_queue(row: Mapping[str, Any]) -> str:
    """Return what the job and its queue wrote to the file of errors."""
    return (row.get("remote") or {}).get("queue_err") or ""
