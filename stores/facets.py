"""How many candidates there are of each family, phase, status, system, element, level, sweep."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from .collection import SqliteCollection
from .columns import SEPARATOR
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


def count_facets(summaries: Store, criteria: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the number of summaries that pass `criteria`, by property and its value.

    ``level`` counts a candidate once for each level of any of its stages, ``level_hull``...
    that of one stage. The most frequent values come first, equally frequent ones by name.
    """
    collection = summaries._collection
    counts: Counts | None = None
    if isinstance(collection, SqliteCollection):
        counts = _by_columns(collection, criteria)
    if counts is None:
        paths = [*_TEXTS.values(), *_LISTS.values(), _LEVELS]
        counts = _empty()
        _count(counts, summaries.query(criteria, paths))
    fixed = list(_empty())
    return {
        name: dict(sorted(counts[name].items(), key=lambda item: (-item[1], item[0])))
        for name in [*fixed, *sorted(counts.keys() - fixed)]
    }


def _empty() -> Counts:
    return {name: Counter() for name in (*_TEXTS, *_LISTS, "level")}


def _count(counts: Counts, records: Iterable[dict[str, Any]]) -> None:
    for record in records:
        for name, path in (_TEXTS | _LISTS).items():
            counts[name].update(_texts(value_of(record, path)))
        levels = record.get(_LEVELS)
        if isinstance(levels, dict):
            counts["level"].update({one for one in levels.values() if isinstance(one, str)})
            for stage, level in levels.items():
                counts.setdefault(f"level_{stage}", Counter()).update(_texts(level))


def _texts(value: Any) -> set[str]:
    items = value if isinstance(value, list) else [value]
    return {item for item in items if isinstance(item, str)}


def _by_columns(collection: SqliteCollection, criteria: Mapping[str, Any]) -> Counts | None:
    """Count in one pass over the columns; ``None`` where the collection lacks one."""
    with collection.sqlite.one_moment() as connection:
        columns = collection.columns(connection)
        if columns is None or not columns.has([*_TEXTS.values(), *_LISTS.values()]):
            return None
        named: dict[str, Column] = {
            name: columns.by_path[path] for name, path in (_TEXTS | _LISTS).items()
        }
        stages = [path for path in columns.by_path if path.startswith(f"{_LEVELS}.")]
        named |= {f"level_{path.partition('.')[2]}": columns.by_path[path] for path in stages}
        rows, others = Search(collection, connection, columns, criteria).values([*named.values()])
    counts = _empty()
    for name, values in zip(named, zip(*rows, strict=True), strict=False):
        found = Counter(values)
        found.pop(None, None)
        counts[name] = _split(found) if name in _LISTS else found
    n_other = len(named) - len(stages)
    sets = Counter(row[n_other:] for row in rows) if stages else Counter()
    for levels, n in sets.items():
        for level in set(levels) - {None}:
            counts["level"][level] += n
    _count(counts, others)
    return {name: counter for name, counter in counts.items() if counter or name in _empty()}


def _split(found: Counter[str]) -> Counter[str]:
    counter: Counter[str] = Counter()
    for joined, n in found.items():
        for item in {*joined.split(SEPARATOR)} - {""}:
            counter[item] += n
    return counter
