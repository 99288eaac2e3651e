"""What happens to a MongoDB server in the middle of sweeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cluster import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster import MongoServer

OUTAGE_S = 60.0


def hang(server: MongoServer, until: Callable[[], Any] | None = None) -> None:
    """Take connections, and answer nothing; also longer than usual, for something to happen."""
    server.pause()
    time.sleep(OUTAGE_S)
    if until is not None:
        wait_for(until, "what happens in the outage")
    server.go_on()


def shut_down(server: MongoServer) -> None:
    """Stop in good order, and be away."""
    server.stop()
    time.sleep(OUTAGE_S)
    server.start()


def kill(server: MongoServer) -> None:
    """Die by SIGKILL, and come back."""
    server.kill()
    server.start()
