"""Signs of life of processes that hold claims."""

from __future__ import annotations

import logging
import math
import os
import threading
from typing import TYPE_CHECKING

from ..errors import ClaimError

if TYPE_CHECKING:
    from .claims import Claims, Owner

_logger = logging.getLogger(__name__)

BEATS_BEFORE_STALE = 10
_AT_REST_S = 600.0
_AGAIN_S = 0.5
"""After a beat that failed; the driver itself waits for its server in each."""


class Heart:
    """One thread that beats for all claims held by this process, until they are lost.

    What else goes wrong, e.g. a database that is locked or a server that is away, is tried
    again soon: when the server is back, it hears of the living before anybody doubts them.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], tuple[Claims, str, Owner]] = {}
        self._lost: dict[tuple[str, str], ClaimError] = {}
        self._pid = 0
        self._interval_s = 0.0
        self._hurry = threading.Event()
        self._lock = threading.Lock()

    def add(self, claims: Claims, identity: str, owner: Owner) -> None:
        """Beat for a claim from now on."""
        if self._pid != os.getpid():  # the first claim here; a fork inherits no thread
            self._held, self._lost = {}, {}
            self._hurry, self._interval_s = threading.Event(), 0.0
            self._lock = threading.Lock()
            self._pid = os.getpid()
            threading.Thread(target=self._beat, name="haloflow-claims", daemon=True).start()
        with self._lock:
            self._held[identity, owner.token] = (claims, identity, owner)
            if claims.stale_after_s / BEATS_BEFORE_STALE < self._interval_s:
                self._hurry.set()

    def remove(self, identity: str, owner: Owner) -> None:
        """Beat for it no more."""
        self._held.pop((identity, owner.token), None)
        self._lost.pop((identity, owner.token), None)

    def require(self, identity: str, owner: Owner) -> None:
        """Raise the ClaimError that a beat for it ended with, if one did."""
        if (lost := self._lost.get((identity, owner.token))) is not None:
            raise lost

    def _beat(self) -> None:
        pause_s = math.inf
        while True:
            with self._lock:
                self._hurry.clear()
                stale_after = [claims.stale_after_s for claims, _, _ in tuple(self._held.values())]
                self._interval_s = min(stale_after, default=_AT_REST_S) / BEATS_BEFORE_STALE
            self._hurry.wait(min(self._interval_s, pause_s))
            pause_s = math.inf
            for claims, identity, owner in tuple(self._held.values()):
                try:
                    claims.heartbeat(identity, owner)
                except ClaimError as error:
                    if self._held.pop((identity, owner.token), None) is not None:
                        self._lost[identity, owner.token] = error
                except Exception as error:  # noqa: BLE001  (whatever it is: there is the next beat)
                    pause_s = _AGAIN_S
                    _logger.warning("step %s: no heartbeat: %s", identity[:12], error)
