"""The local manager: runs a sweep's steps side by side in worker processes."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..errors import ClaimError, SweepError
from ..makers.progress import Progress, read_progress
from ..makers.step import step_directory
from ..makers.walltime import walltime_left_s
from ..settings import get_settings
from ..stores.claims import Claims
from ..stores.connection import open_store
from ..stores.homes import require_own_files
from ..stores.mongodb import translated
from ..stores.results import clear_failures, failures, forget, record_failure
from ..stores.saved_runs import forget_saved
from .mending import mend
from .plan import plan_sweep
from .pool import WorkerPool
from .queue import StepQueue
from .status import record_candidates, update_summaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from ..stores.connection import HaloflowStore
    from .plan import Plan
    from .steps import PlannedStep
    from .sweep import Sweep
    from .worker import Outcome

_POLL_S = 0.5
_REFRESH_S = 2.0
_LOOK_INTERVAL_S = 1.0
_MAX_DEFAULT_WORKERS = 8


@dataclass(frozen=True)
class StepLabel:
    """A step for people."""

    candidate_id: str
    candidate_label: str
    step_name: str
    kind: str
    identity: str

    def __str__(self) -> str:
        return f"{self.candidate_label}: {self.step_name}"


class RunObserver(Protocol):
    """Is told what happens, in the manager's process and thread."""

    def planned(self, plan: Plan) -> None:
        """Note what will run."""

    def started(self, label: StepLabel) -> None:
        """Note that a worker took a step."""

    def progressed(self, label: StepLabel, progress: Progress) -> None:
        """Note how far a running step has come; about twice a second."""

    def finished(self, label: StepLabel, wall_s: float) -> None:
        """Note a stored result."""

    def failed(self, label: StepLabel, message: str) -> None:
        """Note a step without a result, or one that was never possible."""

    def skipped(self, label: StepLabel, message: str) -> None:
        """Note a step that does not run, because one before it decomposed or diverged."""


@dataclass
class RunReport:
    """How a run of a sweep went."""

    plan: Plan
    n_done: int = 0
    n_reused: int = 0
    failures: list[tuple[StepLabel, str]] = field(default_factory=list)
    skipped: list[tuple[StepLabel, str]] = field(default_factory=list)
    interrupted: bool = False
    wall_s: float = 0.0

    @property
    def n_failed(self) -> int:
        """Number of steps without a result, less those whose start broke down."""
        return len(self.failures)


def run_sweep(
    sweep: Sweep,
    store_uri: str,
    *,
    workers: int | None = None,
    force: bool = False,
    over_budget: bool = False,
    observer: RunObserver | None = None,
) -> RunReport:
    """Run all of `sweep` that is not in the store yet.

    Killed at any moment and called again, it loses at most one checkpoint interval of each
    running step and repeats nothing that was finished.

    Parameters
    ----------
    sweep
        What to screen.
    store_uri
        Folder of the embedded store, or a ``mongodb://`` URI.
    workers
        Steps that run side by side; default: settings, else one per core up to 8.
    force
        Run everything again from the start.
    over_budget
        Run though the estimate is above the budget.

    Raises
    ------
    SweepError, CompositionError, UnknownNameError, CoverageError, StoreError
        Before anything runs.
    """
    count = workers if workers is not None else get_settings().workers or _default_workers()
    if count < 1:
        raise SweepError("a run needs workers", given=count, allowed="1 or more")
    open_store(store_uri).close()  # a server that is not there is told at once
    with (
        translated(store_uri),
        open_store(store_uri, patience_s=get_settings().patience_s) as store,
    ):
        plan = plan_sweep(sweep, store)
        if not over_budget:
            plan.require_budget(from_start=force)
        if force:
            _forget_all(store, plan)
            plan = plan_sweep(sweep, store)
        else:
            forget(store, plan.outdated)
            if mend(store, plan.to_run.keys()):
                plan = plan_sweep(sweep, store)
        return run_plan(plan, store, workers=count, observer=observer)


