"""Reading whole collections in batches, each from where the one before stopped."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import bson

from .collection import SqliteCollection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maggma.core import Store

    Report = Callable[[str, int, int], None]
    """Told what is being done, how much of it is done, and how much there is."""

BATCH = 100


@dataclass(frozen=True, slots=True)
class Batch:
    """Some documents of a collection.

    Attributes
    ----------
    mark
        What to pass as `after` to go on behind them.
    """

    documents: list[dict[str, Any]]
    mark: Any


def batches(store: Store, after: Any = None, size: int = BATCH) -> Iterator[Batch]:
    """Yield all documents of a connected store, a batch in memory at a time.

    They come in an order that a replacement of a document does not change: that of insertion
    in the embedded store, that of ``_id`` on MongoDB.

    Parameters
    ----------
    store
        A collection of either kind of store.
    after
        Mark of the last batch that was dealt with; default: from the start.
    size
        Most documents of a batch.
    """
    collection: Any = store._collection
    if isinstance(collection, SqliteCollection):
        yield from _embedded_batches(collection, after, size)
        return
    criteria = {} if after is None else {"_id": {"$gt": after}}
    rows = iter(collection.find(criteria, sort=[("_id", 1)]))
    while documents := list(islice(rows, size)):
        yield Batch(documents, documents[-1]["_id"])


def _embedded_batches(collection: SqliteCollection, after: Any, size: int) -> Iterator[Batch]:
    """Yield batches, each a reading of its own: a long one would let the log of writes grow."""
    sql = "SELECT seq, body FROM documents WHERE collection = ? AND seq > ? ORDER BY seq LIMIT ?"
    mark = 0 if after is None else int(after)
    while True:
        with collection.sqlite.reading() as connection:
            rows = connection.execute(sql, (collection.name, mark, size)).fetchall()
        if not rows:
            return
        mark = rows[-1][0]
        yield Batch([bson.decode(body) for _, body in rows], mark)
