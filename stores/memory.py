"""Answers that are remembered as long as no one has written."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar, cast

import bson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maggma.core import Store

AnswerT = TypeVar("AnswerT")

_MOST_ANSWERS = 500


class Answers:
    """The answers of one state of a collection, those that were asked for last."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, _Held] = OrderedDict()
        self._state: object = None
        self._guard = threading.Lock()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._known)

    def get(self, state: object, what: Mapping[str, Any], ask: Callable[[], AnswerT]) -> AnswerT:
        """Return the answer to `what`, from memory where it was given in this state.

        Parameters
        ----------
        state
            What differs after any write, taken before anything is read for the answer;
            ``None`` where that is not known.
        what
            What is asked for, as BSON takes it.
        ask
            Gives the answer; it should be small.
        """
        if state is None:
            return ask()
        try:
            key = bson.encode(what)
        except (bson.errors.BSONError, OverflowError):  # for `ask` to refuse
            return ask()
        with self._guard:
            if state != self._state:
                self._known.clear()
                self._state = state
            held = self._known.setdefault(key, _Held())
            self._known.move_to_end(key)
            if len(self._known) > _MOST_ANSWERS:
                self._known.popitem(last=False)
        with held.lock:  # of several who ask at once, one is answered, and tells the others
            if not held.answer:
                held.answer.append(ask())
        return cast("AnswerT", held.answer[0])


class _Held:
    __slots__ = ("answer", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answer: list[Any] = []


def remembered(collection: Any, what: Mapping[str, Any], ask: Callable[[], AnswerT]) -> AnswerT:
    """Return what `ask` returns, from memory where the collection tells when it is written to."""
    if not hasattr(type(collection), "remembered"):  # of pymongo's, any name is a collection
        return ask()
    return cast("AnswerT", collection.remembered(what, ask))


def version_of(*stores: Store) -> tuple[object, ...] | None:
    """Return what differs after any write to one of `stores`, by whomever.

    ``None`` where that cannot be told. What is read afterwards is of this version or a newer
    one.
    """
    versions = []
    for store in stores:
        told = hasattr(type(store._collection), "version")
        versions.append(store._collection.version() if told else None)
    return None if None in versions else tuple(versions)
