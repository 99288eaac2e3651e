"""What fireworks and their launches say about the jobs of steps."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import JobPhase, JobState, cause_of, tail_of
from .fireworks_task import IDENTITY, ORDERS, WHY
from .task import Orders

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .batch import QueueView

LAUNCH_FIELDS = {
    "launch_id": 1,
    "fw_id": 1,
    "state": 1,
    "launch_dir": 1,
    "host": 1,
    "fworker.env": 1,
    "state_history": 1,
    "action.stored_data._exception._stacktrace": 1,
    f"action.stored_data.{WHY}": 1,
}
_PHASES: dict[str, JobPhase] = {
    "RUNNING": "running",
    "RESERVED": "queued",
    "READY": "queued",
    "PAUSED": "paused",
    "WAITING": "waiting",
    "FIZZLED": "failed",
    "COMPLETED": "done",
    "DEFUSED": "cancelled",
    "ARCHIVED": "cancelled",
}
_RANKS = {state: rank for rank, state in enumerate(_PHASES)}
"""Of several fireworks for a step, the first of these states counts."""
_LOG_BYTES = 4000


def job_states(
    fireworks: Iterable[Mapping[str, Any]],
    launches: Mapping[int, Mapping[str, Any]],
    queue: QueueView | None,
) -> dict[str, JobState]:
    """Return one state per step, by identity."""
    by_step: dict[str, list[Mapping[str, Any]]] = {}
    for row in fireworks:
        by_step.setdefault(row["spec"][IDENTITY], []).append(row)
    return {i: _state(i, rows, launches, queue) for i, rows in by_step.items()}


def _state(
    identity: str,
    rows: list[Mapping[str, Any]],
    launches: Mapping[int, Mapping[str, Any]],
    queue: QueueView | None,
) -> JobState:
    row = min(rows, key=lambda one: (_RANKS[one["state"]], -one["fw_id"]))
    orders = Orders.of(row["spec"][ORDERS])
    all_ids = {i for one in rows for i in (*one["launches"], *one["archived_launches"])}
    attempts = [launches[i] for i in sorted(all_ids) if i in launches]
    own = [launches[i] for i in row["launches"] if i in launches]
    queue_id = queue_id_of(own[-1]) if own else None
    text = ""
    if row["state"] == "FIZZLED":
        details = row["spec"].get("_exception_details") or {}
        text = _failure(own[-1]) if own else str(details.get("_stacktrace", ""))
    return JobState(
        identity=identity,
        phase=_PHASES[row["state"]],
        job_id=str(row["fw_id"]),
        queue_id=queue_id,
        queue_position=queue.positions.get(queue_id) if queue and queue_id else None,
        cause=cause_of(text) if row["state"] == "FIZZLED" else "",
        tail=tail_of(text),
        earlier=_earlier(attempts, own[-1] if own and row["state"] == "FIZZLED" else None),
        run_s=sum(_run_s(launch) for launch in attempts),
        cores=orders.cores,
        estimated_core_hours=orders.estimated_core_hours,
    )


def _earlier(
    attempts: Iterable[Mapping[str, Any]], present: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Return why attempts before the present one failed or were interrupted."""
    found = []
    for launch in attempts:
        stored = (launch.get("action") or {}).get("stored_data") or {}
        if why := stored.get(WHY):
            found.append(str(why))
        elif launch["state"] == "FIZZLED" and launch is not present:
            found.append(cause_of(_failure(launch)))
    return tuple(found)


def queue_id_of(launch: Mapping[str, Any]) -> str | None:
    """Return the id that the machine's queue gave the launch, if it went through one."""
    ids = [
        entry["reservation_id"] for entry in launch["state_history"] if "reservation_id" in entry
    ]
    return str(ids[-1]) if ids else None


def _failure(launch: Mapping[str, Any]) -> str:
    """Return the traceback of a launch, or what its queue wrote where it left none."""
    stored = (launch.get("action") or {}).get("stored_data") or {}
    if trace := (stored.get("_exception") or {}).get("_stacktrace"):
        return str(trace)
    heard = (
        launch["state_history"][-1].get("updated_on", "never") if launch["state_history"] else ""
    )
    lost = f"the job was lost with its process on {launch.get('host')}, last heard of {heard}"
    if started_at(launch) is None:
        lost = "its jobs left the queue again and again without having begun"
    log = _log(Path(launch["launch_dir"]))
    return f"{log}\n{lost}: {log.splitlines()[-1]}" if log else lost


def _log(folder: Path) -> str:
    """Return the end of what the queue wrote about the job, where its disk is here."""
    try:
        files = [*folder.glob("*.error"), *folder.glob("*.e[0-9]*")]
        newest = max(files, key=lambda path: path.stat().st_mtime, default=None)
        if newest is None:
            return ""
        with newest.open("rb") as file:
            file.seek(max(0, newest.stat().st_size - _LOG_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:  # the folder of the launch is on another machine
        return ""


def started_at(launch: Mapping[str, Any]) -> datetime | None:
    """Return when the launch began to run, if it did."""
    for entry in launch["state_history"]:
        if entry["state"] == "RUNNING":
            return time_of(entry["created_on"])
    return None


def _run_s(launch: Mapping[str, Any]) -> float:
    if (started := started_at(launch)) is None:
        return 0.0
    last = launch["state_history"][-1]
    ended = (
        datetime.now(UTC)
        if launch["state"] == "RUNNING"
        else time_of(last.get("updated_on", last["created_on"]))
    )
    return max((ended - started).total_seconds(), 0.0)


def time_of(value: str | datetime) -> datetime:
    """Return a time as FireWorks writes it here or there, in UTC."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=moment.tzinfo or UTC)
