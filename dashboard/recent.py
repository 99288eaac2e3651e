"""Things made of a store's documents, kept while they are asked for again and again."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

ValueT = TypeVar("ValueT")

_SHARE: Final = 2.0
"""To make a value takes at most one part in this of the time."""


class Recent(Generic[ValueT]):
    """The values of the keys that were asked for last.

    Parameters
    ----------
    size
        How many are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[Hashable, ValueT] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], ValueT]) -> ValueT:
        """Return the value of `key`, made if it is not known any more."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        value = make()
        with self._lock:
            value = self._known.setdefault(key, value)
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return value


class Lately(Generic[ValueT]):
    """Values that are good as long as nothing was written, and else for some seconds.

    Parameters
    ----------
    size
        How many are kept.
    good_for_s
        How long a value is good whatever was written meanwhile. One that takes more than half
        of this to make is good for twice as long as it took.
    """

    def __init__(self, size: int, good_for_s: float) -> None:
        self._good_for_s = good_for_s
        self._known = Recent[_Dated[ValueT]](size)

    def get(self, key: Hashable, make: Callable[[], ValueT], version: object = None) -> ValueT:
        """Return the value of `key`; of several who ask at once, one makes it.

        Parameters
        ----------
        version
            What differs after any write to what the value is made of, taken before this call;
            ``None`` where that is not known.
        """
        held = self._known.get(key, _Dated[ValueT])
        with held.lock:
            is_same = version is not None and version == held.version
            if not held.made or not (is_same or time.monotonic() <= held.good_until):
                started = time.monotonic()
                held.made, held.version = [make()], version
                cost_s = time.monotonic() - started
                held.good_until = started + max(self._good_for_s, _SHARE * cost_s)
            return held.made[0]


class _Dated(Generic[ValueT]):
    def __init__(self) -> None:
        self.lock = Lock()
        self.made: list[ValueT] = []
        self.version: object = None
        self.good_until = 0.0
