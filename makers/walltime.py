"""How much of its time a step has left."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import psutil

from ..settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)


@contextmanager
def limited_to(walltime_s: float | None) -> Iterator[None]:
    """Let what runs in a ``with`` block stop with a checkpoint after this many seconds.

    It does not stretch the limit of a block around it.
    """
    ends_at = [] if walltime_s is None else [time.monotonic() + walltime_s]
    if (outer := _ends_at.get()) is not None:
        ends_at.append(outer)
    token = _ends_at.set(min(ends_at, default=None))
    try:
        yield
    finally:
        _ends_at.reset(token)


def walltime_left_s() -> float | None:
    """Return the seconds left, if the settings limit the process or `limited_to` the step."""
    limit, end = get_settings().walltime_s, _ends_at.get()
    left = [] if end is None else [end - time.monotonic()]
    if limit is not None:
        left.append(limit - (time.time() - psutil.Process().create_time()))
    return min(left, default=None)
