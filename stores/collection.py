"""A collection of the embedded store with the part of pymongo's interface that is needed.

maggma's MongoStore, and our claims, run on it unchanged. Indexed fields narrow down which
documents are read; the compiled filter alone decides which of them match.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import bson

from .columns import create, load
from .indexing import Lookup, lookups
from .matching import compile_filter, normalized
from .memory import Answers
from .pushdown import Translator
from .selection import count
from .shaping import compile_projection, distinct_values, sort_documents
from .writing import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pymongo import ReplaceOne

    from .columns import Columns
    from .memory import AnswerT
    from .sqlite import Database

    Document = dict[str, Any]


_FEW_ENOUGH = 5000
"""Lookups that give more documents than this are not told apart."""
_NARROW = 200
"""Columns are asked only where the lookups give more documents than this."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did."""

    matched_count: int = 0
    deleted_count: int = 0


class SqliteCollection:
    """Documents of one name in one database file."""

    def __init__(self, database: Database, name: str) -> None:
        self.sqlite = database
        self.name = name
        self.answers = Answers()

    # -- reading -----------------------------------------------------------------------

    def find(
        self,
        filter: Mapping[str, Any] | None = None,
        projection: Mapping[str, Any] | Sequence[str] | None = None,
        skip: int = 0,
        limit: int = 0,
        sort: Sequence[tuple[str, int]] | None = None,
        **_hints: object,
    ) -> Iterator[Document]:
        """Yield the matching documents, as they were at the first one asked for."""
        fields = projection if isinstance(projection, dict) else dict.fromkeys(projection or (), 1)
        project = compile_projection(fields)
        stop = skip + limit if limit else None
        with self.sqlite.reading() as connection:
            matches = (document for _, document in self.matching(connection, filter))
            if sort:
                documents = list(matches)
                sort_documents(documents, sort)
                found = [project(one) for one in documents[skip:stop]]
            else:  # of each document no more is kept than was asked for
                found = [project(one) for one in islice(matches, skip, stop)]
        yield from found

    def count_documents(self, filter: Mapping[str, Any], **_hints: object) -> int:
        """Count the matching documents."""
        with self.sqlite.reading() as connection:
            if filter:
                return self.remembered(
                    {"count": dict(filter)}, lambda: count(self, connection, filter)
                )
            query = "SELECT count(*) FROM documents WHERE collection = ?"
            return int(connection.execute(query, (self.name,)).fetchone()[0])

    def estimated_document_count(self) -> int:
        """Count all documents, exactly."""
        return self.count_documents({})

    def distinct(self, key: str, filter: Mapping[str, Any] | None = None) -> list[Any]:
        """Return the different values of a field."""
        with self.sqlite.reading() as connection:
            matches = (document for _, document in self.matching(connection, filter))
            return distinct_values(matches, key)

    def matching(
        self, connection: sqlite3.Connection, criteria: Mapping[str, Any] | None
    ) -> Iterator[tuple[int, Document]]:
        """Yield the documents that match with their numbers, in the order of insertion."""
        condition = normalized(criteria)
        predicate = compile_filter(condition)
        where, values = self._narrowed(connection, condition)
        rows = connection.execute(
            f"SELECT seq, body FROM documents WHERE {where} ORDER BY seq",  # noqa: S608  (no user text)
            values,
        )
        for seq, body in self.sqlite.in_time(rows):
            document = bson.decode(body)
            if predicate(document):
                yield seq, document

    def _narrowed(
        self, connection: sqlite3.Connection, condition: dict[str, Any]
    ) -> tuple[str, tuple[Any, ...]]:
        """Return a condition that holds for all matches, by the indexes or the columns."""
        single = (found for found in lookups(self.name, condition, ()) if found.is_single)
        if lookup := next(single, None):
            return f"seq IN ({lookup.sql})", lookup.values
        fields = self.indexes(connection)
        lookup, n_found = _narrowest(connection, lookups(self.name, condition, fields))
        columns = self.columns(connection) if condition and n_found > _NARROW else None
        if columns is not None:
            with Translator(columns) as translator:
                where = translator.translate(condition)
                if where.sql != "1" and translator.is_portable:
                    sql = f"SELECT seq FROM {columns.table} WHERE irregular = 1 OR {where.sql}"  # noqa: S608  (no user text)
                    return f"seq IN ({sql})", where.values
        if lookup is not None:
            return f"seq IN ({lookup.sql})", lookup.values
        return "collection = ?", (self.name,)

    def is_narrow(self, connection: sqlite3.Connection, criteria: Mapping[str, Any]) -> bool:
        """Tell whether the indexes alone leave few documents."""
        choices = list(lookups(self.name, normalized(criteria), self.indexes(connection)))
        return any(found.is_single for found in choices) or (
            _narrowest(connection, choices)[1] <= _NARROW
        )

    def version(self) -> object:
        """Return what differs after a write of anyone; ``None`` where nothing tells."""
        return self.sqlite.version() if self.sqlite.read_only else None

    def remembered(self, what: Mapping[str, Any], ask: Callable[[], AnswerT]) -> AnswerT:
        """Return the answer to `what`, from memory if no one has written since it was given."""
        return self.answers.get(self.version(), what, ask)

    def columns(self, connection: sqlite3.Connection) -> Columns | None:
        """Return the columns of this collection, ``None`` where it has none."""
        return load(connection, self.name)

    # -- writing -----------------------------------------------------------------------

    def bulk_write(self, requests: Sequence[ReplaceOne[Any]], **_options: object) -> WriteResult:
        """Replace or insert all documents in one transaction."""
        matched = 0
        with self._writing() as writer:
            for criteria, document, upsert in map(_parts, requests):
                matched += writer.replace(criteria, document, upsert=upsert)
        return WriteResult(matched_count=matched)

    def replace_one(
        self,
        filter: Mapping[str, Any],
        replacement: Document,
        *,
        upsert: bool = False,
    ) -> WriteResult:
        """Replace the first match in one step that no other process can come between."""
        with self._writing() as writer:
            matched = writer.replace(filter, replacement, upsert=upsert)
        return WriteResult(matched_count=matched)

    def insert_one(self, document: Document) -> None:
        """Insert a document, or raise DuplicateKeyError where its ``_id`` exists."""
        with self._writing() as writer:
            writer.insert(document)

    def insert_many(self, documents: Iterable[Document]) -> None:
        """Insert documents, all or none."""
        with self._writing() as writer:
            for document in documents:
                writer.insert(document)

    def delete_many(self, filter: Mapping[str, Any]) -> WriteResult:
        """Delete the matching documents."""
        with self._writing() as writer:
            found = [seq for seq, _ in self.matching(writer.connection, filter)]
            writer.delete(found)
        return WriteResult(deleted_count=len(found))

    def drop(self) -> None:
        """Delete all documents; the indexes stay."""
        self.delete_many({})

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        with self.sqlite.writing() as connection:
            indexes = self.indexes(connection)
            yield Writer(self, connection, indexes, self.columns(connection))

    # -- indexes -----------------------------------------------------------------------

    def create_index(self, keys: str, *, unique: bool | None = False, **_options: object) -> str:
        """Index one field; done at once for the documents that exist."""
        with self.sqlite.writing() as connection:
            row = (self.name, keys, bool(unique))
            sql = "INSERT OR IGNORE INTO indexes VALUES (?, ?, ?)"
            if connection.execute(sql, row).rowcount:
                writer = Writer(self, connection, {keys: bool(unique)}, None)
                for seq, document in list(self.matching(connection, None)):
                    writer.write_entries(seq, document)
        return f"{keys}_1"

    def create_columns(self, wanted: Mapping[str, str]) -> None:
        """Keep values beside the documents, at once for those that exist.

        Parameters
        ----------
        wanted
            Path to ``scalar``, ``list`` (of texts) or ``pattern`` (with ``*`` for any name);
            paths between commas to ``group``, between `SEPARATOR` to ``cover``.
        """
        with self.sqlite.reading() as connection:
            if self._has_columns(connection, wanted):
                return
        with self.sqlite.writing() as connection:
            if self._has_columns(connection, wanted):
                return  # another process was faster
            known = self.columns(connection)
            new = {kind for path, kind in wanted.items() if not (known and known.has([path]))}
            columns = create(connection, self.name, wanted)
            if new != {"cover"}:
                for seq, document in self.matching(connection, None):
                    columns.write(connection, self.name, seq, document)

    def _has_columns(self, connection: sqlite3.Connection, wanted: Iterable[str]) -> bool:
        known = self.columns(connection)
        return known is not None and known.has(wanted)

    def index_information(self) -> dict[str, dict[str, Any]]:
        """Return the indexes as pymongo does."""
        with self.sqlite.reading() as connection:
            fields = self.indexes(connection)
        return {f"{field}_1": {"key": [(field, 1)]} for field in ("_id", *fields)}

    def indexes(self, connection: sqlite3.Connection) -> dict[str, bool]:
        """Return the indexed fields, and whether each is unique."""
        sql = "SELECT field, is_unique FROM indexes WHERE collection = ?"
        return {field: bool(unique) for field, unique in connection.execute(sql, (self.name,))}


def _narrowest(
    connection: sqlite3.Connection, choices: Iterable[Lookup]
) -> tuple[Lookup | None, int]:
    """Return the lookup with the fewest documents, counted up to a limit."""
    best, least = None, _FEW_ENOUGH
    for lookup in choices:
        sql = f"SELECT count(*) FROM ({lookup.sql} LIMIT {least})"  # noqa: S608  (no user text)
        found = int(connection.execute(sql, lookup.values).fetchone()[0])
        if best is None or found < least:
            best, least = lookup, max(found, 1)
        if found <= 1:
            break
    return best, least


def _parts(request: ReplaceOne[Any]) -> tuple[Mapping[str, Any], Document, bool]:
    # pymongo has no public names for what a request holds
    return request._filter, dict(request._doc), bool(request._upsert)
