"""One page of a collection: the same rows in the same order on every store.

Rows without a value come last whether sorting up or down; rows that are equal are in the order
of their ids. The database does it: neither all rows nor their count pass through Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .collection import SqliteCollection
from .ordering import MISSING
from .selection import Selection, select, sort_key, values_of
from .shaping import value_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from maggma.core import Store

    from .fields import Field

    Document = dict[str, Any]

_BATCH = 1000
_LARGE_BATCH = 20_000
_MOST_LOOKED_AT = 2000


@dataclass(frozen=True)
class Page:
    """Rows `skip` to `skip` + `limit` of a sorted collection.

    Attributes
    ----------
    rows
        Documents as the store keeps them.
    total
        How many match, on all pages together.
    """

    rows: list[dict[str, Any]]
    total: int


def find_page(
    summaries: Store,
    criteria: Mapping[str, Any] | None = None,
    *,
    sort: Sequence[tuple[Field, bool]] = (),
    skip: int = 0,
    limit: int = 0,
    properties: Sequence[str] | None = None,
) -> Page:
    """Return one page of the summaries for which `criteria` hold.

    Parameters
    ----------
    summaries
        Connected store.
    criteria
        A MongoDB filter.
    sort
        Pairs of a field and whether it sorts downwards; the first one counts most. A list
        counts with its least (upwards) or greatest element. Ties are in the order of the
        store's key.
    skip, limit
        Rows to leave out first, and most rows to return; a limit of 0 is none.
    properties
        Dotted paths to return, beside the store's key; ``None`` for whole documents.

    Raises
    ------
    InputError
        `skip` or `limit` is negative.
    StoreError
        The store does not know the filter.
    StoreTimeoutError
        It took too long.
    """
    for name, value in (("limit", limit), ("skip", skip)):
        if value < 0:
            allowed = "0 for all, or more" if name == "limit" else "0 or more"
            raise InputError(f"a {name} cannot be negative", given=value, allowed=allowed)
    order = [(field.path, down) for field, down in sort]
    key = str(summaries.key)
    if key not in dict(order):
        order.append((key, False))
    projection = None if properties is None else dict.fromkeys((key, *properties), 1)
    has_lists = any(field.type == "list" for field, _ in sort)
    wanted = Selection(criteria or {}, order, skip, limit, projection, has_lists=has_lists)
    collection = summaries._collection
    find = select if isinstance(collection, SqliteCollection) else _from_server
    rows, total = find(collection, wanted)
    return Page(rows, total)


def find_keys(summaries: Store, criteria: Mapping[str, Any]) -> list[str]:
    """Return the keys of all summaries for which `criteria` hold, rising."""
    collection, key = summaries._collection, str(summaries.key)
    if not isinstance(collection, SqliteCollection):
        rows = collection.find(criteria, {key: 1, "_id": 0}, sort=[(key, 1)])
        return [row[key] for row in rows]
    return sorted(name for (name,) in values_of(collection, criteria, [key]))


def find_values(
    summaries: Store, criteria: Mapping[str, Any], fields: Sequence[Field]
) -> list[tuple[Any, ...]]:
    """Return key and numbers, or short texts, of all summaries for which `criteria` hold.

    ``None`` stands for what is not there.
    """
    collection, key = summaries._collection, str(summaries.key)
    paths = [key, *(field.path for field in fields)]
    if isinstance(collection, SqliteCollection):
        return values_of(collection, criteria, paths)
    wanted = {**dict.fromkeys(paths, 1), "_id": 0}
    rows = collection.find(criteria, wanted, batch_size=_LARGE_BATCH)
    return [(row[key], *(field.of(row) for field in fields)) for row in rows]


def _from_server(collection: Any, wanted: Selection) -> tuple[list[Document], int]:
    """Let a MongoDB server sort, by an index where there is one of the first field."""
    criteria, count = wanted.criteria, collection.count_documents
    total = count(criteria) if criteria else collection.estimated_document_count()
    path, *others = (path for path, _ in wanted.by)
    if not others:
        return list(_found(collection, wanted, criteria, wanted.skip, wanted.limit)), total
    if len(others) > 1 or wanted.has_lists:
        rows = None if wanted.has_lists else _by_first(collection, wanted)
        return _computed(collection, wanted) if rows is None else rows, total
    known = {"$and": [{path: {"$ne": None}}, *([criteria] if criteria else [])]}
    rows = list(_found(collection, wanted, known, wanted.skip, wanted.limit))
    if wanted.limit and len(rows) == wanted.limit:
        return rows, total
    skip = 0 if rows else max(0, wanted.skip - count(known))
    left = wanted.limit - len(rows) if wanted.limit else 0
    unknown = {"$and": [{path: None}, *([criteria] if criteria else [])]}
    return rows + list(_found(collection, wanted, unknown, skip, left)), total


def _by_first(collection: Any, wanted: Selection) -> list[Document] | None:
    """Sort by the first field with its index, and in Python those that are equal in it.

    ``None`` where that would have to look at many, or at what is no number: for one page of a
    field of which few are equal it does not.
    """
    (path, down), *_ = wanted.by
    last = wanted.skip + wanted.limit
    if not wanted.limit or last > _MOST_LOOKED_AT:
        return None
    keys = dict.fromkeys((path for path, _ in wanted.by), 1)

    def matching(test: Any, limit: int) -> list[Document]:
        criteria = {"$and": [{path: test}, *([wanted.criteria] if wanted.criteria else [])]}
        first = [(path, -1 if down else 1), (wanted.by[-1][0], 1)]
        return list(collection.find(criteria, keys, sort=first, limit=limit))

    rows = matching({"$ne": None}, last)
    if len(rows) == last:
        final = value_of(rows[-1], path)
        if not _is_plain(final):
            return None
        rows = [row for row in rows if value_of(row, path) != final]
        rows += matching(final, _MOST_LOOKED_AT)
    else:
        rows += matching(None, _MOST_LOOKED_AT)
    odd = (value_of(row, path) for row in rows)
    if len(rows) >= _MOST_LOOKED_AT or not all(map(_is_plain, odd)):
        return None
    rows.sort(key=lambda row: sort_key(row, wanted.by))
    ids = [row["_id"] for row in rows[wanted.skip : last]]
    return _of_ids(collection, wanted, ids)


def _is_plain(value: Any) -> bool:
    """Tell whether a value is a number that is equal to itself, or none."""
    return value is MISSING or value is None or (type(value) in {int, float} and value == value)  # noqa: PLR0124  (NaN)


def _found(
    collection: Any, wanted: Selection, criteria: Mapping[str, Any], skip: int, limit: int
) -> Iterator[Document]:
    sort = [(path, -1 if down else 1) for path, down in wanted.by]
    found: Iterator[Document] = collection.find(
        criteria, wanted.projection, sort=sort, skip=skip, limit=limit
    )
    return found


def _computed(collection: Any, wanted: Selection) -> list[Document]:
    """Sort by computed keys, which tell missing values from known ones."""
    keys: dict[str, Any] = {}
    sort: dict[str, int] = {}
    for at, (path, down) in enumerate(wanted.by):
        value = {"$max" if down else "$min": f"${path}"}
        keys |= {f"k{at}": value, f"missing{at}": {"$lte": [value, None]}}
        sort |= {f"missing{at}": 1, f"k{at}": -1 if down else 1}
    pipeline = [{"$match": wanted.criteria}, {"$project": keys}, {"$sort": sort}]
    pipeline += [{"$skip": wanted.skip}, *([{"$limit": wanted.limit}] if wanted.limit else [])]
    pipeline.append({"$project": {"_id": 1}})
    ids = [row["_id"] for row in collection.aggregate(pipeline, allowDiskUse=True)]
    return _of_ids(collection, wanted, ids)


def _of_ids(collection: Any, wanted: Selection, ids: list[Any]) -> list[Document]:
    rows: dict[Any, Document] = {}
    for start in range(0, len(ids), _BATCH):
        some = {"_id": {"$in": ids[start : start + _BATCH]}}
        rows |= {row["_id"]: row for row in collection.find(some, wanted.projection)}
    return [rows[one] for one in ids if one in rows]