def run_plan(
    plan: Plan, store: HaloflowStore, *, workers: int, observer: RunObserver | None = None
) -> RunReport:
    """Run the steps of `plan` that have no result yet; the rest is as in `run_sweep`."""
    started = time.monotonic()
    record_candidates(store, plan)
    report = RunReport(plan, n_reused=plan.n_reused)
    labels = step_labels(plan)
    report.skipped += [(labels[i], "not run: what it starts from broke down") for i in plan.skipped]
    if observer:
        observer.planned(plan)
    if plan.to_run:
        manager = _Manager(store, plan, report, observer)
        with (
            WorkerPool(min(workers, len(plan.to_run)), store.uri) as pool,
            _stop_signals(manager),
        ):
            manager.run(pool)
    update_summaries(store)
    report.wall_s = time.monotonic() - started
    return report


def _forget_all(store: HaloflowStore, plan: Plan) -> None:
    """Remove results, trajectories and checkpoints of all steps of `plan`."""
    live = Claims(store.claims).live(plan.steps)
    if live:
        raise ClaimError(
            "another process runs steps of this sweep, which cannot be run again from the start",
            given="; ".join(str(claim) for claim in live.values()),
            remedy="wait for that process, or stop it",
        )
    require_own_files(store)
    own = plan.steps.keys() - plan.of_others
    forget(store, own)
    forget_saved(store, own)
    for identity in own:
        directory = step_directory(store.files_dir, identity)
        if directory.exists():
            shutil.rmtree(directory)


def _walltime_is_over() -> bool:
    left_s = walltime_left_s()
    return left_s is not None and left_s <= 0


def _default_workers() -> int:
    return min(_MAX_DEFAULT_WORKERS, len(os.sched_getaffinity(0)))


