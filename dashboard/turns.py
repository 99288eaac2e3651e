"""Answers that cost much are made by few at a time, in the order in which they were asked for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from http import HTTPStatus
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Final

from fastapi import HTTPException, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AT_A_TIME: Final = 2
LONGEST_WAIT_S: Final = 20.0
_LOOK_S: Final = 0.02
_BUSY: Final = "the server is busy with other requests: ask again in some seconds"
_LATER: Final = {"Retry-After": "5"}
_GONE: Final = 499


class Turns:
    """Who may work now, of those that wait.

    Unlike asyncio's, it belongs to no event loop.

    Parameters
    ----------
    at_a_time
        How many work at once.
    longest_wait_s
        Who waits for longer is sent away.
    """

    def __init__(self, at_a_time: int = AT_A_TIME, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._free = BoundedSemaphore(at_a_time)
        self._longest_wait_s = longest_wait_s
        self._waiting: deque[object] = deque()
        self._guard = Lock()

    async def take(self, request: Request) -> None:
        """Return when it is the turn of `request`, which must then :meth:`give` it back.

        Raises
        ------
        HTTPException
            503 after too long a wait; 499 where the client has gone.
        """
        me, deadline = object(), time.monotonic() + self._longest_wait_s
        self._waiting.append(me)
        try:
            while not self._is_free_for(me):
                if time.monotonic() > deadline:
                    raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, _BUSY, _LATER)
                if await request.is_disconnected():
                    raise HTTPException(_GONE)
                await asyncio.sleep(_LOOK_S)
        finally:
            self._waiting.remove(me)

    def _is_free_for(self, me: object) -> bool:
        with self._guard:
            return self._waiting[0] is me and self._free.acquire(blocking=False)

    def give(self) -> None:
        """Let the next one work."""
        self._free.release()


async def one_of_few(request: Request) -> AsyncIterator[None]:
    """Wait for a turn, as the dependency of endpoints that cost much."""
    turns: Turns = request.app.state.turns
    await turns.take(request)
    try:
        yield
    finally:
        turns.give()
