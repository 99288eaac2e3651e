"""The web server: few threads, and no connection that waits for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import h11
import uvicorn
from anyio.to_thread import current_default_thread_limiter
from uvicorn.protocols.http.h11_impl import H11Protocol

from .security import answer_busy

if TYPE_CHECKING:
    import asyncio
    import socket

    from starlette.types import ASGIApp

MOST_WAITING: Final = 200
"""Connections, or requests at work; who comes then is sent away."""
THREADS: Final = 8
"""Each has its own connection to the store, and keeps what memory it once took."""
HEAD_S: Final = 10.0
"""Longest time from a connection, or an answer, to the next whole head of a request."""


class Protocol(H11Protocol):
    """Closes connections on which no head of a request comes in time: they count as waiting."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._watch()

    def handle_events(self) -> None:
        """Let requests be answered, or be sent away while there are too many."""
        is_full = max(len(self.connections), len(self.tasks)) >= MOST_WAITING
        self.app = answer_busy if is_full else self.config.loaded_app
        super().handle_events()

    def data_received(self, data: bytes) -> None:
        """Take what came; it does not prolong the wait."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the next head."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End waiting."""
        super().connection_lost(exc)
        self._stop()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        current_default_thread_limiter().total_tokens = THREADS
        await super().startup(sockets)


def answer_requests(app: ASGIApp, listening: socket.socket) -> None:
    """Answer what comes to a socket until Ctrl-C."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        log_level="warning",
        access_log=False,  # it would hold the token
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=3,
    )
    try:
        _Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn passes Ctrl-C on after it has stopped
        return
