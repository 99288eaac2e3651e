"""A collection of the embedded store with the part of pymongo's interface that is needed.

maggma's MongoStore, and our claims, run on it unchanged. Indexed fields narrow down which
documents are read; the compiled filter alone decides which of them match.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import bson
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from ..errors import StoreError
from .indexing import Lookup, entry_key, lookups
from .limits import encode
from .matching import compile_filter, normalized
from .ordering import values_at
from .shaping import compile_projection, distinct_values, sort_documents

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pymongo import ReplaceOne

    from .sqlite import Database

    Document = dict[str, Any]


_FEW_ENOUGH = 5000
"""Lookups that give more documents than this are not told apart."""


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
            matches = (document for _, document in self._matches(connection, filter))
            documents = list(matches if sort else islice(matches, stop))
        if sort:
            sort_documents(documents, sort)
        yield from map(project, documents[skip:stop])

    def count_documents(self, filter: Mapping[str, Any], **_hints: object) -> int:
        """Count the matching documents."""
        with self.sqlite.reading() as connection:
            if filter:
                return sum(1 for _ in self._matches(connection, filter))
            query = "SELECT count(*) FROM documents WHERE collection = ?"
            return int(connection.execute(query, (self.name,)).fetchone()[0])

    def estimated_document_count(self) -> int:
        """Count all documents, exactly."""
        return self.count_documents({})

    def distinct(self, key: str, filter: Mapping[str, Any] | None = None) -> list[Any]:
        """Return the different values of a field."""
        with self.sqlite.reading() as connection:
            matches = (document for _, document in self._matches(connection, filter))
            return distinct_values(matches, key)

    def _matches(
        self, connection: sqlite3.Connection, criteria: Mapping[str, Any] | None
    ) -> Iterator[tuple[int, Document]]:
        condition = normalized(criteria)
        predicate = compile_filter(condition)
        lookup = next(
            (found for found in lookups(self.name, condition, ()) if found.is_single), None
        )
        if lookup is None:
            fields = self._indexes(connection)
            lookup = _narrowest(connection, lookups(self.name, condition, fields))
        where = "collection = ?" if lookup is None else f"seq IN ({lookup.sql})"
        rows = connection.execute(
            f"SELECT seq, body FROM documents WHERE {where} ORDER BY seq",  # noqa: S608  (no user text)
            (self.name,) if lookup is None else lookup.values,
        )
        for seq, body in self.sqlite.in_time(rows):
            document = bson.decode(body)
            if predicate(document):
                yield seq, document

    # -- writing -----------------------------------------------------------------------

    def bulk_write(self, requests: Sequence[ReplaceOne[Any]], **_options: object) -> WriteResult:
        """Replace or insert all documents in one transaction."""
        matched = 0
        with self.sqlite.writing() as connection:
            for criteria, document, upsert in map(_parts, requests):
                matched += self._replace(connection, criteria, document, upsert=upsert)
        return WriteResult(matched_count=matched)

    def replace_one(
        self,
        filter: Mapping[str, Any],
        replacement: Document,
        *,
        upsert: bool = False,
    ) -> WriteResult:
        """Replace the first match in one step that no other process can come between."""
        with self.sqlite.writing() as connection:
            matched = self._replace(connection, filter, replacement, upsert=upsert)
        return WriteResult(matched_count=matched)

    def insert_one(self, document: Document) -> None:
        """Insert a document, or raise DuplicateKeyError where its ``_id`` exists."""
        with self.sqlite.writing() as connection:
            self._insert(connection, document)

    def insert_many(self, documents: Iterable[Document]) -> None:
        """Insert documents, all or none."""
        with self.sqlite.writing() as connection:
            for document in documents:
                self._insert(connection, document)

    def delete_many(self, filter: Mapping[str, Any]) -> WriteResult:
        """Delete the matching documents."""
        with self.sqlite.writing() as connection:
            found = [(seq,) for seq, _ in self._matches(connection, filter)]
            connection.executemany("DELETE FROM documents WHERE seq = ?", found)
            connection.executemany("DELETE FROM entries WHERE seq = ?", found)
        return WriteResult(deleted_count=len(found))

    def drop(self) -> None:
        """Delete all documents; the indexes stay."""
        self.delete_many({})

    def _replace(
        self,
        connection: sqlite3.Connection,
        criteria: Mapping[str, Any],
        document: Document,
        *,
        upsert: bool,
    ) -> int:
        found = next(self._matches(connection, criteria), None)
        if found is None:
            if upsert:
                self._insert(connection, document)
            return 0
        seq, existing = found
        if document.get("_id", existing["_id"]) != existing["_id"]:
            raise StoreError(
                "the _id of a document cannot change",
                given=document["_id"],
                allowed=existing["_id"],
                remedy="leave _id out of the document, or delete the old document first",
            )
        replacement = {"_id": existing["_id"], **document}
        connection.execute(
            "UPDATE documents SET body = ? WHERE seq = ?", (encode(replacement), seq)
        )
        connection.execute("DELETE FROM entries WHERE seq = ?", (seq,))
        self._write_entries(connection, seq, replacement, self._indexes(connection))
        return 1

    def _insert(self, connection: sqlite3.Connection, document: Document) -> None:
        document = {"_id": document.get("_id", ObjectId()), **document}
        row = (self.name, entry_key(document["_id"]), encode(document))
        sql = "INSERT OR IGNORE INTO documents (collection, id, body) VALUES (?, ?, ?)"
        cursor = connection.execute(sql, row)
        if cursor.rowcount == 0:
            raise _duplicate(self.name, "_id", document["_id"])
        seq = int(cursor.lastrowid or 0)
        self._write_entries(connection, seq, document, self._indexes(connection))

    # -- indexes -----------------------------------------------------------------------

    def create_index(self, keys: str, *, unique: bool | None = False, **_options: object) -> str:
        """Index one field; done at once for the documents that exist."""
        with self.sqlite.writing() as connection:
            row = (self.name, keys, bool(unique))
            sql = "INSERT OR IGNORE INTO indexes VALUES (?, ?, ?)"
            if connection.execute(sql, row).rowcount:
                for seq, document in list(self._matches(connection, None)):
                    self._write_entries(connection, seq, document, {keys: bool(unique)})
        return f"{keys}_1"

    def index_information(self) -> dict[str, dict[str, Any]]:
        """Return the indexes as pymongo does."""
        with self.sqlite.reading() as connection:
            fields = self._indexes(connection)
        return {f"{field}_1": {"key": [(field, 1)]} for field in ("_id", *fields)}

    def _indexes(self, connection: sqlite3.Connection) -> dict[str, bool]:
        sql = "SELECT field, is_unique FROM indexes WHERE collection = ?"
        return {field: bool(unique) for field, unique in connection.execute(sql, (self.name,))}

    def _write_entries(
        self,
        connection: sqlite3.Connection,
        seq: int,
        document: Document,
        indexes: Mapping[str, bool],
    ) -> None:
        for field, unique in indexes.items():
            keys = {entry_key(value) for value in values_at(document, tuple(field.split(".")))}
            if unique and self._is_taken(connection, field, keys):
                raise _duplicate(self.name, field, document.get(field))
            rows = [(self.name, field, key, seq) for key in keys]
            connection.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?)", rows)

    def _is_taken(self, connection: sqlite3.Connection, field: str, keys: set[Any]) -> bool:
        sql = "SELECT 1 FROM entries WHERE collection = ? AND field = ? AND value = ?"
        return any(connection.execute(sql, (self.name, field, key)).fetchone() for key in keys)


def _narrowest(connection: sqlite3.Connection, choices: Iterable[Lookup]) -> Lookup | None:
    """Return the lookup with the fewest documents, counted up to a limit."""
    best, least = None, _FEW_ENOUGH
    for lookup in choices:
        sql = f"SELECT count(*) FROM ({lookup.sql} LIMIT {least})"  # noqa: S608  (no user text)
        found = int(connection.execute(sql, lookup.values).fetchone()[0])
        if best is None or found < least:
            best, least = lookup, max(found, 1)
        if found <= 1:
            break
    return best


def _parts(request: ReplaceOne[Any]) -> tuple[Mapping[str, Any], Document, bool]:
    # pymongo has no public names for what a request holds
    return request._filter, dict(request._doc), bool(request._upsert)


def _duplicate(collection: str, field: str, value: object) -> DuplicateKeyError:
    return DuplicateKeyError(f"duplicate value of {field} in {collection}: {value!r}")
