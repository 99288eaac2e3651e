"""Things made of a store's documents, kept while they are asked for again and again."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

ValueT = TypeVar("ValueT")


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
            self._known[key] = value
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return value


class Lately(Generic[ValueT]):
    """Values that may be some seconds old: the older, the longer they take to make.

    Parameters
    ----------
    size
        How many are kept.
    least_s
        How long a value is good at least.
    """

    def __init__(self, size: int, least_s: float) -> None:
        self._least_s = least_s
        self._known = Recent[_Dated[ValueT]](size)

    def get(self, key: Hashable, make: Callable[[], ValueT]) -> ValueT:
        """Return the value of `key`; of several who ask at once, one makes it."""
        held = self._known.get(key, _Dated[ValueT])
        with held.lock:
            now = time.monotonic()
            if not held.made or now > held.good_until:
                held.made = [make()]
                cost_s = time.monotonic() - now
                held.good_until = time.monotonic() + max(self._least_s, _SHARE * cost_s)
            return held.made[0]


_SHARE = 10.0
"""A value is kept for this many times of what it took to make it."""


class _Dated(Generic[ValueT]):
    def __init__(self) -> None:
        self.lock = Lock()
        self.made: list[ValueT] = []
        self.good_until = 0.0
