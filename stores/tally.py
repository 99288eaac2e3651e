"""What a collection of summaries holds in numbers, all of one reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..quantity import Status
from .collection import SqliteCollection
from .facets import count_facets, count_values, group_id, in_order, no_counts
from .few_values import by_values
from .fields import get_field
from .paging import find_page
from .selection import count, values_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maggma.core import Store

    from .fields import Field

    Criteria = Mapping[str, Any]

_UPDATED: Final = "last_updated"
_FLAGS: Final = ("complete", "passes_screen")


@dataclass(frozen=True)
class Tally:
    """How many summaries there are, of what, and their numbers that are ``ok``.

    Attributes
    ----------
    n_passing, n_failing
        The screen of their sweep; of others it is not known.
    counts
        As of :func:`~haloflow.stores.facets.count_facets`.
    values
        By short name of a field, the known values that are ok, rising.
    last_updated
        Of the one that changed last.
    """

    n_candidates: int
    n_complete: int
    n_passing: int
    n_failing: int
    counts: dict[str, dict[str, int]]
    values: dict[str, list[float]]
    last_updated: object


def tally(summaries: Store, criteria: Criteria, names: Sequence[str]) -> Tally:
    """Count the summaries that pass `criteria`, and collect the values of some fields.

    All numbers are of one moment on the embedded store; on a server, of one pass over the
    summaries, so that they agree with each other whoever writes meanwhile. Which values of a
    field a filter means, e.g. by a pattern, is read just before: a summary with a value that
    is new since is in none of them.

    Parameters
    ----------
    names
        Short names of fields that have a status.
    """
    collection = summaries._collection
    if isinstance(collection, SqliteCollection):
        return _of_columns(summaries, collection, criteria, names)
    return _of_server(collection, criteria, names)


def _of_columns(
    summaries: Store, collection: SqliteCollection, criteria: Criteria, names: Sequence[str]
) -> Tally:
    with collection.sqlite.one_moment() as connection:

        def number(**more: object) -> int:
            return count(collection, connection, _both(criteria, more))

        by_update = [(get_field("updated"), True)]
        last = find_page(summaries, criteria, sort=by_update, limit=1, properties=[_UPDATED])
        return Tally(
            n_candidates=last.total,
            n_complete=number(complete=True),
            n_passing=number(passes_screen=True),
            n_failing=number(passes_screen=False),
            counts=count_facets(summaries, criteria),
            values={name: _values(collection, criteria, name) for name in names},
            last_updated=last.rows[0].get(_UPDATED) if last.rows else None,
        )


def _values(collection: SqliteCollection, criteria: Criteria, name: str) -> list[float]:
    field, status = _fields(name)
    ok = _both(criteria, {status.path: Status.OK.value, field.path: {"$ne": None}})
    return sorted(float(value) for (value,) in values_of(collection, ok, [field.path]))


def _fields(name: str) -> tuple[Field, Field]:
    return get_field(name), get_field(f"{name}_status")


def _both(criteria: Criteria, more: Criteria) -> dict[str, Any]:
    return {"$and": [dict(criteria), dict(more)]} if criteria else dict(more)


def _of_server(collection: Any, criteria: Criteria, names: Sequence[str]) -> Tally:
    """Let a MongoDB server group those that have all texts in common."""
    groups = collection.aggregate(
        [{"$match": by_values(collection, criteria)}, {"$group": _group(names)}],
        allowDiskUse=True,
    )
    counts = no_counts()
    values: dict[str, list[float]] = {name: [] for name in names}
    numbers = dict.fromkeys(("all", "complete", "passing", "failing"), 0)
    last = None
    for group in groups:
        texts, n = group["_id"], group["n"]
        count_values(counts, texts, n)
        numbers["all"] += n
        numbers["complete"] += n * (texts.get("complete") is True)
        numbers["passing"] += n * (texts.get("passes_screen") is True)
        numbers["failing"] += n * (texts.get("passes_screen") is False)
        for name in names:
            values[name] += [value for value in group[name] if value is not None]
        if group[_UPDATED] is not None:
            last = group[_UPDATED] if last is None else max(last, group[_UPDATED])
    return Tally(
        numbers["all"],
        numbers["complete"],
        numbers["passing"],
        numbers["failing"],
        in_order(counts),
        {name: sorted(found) for name, found in values.items()},
        last,
    )


def _group(names: Sequence[str]) -> dict[str, Any]:
    """Return the stage of a pipeline that groups: values of `names` where they are ok."""
    stage: dict[str, Any] = {
        "_id": {**group_id(), **{flag: f"${flag}" for flag in _FLAGS}},
        "n": {"$sum": 1},
        _UPDATED: {"$max": f"${_UPDATED}"},
    }
    for name in names:
        field, status = _fields(name)
        is_ok = {"$eq": [f"${status.path}", Status.OK.value]}
        stage[name] = {"$push": {"$cond": [is_ok, f"${field.path}", "$$REMOVE"]}}
    return stage
