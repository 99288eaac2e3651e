"""Reasons to stop early, turned into a flag that a run looks at when it can stop safely."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from ..errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_TRAPPED = (signal.SIGTERM, signal.SIGINT)

shared_stop: ContextVar[StopRequest | None] = ContextVar("shared_stop", default=None)
"""The request that traps signals for all of several runs in one process."""


class StopRequest:
    """Tells a run that it has to stop, and why.

    Parameters
    ----------
    walltime_s
        Seconds that the run may take from now; ``None`` for no limit.
    clock
        Monotonic clock in seconds.
    """

    def __init__(
        self, walltime_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._walltime_s = walltime_s
        self._started = self._last_asked = clock()
        self._signal: signal.Signals | None = None
        self._shared = shared_stop.get()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request was made."""
        return self._clock() - self._started

    def reason(self) -> str | None:
        """Return why to stop now, or ``None``.

        The walltime counts as reached when the next call, expected after the same time
        as passed since the last one, would come too late.
        """
        if (signalled := self.signalled) is not None:
            return signalled
        now = self._clock()
        expected = 2 * now - self._last_asked
        self._last_asked = now
        if self._walltime_s is not None and expected - self._started >= self._walltime_s:
            return f"the walltime of {self._walltime_s:g} s"
        return None

    @property
    def signalled(self) -> str | None:
        """Name of the signal that arrived, if one did."""
        if self._shared is not None:
            return self._shared.signalled
        return None if self._signal is None else self._signal.name

    @contextmanager
    def trap_signals(self) -> Iterator[None]:
        """Note SIGTERM and SIGINT instead of dying from them; a second one acts as before.

        Signals can be trapped in the main thread only; elsewhere this does nothing, as it does
        in one of several runs that share a request.
        """
        if self._shared is not None or (threading.current_thread() is not threading.main_thread()):
            yield
            return
        previous = {number: signal.getsignal(number) for number in _TRAPPED}

        def restore() -> None:
            for number, handler in previous.items():
                signal.signal(number, handler)

        def note(number: int, _frame: FrameType | None) -> None:
            self._signal = signal.Signals(number)
            restore()

        try:
            for number in _TRAPPED:
                signal.signal(number, note)
            yield
        finally:
            restore()


def stopped(work: str, reason: str, done: int, total: int, unit: str) -> InterruptedRunError:
    """Return the error that tells how far `work` had come when it was stopped."""
    return InterruptedRunError(
        f"{work} was stopped by {reason}",
        given=f"{done} of {total} {unit} are done",
        remedy="run the same again; it goes on from what is saved",
    )
