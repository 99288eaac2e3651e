"""Pages of a collection of the embedded store, made by SQLite as far as its columns go."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import bson

from .columns import order_of
from .matching import compile_filter, normalized
from .ordering import MISSING, order
from .pushdown import Condition, Translator
from .shaping import compile_projection, value_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .collection import SqliteCollection
    from .columns import Column, Columns

    Document = dict[str, Any]
    Order = Sequence[tuple[str, bool]]
    Key = tuple[Any, ...]

_BATCH = 500
_LOOK_AHEAD, _WORTH_IT = 4, 4
"""How many times as many rows are looked at as are likely to do; how few of all these are."""


class _Falling:
    """A value that sorts the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Falling) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Falling) and bool(other.value == self.value)

    __hash__ = None  # type: ignore[assignment]  # of no use in a set


@dataclass(frozen=True)
class Selection:
    """Which documents are wanted.

    Attributes
    ----------
    criteria
        A MongoDB filter.
    by
        Paths and whether they sort downwards; documents without a value come last.
    skip, limit
        Documents to leave out first, and most to return; a limit of 0 is none.
    projection
        Fields to return; ``None`` for all.
    has_lists
        Whether there are lists among what it sorts by.
    """

    criteria: Mapping[str, Any]
    by: Order
    skip: int = 0
    limit: int = 0
    projection: Mapping[str, int] | None = None
    has_lists: bool = False


def select(collection: SqliteCollection, wanted: Selection) -> tuple[list[Document], int]:
    """Return a page of the documents that match, and how many match."""
    by, skip, limit, projection = wanted.by, wanted.skip, wanted.limit, wanted.projection
    project = compile_projection(dict(projection) if projection else None)
    version = collection.version()  # before anything is read
    with collection.sqlite.one_moment() as connection:
        columns = collection.columns(connection)
        if columns is None or any(columns.get(path) is None for path, _ in by):
            found = [
                (sort_key(document, by), seq)
                for seq, document in collection.matching(connection, wanted.criteria)
            ]
            total, seqs = len(found), _page(found, skip, limit)
        else:
            search = Search(collection, connection, columns, wanted.criteria, version)
            total, seqs = search.page(by, skip, limit)
        documents = documents_of(connection, seqs)
    return [project(documents[seq]) for seq in seqs], total


