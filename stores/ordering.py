"""How MongoDB orders, equates and finds values inside documents.

Two values are equal exactly when their :func:`order` keys are equal, so one function
serves filters, sorts, ``distinct`` and groups. The rules are those of the MongoDB manual,
"Comparison/Sort Order", with documents as :func:`bson.decode` returns them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex
from bson.datetime_ms import DatetimeMS
from bson.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

import datetime as dt

NUMBER: Final = 10
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  (BSON dates come back naive, in UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


class _Missing:
    """The value of a field that is not there; unlike ``None`` it does not exist."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
EMPTY_ARRAY_ORDER: Final = (3,)  # an empty array sorts before null


def milliseconds(value: datetime) -> int:
    """Return the milliseconds since 1970 of a naive UTC `value`."""
    return (value - _EPOCH) // _MILLISECOND


def _float_order(value: float) -> tuple[Any, ...]:
    return (NUMBER, 1, value) if value == value else (NUMBER, 0, 0)  # noqa: PLR0124  (NaN)


def _object_order(value: dict[str, Any]) -> tuple[Any, ...]:
    items = ((key, order(item)) for key, item in value.items())
    return (20, tuple((key_order[0], key, key_order) for key, key_order in items))


def _binary_order(value: bytes) -> tuple[Any, ...]:
    return (30, len(value), getattr(value, "subtype", 0), bytes(value))


_ORDER: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    MinKey: lambda _: (-1,),
    type(None): lambda _: (5,),
    _Missing: lambda _: (5,),
    int: lambda value: (NUMBER, 1, value),
    Int64: lambda value: (NUMBER, 1, value),
    float: _float_order,
    Decimal128: lambda value: (NUMBER, 1, value.to_decimal()),
    str: lambda value: (15, value),
    dict: _object_order,
    list: lambda value: (25, tuple(order(item) for item in value)),
    bytes: _binary_order,
    Binary: _binary_order,
    ObjectId: lambda value: (35, value.binary),
    bool: lambda value: (40, value),
    dt.datetime: lambda value: (45, milliseconds(value)),
    DatetimeMS: lambda value: (45, int(value)),
    Timestamp: lambda value: (47, value.time, value.inc),
    Regex: lambda value: (50, value.pattern, value.flags),
    MaxKey: lambda _: (127,),
}


def order(value: Any) -> tuple[Any, ...]:
    """Return a key that compares as MongoDB compares values; its head is the type's rank."""
    make = _ORDER.get(type(value))
    return make(value) if make else (60, type(value).__name__, repr(value))


def values_at(
    document: dict[str, Any], parts: tuple[str, ...], *, expand: bool = True
) -> Iterator[Any]:
    """Yield every value that a dotted path reaches, through arrays on the way.

    Parameters
    ----------
    document
        The document or subdocument to look into.
    parts
        The path, split at its dots.
    expand
        Whether an array at the end of the path yields its elements before itself.

    Yields
    ------
    object
        Values, with :data:`MISSING` for each place where the path ends early.
    """
    node: Any = document
    for at, part in enumerate(parts, start=1):
        if type(node) is not dict:
            yield MISSING
            return
        node = node.get(part, MISSING)
        if type(node) is list and at < len(parts):
            yield from _values_in_array(node, parts[at:], expand=expand)
            return
    if expand and type(node) is list:
        yield from node
    yield node


def _values_in_array(array: list[Any], parts: tuple[str, ...], *, expand: bool) -> Iterator[Any]:
    offset = int(parts[0]) if parts[0].isdecimal() else -1
    for position, item in enumerate(array):
        if type(item) is dict:
            yield from values_at(item, parts, expand=expand)
        if position != offset:
            continue
        if len(parts) == 1:
            yield item
        elif type(item) is dict:
            yield from values_at(item, parts[1:], expand=expand)
        elif type(item) is list:
            yield from _values_in_array(item, parts[1:], expand=expand)
