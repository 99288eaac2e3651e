"""Which documents can match a filter, found by the entries of indexed fields.

A lookup gives a superset of the matches, never less: the compiled filter decides.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bson import Decimal128, ObjectId, Regex

from .matching import is_operators
from .ordering import NUMBER, order

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    EntryKey = int | float | str | bytes

TEXT = 15
DATE = 45
OBJECT_ID = 35
_LONG = 512
_MOST_LOOKUPS = 20_000
_RANGES = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


@dataclass(frozen=True, slots=True)
class Lookup:
    """A SELECT of the ``seq`` of documents, with its placeholders' values.

    Attributes
    ----------
    is_single
        Whether it holds one document at most.
    """

    sql: str
    values: tuple[Any, ...]
    is_single: bool = False


def entry_key(value: Any) -> EntryKey:
    """Return what stands for `value` in an index: the same exactly for equal values.

    Numbers and text are themselves; all else is bytes behind the rank of its type, dates and
    ObjectIds so that their order is kept.
    """
    rank, *rest = order(value)
    if isinstance(value, (int, float)) and rank == NUMBER and rest[0] == 1:
        return float(value) if isinstance(value, float) else int(value)
    if isinstance(value, str) and len(value) < _LONG and "\0" not in value:
        return str(value)
    if isinstance(value, Decimal128):
        return float(str(value))
    head = bytes([rank % 256])
    if rank == DATE:
        return head + (int(rest[0]) + 2**63).to_bytes(9, "big")
    if isinstance(value, ObjectId):
        return head + value.binary
    return head + hashlib.sha256(repr(_canonical(rest)).encode()).digest()


def _canonical(key: Any) -> Any:
    if isinstance(key, (tuple, list)):
        return tuple(_canonical(item) for item in key)
    return int(key) if isinstance(key, float) and key.is_integer() else key


def lookups(
    collection: str, condition: Mapping[str, Any], fields: Collection[str]
) -> Iterator[Lookup]:
    """Yield the lookups each of which holds all matches of a normalized filter.

    Parameters
    ----------
    collection
        Name of the collection.
    condition
        The filter, as :func:`~haloflow.stores.matching.normalized` gives it.
    fields
        Its indexed fields; ``_id`` is always indexed.
    """
    for field, test in _conjunction(condition):
        if field != "_id" and field not in fields:
            continue
        if (wanted := _wanted(test)) is not None:
            marks = ", ".join("?" * len(wanted))
            found = _lookup(collection, field, f"{{}} IN ({marks})", *map(entry_key, wanted))
            yield replace(found, is_single=True) if field == "_id" and len(wanted) == 1 else found
        elif is_operators(test):
            yield from _range_lookups(collection, field, test)


def _conjunction(condition: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, test in condition.items():
        if key == "$and":
            for part in test:
                yield from _conjunction(part)
        elif not key.startswith("$"):
            yield key, test


def _wanted(test: Any) -> list[Any] | None:
    """Return the values of which the field must have one, or None where that is unknown."""
    if not is_operators(test):
        values = [test]
    elif "$eq" in test:
        values = [test["$eq"]]
    else:
        values = test.get("$in")
    if values is None or len(values) > _MOST_LOOKUPS:
        return None
    return None if any(isinstance(value, Regex) for value in values) else values


def _range_lookups(collection: str, field: str, test: dict[str, Any]) -> Iterator[Lookup]:
    """Look up what has an order; each bound by itself, as different elements may meet them.

    Numbers come before text and text before bytes; the keys of long texts have no order.
    """
    for operator, bound in test.items():
        if operator not in _RANGES:
            continue
        key, rank = entry_key(bound), order(bound)[0]
        where = f"{{}} {_RANGES[operator]} ? AND {{}} >= ? AND {{}} < ?"
        if isinstance(key, (int, float)):
            yield _lookup(collection, field, where, key, float("-inf"), "")
        elif isinstance(key, str):
            where = f"({where} OR {{}} >= ? AND {{}} < ?)"
            yield _lookup(collection, field, where, key, "", b"", *_of_rank(TEXT))
        elif rank in {DATE, OBJECT_ID}:
            yield _lookup(collection, field, where, key, *_of_rank(rank))


def _of_rank(rank: int) -> tuple[bytes, bytes]:
    return bytes([rank]), bytes([rank + 1])


def _lookup(collection: str, field: str, where: str, *values: object) -> Lookup:
    """Complete a condition, in which ``{}`` stands for the indexed value."""
    if field == "_id":
        sql = "SELECT seq FROM documents WHERE collection = ? AND "
        return Lookup(sql + where.replace("{}", "id"), (collection, *values))
    sql = "SELECT seq FROM entries WHERE collection = ? AND field = ? AND "
    return Lookup(sql + where.replace("{}", "value"), (collection, field, *values))
