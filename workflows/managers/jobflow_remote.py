"""Steps on jobflow-remote: a project takes them, its runner sends them to a worker's queue."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import Flow
from jobflow_remote.config.base import ConfigError
from jobflow_remote.config.manager import ConfigManager
from jobflow_remote.jobs.jobcontroller import JobController
from jobflow_remote.jobs.state import JobState as RemoteState
from jobflow_remote.utils.db import FlowLockedError, JobLockedError

from ...errors import InputError
from ...stores.mongodb import translated
from ..run import candidates_by_step
from .base import (
    NONE_ABANDONED,
    UNFINISHED,
    JobPhase,
    JobState,
    Submission,
    require_server,
)
from .batch import look_at_queue
from .flows import pending_components, with_skipped
from .jobflow_remote_runner import ensure_runner
from .jobflow_remote_states import (
    EARLIER_FIELD,
    FIELDS,
    ORDERS_FIELD,
    cause_of_row,
    furthest,
    is_lost,
    job_state,
    phase_of,
    run_s,
)
from .jobflow_remote_task import IDENTITY, carrier
from .queue_words import gpus_in, step_options
from .resources import Usual, orders_of, resources_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from jobflow import Job
    from jobflow_remote.config.base import Project, WorkerBase

    from ...stores.connection import HaloflowStore
    from ..plan import Plan
    from ..steps import PlannedStep
    from .batch import QueueView
    from .flows import Component
    from .resources import Resources
    from .task import Orders

_IDENTITY_FIELD = f"job.metadata.{IDENTITY}"
_BATCH = 1000
_LOCK_S = 20
_NOT_SENT = ("WAITING", "READY", "PAUSED", "FAILED", "REMOTE_ERROR")
_STATES = {state.value: state for state in RemoteState}


class JobflowRemoteManager:
    """jobflow-remote, as it is configured on this machine.

    Parameters
    ----------
    project
        Name of a project; default: that of ``JFREMOTE_PROJECT``, or the only one there is.
    """

    name = "jobflow-remote"
    starter = ""  # the runner, which is started here

    def __init__(self, project: str | None = None) -> None:
        self.project = configured_project(project)
        self.watch_log = Path(str(self.project.log_dir)) / "watchdog.log"

    def close(self) -> None:
        """Do nothing: each call opens the project's database for itself."""

    def submit(self, plan: Plan, store: HaloflowStore) -> Submission:
        """Add the steps of `plan` without a result, and see that the runner runs."""
        require_server(store)
        with self._controller() as controller:
            prepare(controller)
            known = self._told_again(controller, plan)
            components = pending_components(plan, known)
            candidates = candidates_by_step(plan)
            for component in components:
                flow = self._flow(component, plan, store, candidates)
                controller.add_flow(flow, worker=next(iter(self.project.workers)))
            if components or known:
                ensure_runner(self.project, controller)
        n_jobs = sum(len(component.steps) for component in components)
        return Submission(len(components), n_jobs, len(known), plan.n_reused)

    def _told_again(self, controller: JobController, plan: Plan) -> set[str]:
        """Let unfinished jobs that do not run yet ask for what the sweep says now."""
        phases: dict[str, JobPhase] = {}
        for identity, rows in self._jobs(controller, plan.to_run).items():
            phases[identity] = phase_of(furthest(rows)["state"])
            step = plan.to_run[identity]
            asked = self._resources(step, plan)
            orders = orders_of(step, asked, ()).about_resources()
            name, worker = self._worker(asked)
            told = {f"{ORDERS_FIELD}.{field}": value for field, value in orders.items()}
            told |= {"worker": name, "resources": _queue_resources(worker, asked)}
            for row in rows:
                if row["state"] in _NOT_SENT:
                    same = {"db_id": row["db_id"], "state": row["state"], "lock_id": None}
                    controller.jobs.update_one(same, {"$set": told})
        unfinished = {i for i, phase in phases.items() if phase in UNFINISHED}
        return with_skipped(plan, unfinished, {i for i, phase in phases.items() if phase == "done"})

    def states(self, identities: Collection[str]) -> dict[str, JobState]:
        """Return where the jobs of these steps stand, of several the one that got furthest."""
        with self._controller() as controller:
            found = self._jobs(controller, identities)
        queues = {name: _queue_of(worker) for name, worker in self.project.workers.items()}
        rows = {identity: furthest(several) for identity, several in found.items()}
        return {identity: job_state(row, queues[row["worker"]]) for identity, row in rows.items()}

    def retry(self, identities: Collection[str]) -> set[str]:
        """Let the failed ones run again, and with them what ran on without their results."""
        return self._act(identities, {"failed"}, _run_again)

    def cancel(self, identities: Collection[str]) -> set[str]:
        """Stop what is unfinished; jobs in the queue are taken out of it."""

        def stop(controller: JobController, row: Mapping[str, Any]) -> None:
            if row["state"] in {"WAITING", "PAUSED", "FAILED", "REMOTE_ERROR"}:
                stopped = RemoteState.USER_STOPPED
                controller.set_job_state(stopped, db_id=row["db_id"], wait=_LOCK_S)
            else:
                controller.stop_job(db_id=row["db_id"], wait=_LOCK_S)

        return self._act(identities, UNFINISHED, stop)

    def pause(self, identities: Collection[str]) -> set[str]:
        """Pause what has not been sent to the queue."""

        def pause(controller: JobController, row: Mapping[str, Any]) -> None:
            controller.pause_job(db_id=row["db_id"], wait=_LOCK_S)

        return self._act(identities, {"waiting", "queued"}, pause, {"WAITING", "READY"})

    def resume(self, identities: Collection[str]) -> set[str]:
        """Let what was paused run."""

        def resume(controller: JobController, row: Mapping[str, Any]) -> None:
            controller.resume_job(db_id=row["db_id"], wait=_LOCK_S)

        return self._act(identities, {"paused"}, resume)

    def recover(
        self,
        identities: Collection[str],
        abandoned: Mapping[str, datetime] = NONE_ABANDONED,
        claimed: Collection[str] = frozenset(),
    ) -> set[str]:
        """Restart a dead runner; run again what was killed, or failed on the way to a worker."""
        if not identities:
            return set()
        with self._controller() as controller:
            ensure_runner(self.project, controller)
        return self._act(identities, {"failed"}, _run_again, only=is_lost)

    @contextmanager
    def _controller(self) -> Iterator[JobController]:
        where = str(self.project.get_queue_store().uri or self.project.name)
        with translated(where):
            controller = JobController.from_project(self.project)
            try:
                yield controller
            finally:
                controller.close()

    def _jobs(
        self, controller: JobController, identities: Iterable[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return what is noted about the jobs of steps, the last index of each."""
        latest: dict[str, dict[str, Any]] = {}
        for some in _batches(identities):
            wanted = {_IDENTITY_FIELD: {"$in": some}}
            for row in controller.jobs.find(wanted, FIELDS, sort=[("index", 1)]):
                row["run_s_before"] = run_s(latest.get(row["uuid"]))
                latest[row["uuid"]] = row
        found: dict[str, list[dict[str, Any]]] = {}
        for row in latest.values():
            found.setdefault(row["job"]["metadata"][IDENTITY], []).append(row)
        return found

    def _act(
        self,
        identities: Collection[str],
        phases: Collection[str],
        act: Callable[[JobController, Mapping[str, Any]], None],
        states: Collection[str] = frozenset(_STATES),
        only: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> set[str]:
        """Apply `act` to the jobs in these phases; leave out what changed meanwhile."""
        changed = set()
        with self._controller() as controller:
            for identity, rows in self._jobs(controller, identities).items():
                for row in rows:
                    fits = phase_of(row["state"]) in phases and row["state"] in states
                    if not fits or (only is not None and not only(row)):
                        continue
                    with suppress(JobLockedError, FlowLockedError, ValueError):  # changed
                        act(controller, row)
                        changed.add(identity)
        return changed

    def _flow(
        self,
        component: Component,
        plan: Plan,
        store: HaloflowStore,
        candidates: Mapping[str, list[str]],
    ) -> Flow:
        made: dict[str, Job] = {}
        for step in component.steps:
            asked = self._resources(step, plan)
            name, worker = self._worker(asked)
            orders = orders_of(step, asked, candidates[step.identity])
            require_time(worker, orders)
            require_room(worker, orders)
            made[step.identity] = carrier(
                step,
                orders,
                store.jobstore,
                [made[i].output for i in step.after if i in made],
                sweep=plan.sweep.name,
                resources=_queue_resources(worker, asked),
                worker=name,
            )
        return Flow(list(made.values()), name=component.name)

    def _resources(self, step: PlannedStep, plan: Plan) -> Resources:
        """Return what a step asks of a worker that is called after what it has, or the first."""
        workers = self.project.workers
        usual = Usual.of(workers.get("gpu", next(iter(workers.values()))).pre_run)
        return resources_of(step, plan.sweep, usual)

    def _worker(self, asked: Resources) -> tuple[str, WorkerBase]:
        """Return the worker called ``cpu`` or ``gpu`` after what is asked, else the first."""
        workers = self.project.workers
        name = asked.category if asked.category in workers else next(iter(workers))
        return name, workers[name]


def configured_project(name: str | None) -> Project:
    """Return the project of this name, or the one that jobflow-remote takes by default.

    Raises
    ------
    InputError
        There is none, or it has no worker.
    """
    try:
        project = ConfigManager().get_project(name)
    except ConfigError as error:
        raise InputError(
            "jobflow-remote is not configured on this machine",
            given=" ".join(str(error).split()),
            remedy="write a project with `haloflow setup --to jobflow-remote`; where there "
            "are several, name one in JFREMOTE_PROJECT",
        ) from error
    if not project.workers:
        raise InputError(
            "the project of jobflow-remote has no worker",
            given=project.name,
            remedy="write one with `haloflow setup --to jobflow-remote`",
        )
    return project


def require_time(worker: WorkerBase, orders: Orders) -> None:
    """Refuse a packed worker whose jobs end before a step could reach a checkpoint.

    Raises
    ------
    InputError
        The second half of such a job, which a step can count on, is too short.
    """
    if worker.batch is None or worker.batch.max_time is None:
        return
    if orders.checkpoint_s > worker.batch.max_time:
        raise InputError(
            "a packed job of this worker is too short for a step",
            given=f"{orders.name}: about {orders.checkpoint_s:.0f} s to a checkpoint, of "
            f"{worker.batch.max_time:.0f} s",
            remedy="run `haloflow setup` with a longer --walltime, or without --packed; or let "
            "the step write checkpoints more often",
        )


def require_room(worker: WorkerBase, orders: Orders) -> None:
    """Refuse a packed worker that runs more steps at once on a GPU than fit there.

    Raises
    ------
    InputError
        The step allows fewer. A worker whose options do not say how many GPUs it has is not
        refused.
    """
    if worker.batch is None or not orders.gpus:
        return
    if (gpus := gpus_in(worker.resources or {})) is None:
        return
    on_one = ceil((worker.batch.parallel_jobs or 1) / gpus)
    if on_one > orders.replicas_per_gpu:
        raise InputError(
            "this worker runs more steps at once on a GPU than fit there",
            given=f"{orders.name}: {on_one} on one GPU",
            allowed=f"up to {orders.replicas_per_gpu}, by the estimate or by the sweep",
            remedy="run `haloflow setup` with a smaller --side-by-side; or, if they do fit, set "
            f"HALOFLOW_GPU_MEMORY_GB or `resources: {{{orders.stage}: {{replicas_per_gpu: ...}}}}`",
        )


def prepare(controller: JobController) -> None:
    """Give a new project its collections, and an index to find steps by."""
    if controller.auxiliary.find_one({"next_id": {"$exists": True}}) is None:
        controller.reset(max_limit=1)
    controller.jobs.create_index(_IDENTITY_FIELD, background=True)


def _queue_resources(worker: WorkerBase, asked: Resources) -> dict[str, Any] | None:
    """Return the worker's own resources with what the step asks for in their place."""
    if worker.is_batch or not isinstance(worker.scheduler_type, str):
        return None
    return step_options(worker.scheduler_type, worker.resources or {}, asked) or None


def _queue_of(worker: WorkerBase) -> QueueView | None:
    """Return the queue of a worker that submits on this machine."""
    here = worker.is_local and isinstance(worker.scheduler_type, str)
    return look_at_queue(str(worker.scheduler_type).upper()) if here else None


def _run_again(controller: JobController, row: Mapping[str, Any]) -> None:
    noted = {"$push": {EARLIER_FIELD: cause_of_row(row)}}
    controller.jobs.update_one({"db_id": row["db_id"]}, noted)
    if row["state"] == RemoteState.REMOTE_ERROR.value:
        controller.retry_job(db_id=row["db_id"], wait=_LOCK_S)
    else:
        controller.rerun_job(db_id=row["db_id"], force=True, wait=_LOCK_S)


def _batches(items: Iterable[str]) -> Iterator[list[str]]:
    wanted = list(items)
    return (wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH))
