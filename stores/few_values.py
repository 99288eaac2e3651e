"""Filters of fields of which many documents share few values, said by these values.

A MongoDB server finds the values of such a field in its index with a step for each, and counts
by them without reading a document; a pattern it would compare with every entry. What is
excluded, too, is said by what is left. Which values meet a condition the server itself says:
its patterns are not those of Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bson import Regex

from .matching import is_operators, normalized
from .memory import remembered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Criteria = Mapping[str, Any]
    Document = dict[str, Any]
    Clause = tuple[str, Any]

FEW_VALUED: Final = (
    *("chemsys", "family", "phase", "sigma_300k_ms_cm.status"),
    *("energy_above_hull_ev_per_atom.status", "activation_energy_ev.status"),
)
_TOLD_BY: Final = {"elements": "chemsys"}
"""Fields that are made of one of these."""
_JOINING: Final = frozenset(("$and", "$or", "$nor"))
_PLAIN: Final = frozenset(("$eq", "$in"))
_TESTS: Final = _PLAIN | {"$ne", "$nin", "$all", "$regex", "$options", "$not"}
"""What takes a value that is not there for one that is ``None``."""
_MOST_VALUES = 2000


def by_values(collection: Any, criteria: Criteria) -> Document:
    """Return a filter for the same documents that an index answers best; perhaps as it was.

    A value that nobody had when the values were read, just before, is not among them.

    Raises
    ------
    StoreError
        A value has no BSON form, or the server does not know the filter.
    """
    clauses = list(_clauses(normalized(criteria)))
    paths = [_path_of(*clause) for clause in clauses]
    parts: list[Document] = []
    is_changed = False
    for path in FEW_VALUED:
        mine = [{key: test} for (key, test), one in zip(clauses, paths, strict=True) if one == path]
        found = None if all(map(_is_plain, mine)) else _matching(collection, path, mine)
        is_changed |= found is not None
        parts += mine if found is None else [{path: {"$in": found}}]
    if not is_changed:
        return dict(criteria)
    parts += [{key: test} for (key, test), one in zip(clauses, paths, strict=True) if one is None]
    return parts[0] if len(parts) == 1 else {"$and": parts}


def _matching(collection: Any, path: str, conditions: list[Document]) -> list[str | None] | None:
    """Return the values that meet all conditions; ``None`` where they are many, or no texts."""
    known = remembered(collection, {"values": path}, lambda: _few_texts(collection, path))
    has_told = any(name in _TOLD_BY for part in conditions for name in _fields(part))
    if known is None or (has_told and None in known):
        return None
    first, _, rest = path.partition(".")
    alone: Document = {"_id": 1, first: {rest: "$_id"} if rest else "$_id"}
    if path == "chemsys":
        alone["elements"] = {"$split": ["$_id", "-"]}
    stages = [*_values(path), {"$project": alone}, {"$match": {"$and": conditions}}]
    return [row["_id"] for row in collection.aggregate(stages)]


def _few_texts(collection: Any, path: str) -> list[str | None] | None:
    values = [row["_id"] for row in collection.aggregate(_values(path))]
    are_texts = all(value is None or isinstance(value, str) for value in values)
    return values if are_texts and len(values) <= _MOST_VALUES else None


def _values(path: str) -> list[Document]:
    """Return what gives the values; the limit also keeps conditions from the documents."""
    return [{"$group": {"_id": f"${path}"}}, {"$limit": _MOST_VALUES + 1}]


def _clauses(condition: Criteria) -> Iterator[Clause]:
    for key, test in condition.items():
        if key == "$and" and _are_filters(test):
            for part in test:
                yield from _clauses(part)
        else:
            yield key, test


def _path_of(key: str, test: Any) -> str | None:
    """Return the one field that a clause is of, if it has few values."""
    if key in _JOINING:
        if not _are_filters(test):  # for the server to refuse
            return None
        found = {_path_of(*clause) for part in test for clause in part.items()}
        return found.pop() if len(found) == 1 else None
    path = _TOLD_BY.get(key, key)
    return path if path in FEW_VALUED and (not is_operators(test) or _is_known(test)) else None


def _fields(condition: Criteria) -> Iterator[str]:
    """Yield the fields that a condition names, at any depth of joining."""
    for key, test in condition.items():
        if key in _JOINING:
            for part in test:
                yield from _fields(part)
        else:
            yield key


def _are_filters(parts: Any) -> bool:
    return isinstance(parts, list) and bool(parts) and all(isinstance(one, dict) for one in parts)


def _is_known(test: Mapping[str, Any]) -> bool:
    negated: Any = test.get("$not")
    return test.keys() <= _TESTS and (not is_operators(negated) or _is_known(negated))


def _is_plain(condition: Document) -> bool:
    ((key, test),) = condition.items()
    if key not in FEW_VALUED or isinstance(test, Regex):
        return False
    return not is_operators(test) or test.keys() <= _PLAIN
