"""Worker processes and what they are at."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.resource_tracker import ensure_running
from typing import TYPE_CHECKING, Self

from ..settings import get_settings
from .worker import Outcome, work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from .steps import PlannedStep

_MOST_DEATHS = 2
_JOIN_S = 60.0
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    steps: dict[str, PlannedStep] = field(default_factory=dict)
    is_shared: bool = False


class WorkerPool:
    """A fixed number of worker processes, replaced when they die.

    A step whose worker was killed is tried once more, from its last checkpoint. Several that ran
    side by side go on in halves, until the one is alone whose memory, say, is too much.
    """

    def __init__(self, size: int, store_uri: str) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._store_uri = store_uri
        self._deaths = Counter[str]()
        self._waiting: list[list[PlannedStep]] = []
        self._terminated = False
        self._workers = [self._start() for _ in range(size)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for worker in self._workers:
            if not worker.steps:
                with suppress(OSError):  # it has died
                    worker.connection.send(None)
            elif worker.process.is_alive() and not self._terminated:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_JOIN_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()

    @property
    def idle(self) -> bool:
        """Whether a worker has nothing to do."""
        return any(not worker.steps for worker in self._workers)

    @property
    def busy(self) -> bool:
        """Whether a worker is at a step."""
        return any(worker.steps for worker in self._workers)

    @property
    def running(self) -> set[str]:
        """Identities of the steps that workers are at."""
        return {identity for worker in self._workers for identity in worker.steps}

    @property
    def n_together(self) -> int:
        """How many steps one worker runs side by side."""
        return sum(len(worker.steps) for worker in self._workers if worker.is_shared)

    def submit(self, step: PlannedStep) -> None:
        """Give `step` to an idle worker."""
        self._give(self._idle_worker(), [step])

    def submit_together(self, steps: list[PlannedStep]) -> None:
        """Let `steps` join those that run side by side; where none do, an idle worker begins."""
        shared = (i for i, worker in enumerate(self._workers) if worker.is_shared and worker.steps)
        index = next(shared, None)
        if index is None:
            index = self._idle_worker()
        self._give(index, steps, is_shared=True)

    def _idle_worker(self) -> int:
        index = next(i for i, worker in enumerate(self._workers) if not worker.steps)
        if not self._workers[index].process.is_alive():
            self._replace(index)
        return index

    def _give(self, index: int, steps: list[PlannedStep], *, is_shared: bool = False) -> None:
        worker = self._workers[index]
        worker.is_shared = is_shared
        for step in steps:
            worker.steps[step.identity] = step
        with suppress(OSError):  # it has just died: wait() will notice
            worker.connection.send(steps)

    def terminate(self) -> None:
        """Ask busy workers to stop at a checkpoint; idle ones stay."""
        if self._terminated:
            return
        self._terminated = True
        self._waiting.clear()
        for worker in self._workers:
            if worker.steps:
                worker.process.terminate()

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Return what workers finished, or failed, within `timeout_s`."""
        by_connection = {w.connection: i for i, w in enumerate(self._workers) if w.steps}
        ready = wait(list(by_connection), timeout=timeout_s)
        found = (self._receive(by_connection[c]) for c in ready if c in by_connection)
        outcomes = [outcome for several in found for outcome in several]
        while self._waiting and self.idle:
            self._give(self._idle_worker(), self._waiting.pop(0))
        return outcomes

    def _receive(self, index: int) -> list[Outcome]:
        worker = self._workers[index]
        try:
            outcome: Outcome = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            return self._lost(index)
        del worker.steps[outcome.identity]
        return [outcome]

    def _lost(self, index: int) -> list[Outcome]:
        """Answer for a worker that died: let its steps be tried again, or report the last one."""
        worker = self._workers[index]
        worker.process.join()
        steps, worker.steps = worker.steps, {}
        if self._terminated:
            return [Outcome(i, 0.0, error="stopped", interrupted=True) for i in steps]
        self._deaths.update(steps.keys())
        again = list(steps.values())
        if half := len(again) // 2:
            self._waiting += [again[:half], again[half:]]
            return []
        (identity,) = steps
        if (n_deaths := self._deaths[identity]) < _MOST_DEATHS:
            self._waiting.append(again)
            return []
        code = worker.process.exitcode
        cause = f"signal {-code} (is memory short?)" if code and code < 0 else f"exit code {code}"
        times = "twice" if n_deaths == _MOST_DEATHS else f"{n_deaths} times"
        return [Outcome(identity, 0.0, error=f"its worker process died {times}, by {cause}")]

    def _replace(self, index: int) -> None:
        self._workers[index].connection.close()
        self._workers[index] = self._start()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=work, args=(theirs, self._store_uri), name="haloflow-worker"
        )
        with _limited_threads(), _without_sigint():
            process.start()
        theirs.close()
        return _Worker(process, ours)


@contextmanager
def _without_sigint() -> Iterator[None]:
    """Let processes started here never see SIGINT: Ctrl-C is for their manager to pass on.

    A terminal sends it to all of them, and a second signal would end a worker before its
    checkpoint.
    """
    ensure_running()  # it would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _limited_threads() -> Iterator[None]:
    """Give processes started here their number of threads; libraries read it when loaded."""
    before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
    os.environ |= dict.fromkeys(_THREAD_LIMITS, str(get_settings().threads_per_worker))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
