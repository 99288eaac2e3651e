"""Runs side by side in one process: each goes its own way until it needs forces.

Every run is a greenlet. Where it asks for an evaluation it waits; once all runs wait, what they
ask of one model is evaluated together, and they go on. A run that ends, or fails, leaves the
others alone, and which runs are evaluated together follows from the runs, never from time.
"""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ..errors import InputError, MissingDependencyError
from .interrupts import StopRequest, shared_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from greenlet import greenlet

    from .evaluator import Evaluation

ResultT = TypeVar("ResultT")
Asked_contra = TypeVar("Asked_contra", contravariant=True)
Task = tuple[str, "Callable[[], ResultT]"]
"""A name, and what is to be done."""

_here: ContextVar[Lockstep[Any] | None] = ContextVar("lockstep", default=None)


class Model(Protocol[Asked_contra]):
    """What evaluates several structures at once."""

    def evaluate(self, asked: Sequence[Asked_contra]) -> Sequence[Evaluation | Exception]:
        """Return one answer for each; an exception is raised where it was asked for."""


def no_keeping() -> Callable[[], None]:
    """Keep no globals of a run that waits."""
    return lambda: None


class Lockstep(Generic[ResultT]):
    """Runs tasks side by side.

    Parameters
    ----------
    keep
        Called when a task begins to wait; what it returns is called when the task goes on. It
        puts back globals that other tasks set meanwhile.

    Raises
    ------
    MissingDependencyError
        If greenlet is not installed.
    """

    def __init__(self, keep: Callable[[], Callable[[], None]] = no_keeping) -> None:
        try:
            from greenlet import getcurrent, greenlet  # noqa: PLC0415  (an optional package)
        except ModuleNotFoundError as error:
            raise MissingDependencyError.of("greenlet", "torchsim", "runs side by side") from error
        self._greenlet, self._current = greenlet, getcurrent
        self._keep = keep
        self._hub = getcurrent()
        self._finished: deque[tuple[str, ResultT | Exception]] = deque()
        self._waiting: dict[greenlet, tuple[Model[Any], Any]] = {}
        self.n_rounds = 0

    def run(
        self,
        tasks: Iterable[Task[ResultT]],
        more: Callable[[], Iterable[Task[ResultT]]] = tuple,
    ) -> Iterator[tuple[str, ResultT | Exception]]:
        """Yield the name of each task, and its result or its exception, as they end.

        SIGTERM and SIGINT are noted for all of them, as one run notes them for itself.

        Parameters
        ----------
        tasks
            To begin with.
        more
            Asked before each round for tasks that join.

        Raises
        ------
        InputError
            If it is called in one of its own tasks.
        """
        if _here.get() is not None:
            raise InputError(
                "runs side by side cannot be nested",
                allowed="one set of runs in a process",
                remedy="give all runs to the same set",
            )
        self._hub = self._current()
        stop = StopRequest()
        with stop.trap_signals():
            self._begin(tasks, stop)
            while self._waiting or self._finished:
                while self._finished:
                    yield self._finished.popleft()
                self._begin(more(), stop)
                self._round()

    def wait(self, model: Model[Asked_contra], asked: Asked_contra) -> Evaluation:
        """Wait, in a task, for what `model` says of `asked`."""
        put_back = self._keep()
        answer: Evaluation | Exception = self._hub.switch((model, asked))
        put_back()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _begin(self, tasks: Iterable[Task[ResultT]], stop: StopRequest) -> None:
        for name, task in tasks:
            member = self._greenlet(self._body(name, task), parent=self._hub)
            context = copy_context()
            context.run(_here.set, self)
            context.run(shared_stop.set, stop)
            member.gr_context = context
            self._go_on(member)

    def _body(self, name: str, task: Callable[[], ResultT]) -> Callable[[], None]:
        def body() -> None:
            result: ResultT | Exception
            try:
                result = task()
            except Exception as error:  # noqa: BLE001  (one failed run must not end the others)
                result = error
            self._finished.append((name, result))

        return body

    def _go_on(self, member: greenlet, *answer: Evaluation | Exception) -> None:
        asked = member.switch(*answer)
        if not member.dead:
            self._waiting[member] = asked

    def _round(self) -> None:
        """Evaluate what is waited for, by model, and let the tasks go on in their order."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, {}
        self.n_rounds += 1
        by_model: dict[int, list[greenlet]] = {}
        for member, (model, _asked) in waiting.items():
            by_model.setdefault(id(model), []).append(member)
        answers: dict[greenlet, Evaluation | Exception] = {}
        for members in by_model.values():
            model = waiting[members[0]][0]
            found: Sequence[Evaluation | Exception]
            try:
                found = model.evaluate([waiting[member][1] for member in members])
            except Exception as error:  # noqa: BLE001  (raised in each run that asked)
                found = [error] * len(members)
            answers.update(zip(members, found, strict=True))
        for member in waiting:
            self._go_on(member, answers[member])


def current_lockstep() -> Lockstep[Any] | None:
    """Return the set of runs that the calling code is one of."""
    return _here.get()
