"""Summaries brought up to date now and then, as long as a server shows them."""

from __future__ import annotations

import time
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, Self

from rich.text import Text

from ..errors import HaloflowError
from ..stores.memory import version_of
from .console import console
from .stores import bring_up_to_date, existing_store

if TYPE_CHECKING:
    from ..stores.connection import HaloflowStore

EVERY_S: Final = 10.0
"""Least time from the end of one update to the start of the next."""
_SHARE: Final = 9.0
"""Between two updates lies at least this many times of what the last one took."""


class Upkeep:
    """Updates the summaries of a store in a thread, one update at a time.

    The first is made at once, each later one after something was written. A store that this
    user may not write is shown as it is stored.

    Parameters
    ----------
    store
        Folder or URI, as given.
    shown
        The same store, open for reading.
    every_s
        Least time between two updates.
    """

    def __init__(self, store: str | None, shown: HaloflowStore, every_s: float = EVERY_S) -> None:
        self._store = store
        self._shown = shown
        self._every_s = every_s
        self._end = Event()
        self._told: set[str] = set()
        self._seen: object = None
        self._thread = Thread(target=self._run, name="haloflow-upkeep", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Begin nothing more; an update that goes on ends with the process."""
        self._end.set()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._end.wait(pause_s):
            pause_s = max(self._every_s, _SHARE * self.look())

    def look(self) -> float:
        """Update what has changed since the last look; return how long that took, s.

        What cannot be read or written is said once.
        """
        started, shown = time.monotonic(), self._shown
        try:
            seen = version_of(shown.outputs, shown.candidates, shown.failures, shown.claims)
            if seen is None or seen != self._seen:
                with existing_store(self._store) as opened:
                    bring_up_to_date(opened, self._told)
                self._seen = seen
        except HaloflowError as error:
            self._tell(f"Summaries are shown as they were stored: {error}")
        return time.monotonic() - started

    def _tell(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            console().print(Text(words, style="yellow"))
