"""Signs of life of processes that hold claims."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ClaimError

if TYPE_CHECKING:
    from .claims import Claims, Owner

_logger = logging.getLogger(__name__)

BEATS_BEFORE_STALE = 10
_AGAIN_S = 0.5
"""After a beat that failed first; the driver itself waits for its server in each."""


@dataclass
class _Held:
    """A claim and when its next beat is due, on the monotonic clock."""

    claims: Claims
    identity: str
    owner: Owner
    due_s: float = 0.0
    pause_s: float = _AGAIN_S
    trouble: str = ""

    @property
    def interval_s(self) -> float:
        return self.claims.stale_after_s / BEATS_BEFORE_STALE

    def beat(self) -> None:
        """Say that the owner is alive.

        What goes wrong is tried again soon, then less often, down to the interval; it is logged
        once as long as it is of the same kind.

        Raises
        ------
        ClaimError
            The claim is lost.
        """
        wait_s, trouble = self.interval_s, ""
        try:
            self.claims.heartbeat(self.identity, self.owner)
        except ClaimError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is: there is the next beat)
            wait_s, trouble = min(self.pause_s, self.interval_s), type(error).__name__
            if trouble != self.trouble:
                _logger.warning("step %s: no heartbeat: %s", self.identity[:12], error)
        self.pause_s = 2 * wait_s if trouble else _AGAIN_S
        self.trouble = trouble
        self.due_s = time.monotonic() + wait_s


class Heart:
    """One thread that beats for all claims held by this process, until they are lost.

    What else goes wrong, e.g. a database that is locked or a server that is away, is tried
    again soon: when the server is back, it hears of the living before anybody doubts them.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], _Held] = {}
        self._lost: dict[tuple[str, str], ClaimError] = {}
        self._pid = 0
        self._wakes_s = math.inf
        self._hurry = threading.Event()
        self._lock = threading.Lock()

    def add(self, claims: Claims, identity: str, owner: Owner) -> None:
        """Beat for a claim from now on."""
        if self._pid != os.getpid():  # the first claim here; a fork inherits no thread
            self._held, self._lost = {}, {}
            self._hurry, self._wakes_s = threading.Event(), math.inf
            self._lock = threading.Lock()
            self._pid = os.getpid()
            threading.Thread(target=self._beat, name="haloflow-claims", daemon=True).start()
        held = _Held(claims, identity, owner)
        held.due_s = time.monotonic() + held.interval_s
        with self._lock:
            self._held[identity, owner.token] = held
            if held.due_s < self._wakes_s:
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
        while True:
            with self._lock:
                self._hurry.clear()
                held = tuple(self._held.values())
                self._wakes_s = min((one.due_s for one in held), default=math.inf)
            left_s = self._wakes_s - time.monotonic()
            self._hurry.wait(None if left_s == math.inf else max(left_s, 0.0))
            for key, one in tuple(self._held.items()):
                if one.due_s > time.monotonic():
                    continue
                try:
                    one.beat()
                except ClaimError as error:
                    if self._held.pop(key, None) is not None:
                        self._lost[key] = error