def values_of(
    collection: SqliteCollection, criteria: Mapping[str, Any], paths: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Return the values at `paths` of each document that matches, in any order.

    For values that are in a column as they are in the document: numbers and short texts.
    """
    with collection.sqlite.one_moment() as connection:
        known = collection.columns(connection)
        columns = [known.get(path) if known is not None else None for path in paths]
        there = [column for column in columns if column is not None]
        rows: list[tuple[Any, ...]] = []
        if known is None or len(there) < len(paths):
            others = [one for _, one in collection.matching(connection, criteria)]
        else:
            rows, others = Search(collection, connection, known, criteria).values(there, None)
    found = [tuple(values) for _, *values in rows]
    return found + [tuple(_plain(value_of(one, path)) for path in paths) for one in others]


def _plain(value: Any) -> Any:
    return None if value is MISSING else value


def count(
    collection: SqliteCollection, connection: sqlite3.Connection, criteria: Mapping[str, Any]
) -> int:
    """Return how many documents match."""
    columns = collection.columns(connection)
    if columns is None or collection.is_narrow(connection, criteria):
        return sum(1 for _ in collection.matching(connection, criteria))
    return Search(collection, connection, columns, criteria).count()


def _page(found: list[tuple[Key, int]], skip: int, limit: int) -> list[int]:
    found.sort()
    return [seq for _, seq in found[skip : skip + limit if limit else None]]


@dataclass
class Search:
    """A filter on a collection with columns.

    Attributes
    ----------
    version
        Of the collection, taken before the reading began; ``None`` where that is not known.
    """

    collection: SqliteCollection
    connection: sqlite3.Connection
    columns: Columns
    criteria: Mapping[str, Any]
    version: object = None

    @cached_property
    def condition(self) -> dict[str, Any]:
        """The filter as a server would see it."""
        return normalized(self.criteria)

    @cached_property
    def predicate(self) -> Callable[[Document], bool]:
        """Tells whether a document matches."""
        return compile_filter(self.condition)

    def count(self) -> int:
        """Return how many documents match."""
        with self._translated() as where:
            if not where.is_exact:
                return sum(1 for _ in self._checked(where))
            return self._count(where) + sum(1 for _ in self._irregular())

    def values(
        self, columns: Sequence[Column], group: str | None
    ) -> tuple[list[tuple[Any, ...]], list[Document]]:
        """Return the columns' values of the regular matches, and the other matches.

        Before the values stands how many documents have them, once or more often; `group` is
        a column that is the same for documents with the same values.
        """
        names, table = ", ".join(column.sql for column in columns), self.columns.table
        with self._translated() as where:
            if not where.is_exact:
                return [], [document for _, document in self._checked(where)]
            sql = f"SELECT 1, {names} FROM {table} WHERE {_regular(where)}"  # noqa: S608  (no user text)
            if group is not None:
                sql = (
                    f"SELECT n, {names} FROM {table} JOIN (SELECT min(seq) AS seq, count(*) AS n "  # noqa: S608  (no user text)
                    f"FROM {table} WHERE {_regular(where)} GROUP BY {group}) USING (seq)"
                )
            rows = self.connection.execute(sql, where.values).fetchall()
            return rows, [document for _, document in self._irregular()]

    @contextmanager
    def _translated(self) -> Iterator[Condition]:
        _ = self.predicate  # refuses what is no filter
        with Translator(self.columns) as translator:
            yield translator.translate(self.condition)

    def page(self, by: Order, skip: int, limit: int) -> tuple[int, list[int]]:
        """Return how many match, and the numbers of the page."""
        with self._translated() as where:
            if not where.is_exact:
                found = [(sort_key(document, by), seq) for seq, document in self._checked(where)]
                return len(found), _page(found, skip, limit)
            strange = [(sort_key(document, by), seq) for seq, document in self._irregular()]
            asked = {"regular": self.condition}
            n_regular = self.collection.answers.get(self.version, asked, lambda: self._count(where))
            total = n_regular + len(strange)
            rows = self._first(where, by, skip + limit if limit else -1, n_regular)
            if not strange:
                return total, [row[0] for row in rows[skip:]]
            falls = [down for _, down in by]
            known = [(_key_of_row(values, falls), seq) for seq, *values in rows]
            return total, _page(known + strange, skip, limit)

    def _count(self, where: Condition) -> int:
        sql = f"SELECT count(*) FROM {self.columns.table} WHERE {_regular(where)}"  # noqa: S608  (no user text)
        return int(self.connection.execute(sql, where.values).fetchone()[0])

    def _first(
        self, where: Condition, by: Order, wanted: int, n_regular: int
    ) -> list[tuple[Any, ...]]:
        """Return the first `wanted` rows that match, each its number and what it sorts by.

        Where many match, these are likely among the first of an index: only some times as
        many rows are looked at as are wanted, and all of them where that did not do.
        """
        table = self.columns.table
        if self.columns.is_in_order(by[0][0]) and 0 < wanted < n_regular:
            n_all = self.collection.answers.get(self.version, {"rows": table}, self._count_rows)
            reach = _LOOK_AHEAD * max(wanted * n_all // n_regular, wanted)
            if reach * _WORTH_IT < n_all:
                first = f"SELECT seq FROM {table} ORDER BY {self._terms(by)} LIMIT {reach}"  # noqa: S608  (no user text)
                rows = self._sorted(f"({first}) CROSS JOIN {table} USING (seq)", where, by, wanted)
                if len(rows) == wanted:
                    return rows
        return self._sorted(table, where, by, wanted)

    def _count_rows(self) -> int:
        sql = f"SELECT count(*) FROM {self.columns.table}"  # noqa: S608  (no user text)
        return int(self.connection.execute(sql).fetchone()[0])

    def _sorted(
        self, source: str, where: Condition, by: Order, limit: int
    ) -> list[tuple[Any, ...]]:
        keys = [self._sort_key(path, down=down) for path, down in by]
        sql = (
            f"SELECT {', '.join(['seq', *keys])} FROM {source} "  # noqa: S608  (no user text)
            f"WHERE {_regular(where)} ORDER BY {self._terms(by, '+')} LIMIT ?"
        )
        return self.connection.execute(sql, (*where.values, limit)).fetchall()

    def _terms(self, by: Order, sign: str = "") -> str:
        """Return what to order by; with a sign SQLite sorts, and looks up no row by an index."""
        keys = [(self._sort_key(path, down=down), down) for path, down in by]
        terms = (f"{sign}{key} {'DESC' if down else 'ASC'} NULLS LAST" for key, down in keys)
        return ", ".join([*terms, f"{sign}seq"])

    def _sort_key(self, path: str, *, down: bool) -> str:
        column = self.columns.get(path)
        return "NULL" if column is None else column.sorted_by(down=down)

    def _irregular(self) -> Iterator[tuple[int, Document]]:
        sql = f"SELECT seq FROM {self.columns.table} WHERE irregular = 1"  # noqa: S608  (no user text)
        return self._checked_of(self.connection.execute(sql).fetchall())

    def _checked(self, where: Condition) -> Iterator[tuple[int, Document]]:
        sql = f"SELECT seq FROM {self.columns.table} WHERE irregular = 1 OR {where.sql}"  # noqa: S608  (no user text)
        return self._checked_of(self.connection.execute(sql, where.values).fetchall())

    def _checked_of(self, rows: list[tuple[int]]) -> Iterator[tuple[int, Document]]:
        for start in range(0, len(rows), _BATCH):
            some = documents_of(self.connection, [seq for (seq,) in rows[start : start + _BATCH]])
            for seq, document in self.collection.sqlite.in_time(some.items()):
                if self.predicate(document):
                    yield seq, document


def _regular(where: Condition) -> str:
    return f"irregular = 0 AND {where.sql}"


def documents_of(connection: sqlite3.Connection, seqs: Iterable[int]) -> dict[int, Document]:
    """Return documents by their numbers."""
    wanted, found = list(seqs), {}
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        sql = f"SELECT seq, body FROM documents WHERE seq IN ({', '.join('?' * len(some))})"  # noqa: S608  (no user text)
        found.update({seq: bson.decode(body) for seq, body in connection.execute(sql, some)})
    return found


def sort_key(document: Document, by: Order) -> Key:
    """Return what a document sorts by: of lists their least or greatest element."""
    keys = []
    for path, down in by:
        value = value_of(document, path)
        items = [order(one) for one in (value if type(value) is list else [value])]
        known = [one for one in items if one != order(MISSING)]
        keys.append(_sortable((max if down else min)(known, default=None), down=down))
    return tuple(keys)


def _key_of_row(values: Sequence[Any], falls: Sequence[bool]) -> Key:
    return tuple(
        _sortable(order_of(value), down=down) for value, down in zip(values, falls, strict=False)
    )


def _sortable(key: Key | None, *, down: bool) -> tuple[bool, Any]:
    return key is None, _Falling(key) if down and key is not None else key or ()
