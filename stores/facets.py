"""How many candidates there are of each family, phase, status, system, element, level, sweep."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from .collection import SqliteCollection
from .columns import SEPARATOR
from .few_values import by_values
from .fields import FACET_PATHS
from .memory import remembered
from .selection import Search
from .shaping import value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from maggma.core import Store

    from .columns import Column

    Counts = dict[str, Counter[str]]

_TEXTS = {
    "family": "family",
    "phase": "phase",
    "e_hull_status": "energy_above_hull_ev_per_atom.status",
    "sigma_status": "sigma_300k_ms_cm.status",
    "e_a_status": "activation_energy_ev.status",
    "density_status": "density_g_cm3.status",
    "chemsys": "chemsys",
}
_LISTS = {"sweep": "sweeps", "element": "elements"}
_LEVELS = "levels"
_PATHS = _TEXTS | _LISTS | {_LEVELS: _LEVELS}


def count_facets(summaries: Store, criteria: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the number of summaries that pass `criteria`, by property and its value.

    ``level`` counts a candidate once for each level of any of its stages, ``level_hull``...
    that of one stage. The most frequent values come first, equally frequent ones by name.
    """
    collection = summaries._collection
    embedded = isinstance(collection, SqliteCollection)
    count = _by_columns if embedded else _by_server
    what = {"facets": dict(criteria)}
    return in_order(remembered(collection, what, lambda: count(collection, criteria)))


def in_order(counts: Counts) -> dict[str, dict[str, int]]:
    """Return counts as :func:`count_facets` does: those that are always there first."""
    fixed = list(no_counts())
    others = sorted(name for name in counts.keys() - fixed if counts[name])
    return {
        name: dict(sorted(counts[name].items(), key=lambda item: (-item[1], item[0])))
        for name in [*fixed, *others]
    }


def no_counts() -> Counts:
    """Return the facets that are always there, with nothing counted yet."""
    return {name: Counter() for name in (*_TEXTS, *_LISTS, "level")}


def group_id() -> dict[str, str]:
    """Return what a server groups by, for :func:`count_values`."""
    return {name: f"${path}" for name, path in _PATHS.items()}


def count_values(counts: Counts, values: Mapping[str, Any], n: int = 1) -> None:
    """Count `n` summaries with these values by the names of facets."""
    for name in (*_TEXTS, *_LISTS):
        _add(counts[name], _texts(values.get(name)), n)
    levels = values.get(_LEVELS)
    if isinstance(levels, dict):
        _add(counts["level"], {one for one in levels.values() if isinstance(one, str)}, n)
        for stage, level in levels.items():
            _add(counts.setdefault(f"level_{stage}", Counter()), _texts(level), n)


def _add(counter: Counter[str], found: Iterable[str], n: int) -> None:
    for one in found:
        counter[one] += n


def _texts(value: Any) -> set[str]:
    items = value if isinstance(value, list) else [value]
    return {item for item in items if isinstance(item, str)}


def _by_server(collection: Any, criteria: Mapping[str, Any]) -> Counts:
    """Let a MongoDB server count those that have all values in common."""
    group = {"_id": group_id(), "n": {"$sum": 1}}
    pipeline = [{"$match": by_values(collection, criteria)}, {"$group": group}]
    counts = no_counts()
    for group in collection.aggregate(pipeline, allowDiskUse=True):
        count_values(counts, group["_id"], group["n"])
    return counts


def _by_columns(collection: SqliteCollection, criteria: Mapping[str, Any]) -> Counts:
    """Count in one pass over the columns, where the collection has them."""
    counts = no_counts()
    rows: list[tuple[Any, ...]] = []
    named: dict[str, Column] = {}
    with collection.sqlite.one_moment() as connection:
        columns = collection.columns(connection)
        if columns is None or not columns.has([*_TEXTS.values(), *_LISTS.values()]):
            others = [one for _, one in collection.matching(connection, criteria)]
        else:
            named = {path: column for path, column in columns.by_path.items() if _is_part(path)}
            search = Search(collection, connection, columns, criteria)
            rows, others = search.values([*named.values()], columns.groups.get(FACET_PATHS))
    for n, *found in rows:
        record = dict(zip(named, found, strict=True))
        values: dict[str, Any] = {name: record[path] for name, path in _TEXTS.items()}
        values |= {name: _split(record[path]) for name, path in _LISTS.items()}
        levels = {path: level for path, level in record.items() if path.startswith(_LEVELS)}
        values[_LEVELS] = {path.partition(".")[2]: level for path, level in levels.items()}
        count_values(counts, values, n)
    for document in others:
        count_values(counts, {name: value_of(document, path) for name, path in _PATHS.items()})
    return counts


def _is_part(path: str) -> bool:
    return path in _PATHS.values() or path.startswith(f"{_LEVELS}.")


def _split(joined: str | None) -> list[str]:
    return joined.split(SEPARATOR)[1:-1] if joined else []
