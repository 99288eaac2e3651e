"""One job through jobflow-remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobflow import Flow
from jobflow_remote.jobs.jobcontroller import JobController

from .base import tail_of
from .jobflow_remote import configured_project, prepare
from .jobflow_remote_runner import ensure_runner
from .jobflow_remote_states import phase_of
from .preflight import Fate

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import Job, JobStore

    from ...stores.connection import HaloflowStore

_LOCK_S = 20


class JobflowRemoteProbe:
    """Takes one job through the project that is configured on this machine."""

    def __init__(self) -> None:
        self._project = configured_project(None)
        self._controller = JobController.from_project(self._project)
        self._flow: str | None = None
        name = self._project.name
        self.remedy = f"look at `jf -p {name} runner status` and `jf -p {name} project check`"

    def register(self, _store: HaloflowStore) -> None:
        """Do nothing: the runner of a project asks the queue for its own jobs only."""

    def send(self, job: Job, _records: JobStore, _folder: Path) -> None:
        """Add the job, and see that the runner runs."""
        prepare(self._controller)
        flow = Flow([job], name=job.name)
        self._controller.add_flow(flow, worker=next(iter(self._project.workers)))
        self._flow = flow.uuid
        ensure_runner(self._project, self._controller)

    def fate(self) -> Fate:
        """Say in which state the job is."""
        row = self._controller.jobs.find_one({"job.hosts": self._flow})
        if row is None:
            return Fate("jobflow-remote does not know the job", failed=True)
        words = f"{row['state']} on worker {row['worker']}"
        if number := row["remote"].get("process_id"):
            words += f", {number} in its queue"
        error = row.get("error") or row["remote"].get("error") or ""
        return Fate(words, phase_of(row["state"]) == "failed", tail_of(error))

    def withdraw(self) -> None:
        """Stop the job where it still runs, and forget it."""
        if self._flow is not None:
            how = {"delete_output": True, "cancel_processes": True}
            self._controller.delete_flow(self._flow, wait=_LOCK_S, **how)
        self._controller.close()