class _Manager:
    """Hands ready steps to idle workers until none is left."""

    def __init__(
        self, store: HaloflowStore, plan: Plan, report: RunReport, observer: RunObserver | None
    ) -> None:
        self._store = store
        self._report = report
        self._observer = observer
        self._labels = step_labels(plan)
        self._steps = plan.steps
        self._beside_others = {i for i, s in plan.to_run.items() if s.maker.runs_beside_others}
        done = plan.done | plan.skipped
        self._queue = StepQueue(plan.to_run.values(), done, apart=self._beside_others)
        self._claims = Claims(store.claims)
        self._claimed: set[str] = set()
        self._look_at = 0.0
        self._candidates = candidates_by_step(plan)
        self._changed: set[str] = set()
        self._refresh_at = self._show_at = 0.0
        self._noted = failures(store, plan.to_run)
        self.stopping = False

    def run(self, pool: WorkerPool) -> None:
        """Run until everything is done or failed, or a signal asks to stop."""
        while pool.busy or (self._queue.open and not self.stopping):
            if not self.stopping:
                self._hand_out(pool)
            self.stopping |= not pool.busy and _walltime_is_over()
            if self.stopping:
                pool.terminate()
            self._refresh_summaries()
            for outcome in pool.wait(_POLL_S):
                self._take_in(outcome)
            if time.monotonic() >= self._show_at:
                self._show_progress(pool.running)
                self._show_at = time.monotonic() + _POLL_S
        self._report.interrupted = self.stopping

    def _hand_out(self, pool: WorkerPool) -> None:
        """Let what runs side by side do so in one worker; the rest goes to idle ones."""
        beside: list[PlannedStep] = []
        free = get_settings().batch - pool.n_together if self._beside_others else 0
        while (pool.n_together or pool.idle) and len(beside) < free:
            if (step := self._next(beside_others=True)) is None:
                break
            beside.append(step)
        if beside:
            pool.submit_together(beside)
        while pool.idle and (step := self._next(beside_others=False)) is not None:
            pool.submit(step)
            beside.append(step)
        for step in beside:
            self._notify_started(step)

    def _next(self, *, beside_others: bool) -> PlannedStep | None:
        """Take the most urgent step, of those for one worker, that no other process is at."""
        elsewhere: list[PlannedStep] = []
        while (step := self._queue.take(apart=beside_others)) and self._is_claimed(step):
            elsewhere.append(step)
        for other in elsewhere:
            self._queue.put_back(other)
        return step

    def _is_claimed(self, step: PlannedStep) -> bool:
        """Tell whether a process was at the step a second ago; the worker looks again."""
        now = time.monotonic()
        if now >= self._look_at:
            self._claimed = set(self._claims.live())
            self._look_at = now + _LOOK_INTERVAL_S
        return step.identity in self._claimed

    def _take_in(self, outcome: Outcome) -> None:
        label = self._labels[outcome.identity]
        if outcome.is_elsewhere:
            self._queue.put_back(self._steps[outcome.identity])
            self._look_at = 0.0
            return
        if outcome.interrupted:
            self.stopping = True
            return
        if not outcome.error:
            self._finish(label, outcome)
            return
        record_failure(self._store, outcome.identity, label.step_name, outcome.error)
        self._noted[outcome.identity] = outcome.error
        for identity in self._queue.failed(outcome.identity):
            self._changed.update(self._candidates[identity])
            own = identity == outcome.identity
            message = outcome.error if own else f"waits for {label.step_name}, which failed"
            self._report.failures.append((self._labels[identity], message))
            if self._observer:
                self._observer.failed(self._labels[identity], message)

    def _finish(self, label: StepLabel, outcome: Outcome) -> None:
        self._report.n_done += 1
        if outcome.identity in self._noted:
            clear_failures(self._store, [outcome.identity])
        self._changed.update(self._candidates[outcome.identity])
        if self._observer:
            self._observer.finished(label, outcome.wall_s)
        if not outcome.status.broke_down:
            self._queue.finished(outcome.identity)
            return
        message = f"not run: {label.step_name} {outcome.status.value}"
        for identity in self._queue.broken(outcome.identity):
            self._report.skipped.append((self._labels[identity], message))
            if self._observer:
                self._observer.skipped(self._labels[identity], message)

    def _refresh_summaries(self) -> None:
        """Summarize the candidates that changed, in a twentieth of the time at most."""
        started = time.monotonic()
        if self._changed and started >= self._refresh_at:
            update_summaries(self._store, sorted(self._changed))
            self._changed.clear()
            now = time.monotonic()
            self._refresh_at = now + max(_REFRESH_S, 20 * (now - started))

    def _notify_started(self, step: PlannedStep) -> None:
        if self._observer:
            self._observer.started(self._labels[step.identity])

    def _show_progress(self, running: set[str]) -> None:
        if not self._observer:
            return
        for identity in running:
            progress = read_progress(step_directory(self._store.files_dir, identity))
            if progress is not None:
                self._observer.progressed(self._labels[identity], progress)


def candidates_by_step(plan: Plan) -> dict[str, list[str]]:
    """Return the ids of the candidates that each step belongs to, by its identity."""
    found: dict[str, list[str]] = {}
    for candidate in plan.candidates:
        for step in candidate.steps:
            found.setdefault(step.identity, []).append(candidate.document.candidate_id)
    return found


def step_labels(plan: Plan) -> dict[str, StepLabel]:
    """Return a label per step; what candidates share carries the first one's name."""
    labels: dict[str, StepLabel] = {}
    for candidate in plan.candidates:
        document = candidate.document
        for step in candidate.steps:
            label = StepLabel(
                document.candidate_id, document.label, step.name, step.kind, step.identity
            )
            labels.setdefault(step.identity, label)
    return labels


@contextmanager
def _stop_signals(manager: _Manager) -> Iterator[None]:
    """Let SIGTERM and SIGINT stop the run after checkpoints, once; then as before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        manager.stopping = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
