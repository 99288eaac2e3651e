"""Writing documents of a collection with their index entries and columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from ..errors import StoreError
from .indexing import entry_key
from .limits import encode
from .ordering import values_at

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from .collection import SqliteCollection
    from .columns import Columns

    Document = dict[str, Any]


@dataclass(frozen=True)
class Writer:
    """Writes inside one transaction.

    Attributes
    ----------
    indexes
        Indexed fields, and whether each is unique.
    columns
        The columns of the collection, if it has any.
    """

    collection: SqliteCollection
    connection: sqlite3.Connection
    indexes: Mapping[str, bool]
    columns: Columns | None

    @property
    def name(self) -> str:
        """Name of the collection."""
        return self.collection.name

    def replace(self, criteria: Mapping[str, Any], document: Document, *, upsert: bool) -> int:
        """Replace the first match; return how many there were, 1 or 0."""
        found = next(self.collection.matching(self.connection, criteria), None)
        if found is None:
            if upsert:
                self.insert(document)
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
        self.connection.execute(
            "UPDATE documents SET body = ? WHERE seq = ?", (encode(replacement), seq)
        )
        self.connection.execute("DELETE FROM entries WHERE seq = ?", (seq,))
        self._write_beside(seq, replacement)
        return 1

    def insert(self, document: Document) -> None:
        """Insert a document, or raise DuplicateKeyError where its ``_id`` exists."""
        document = {"_id": document.get("_id", ObjectId()), **document}
        row = (self.name, entry_key(document["_id"]), encode(document))
        sql = "INSERT OR IGNORE INTO documents (collection, id, body) VALUES (?, ?, ?)"
        cursor = self.connection.execute(sql, row)
        if cursor.rowcount == 0:
            raise _duplicate(self.name, "_id", document["_id"])
        self._write_beside(int(cursor.lastrowid or 0), document)

    def delete(self, seqs: Iterable[int]) -> None:
        """Delete documents by their numbers."""
        rows = [(seq,) for seq in seqs]
        tables = ["documents", "entries", *([self.columns.table] if self.columns else [])]
        for table in tables:
            self.connection.executemany(f"DELETE FROM {table} WHERE seq = ?", rows)  # noqa: S608  (no user text)

    def _write_beside(self, seq: int, document: Document) -> None:
        self.write_entries(seq, document)
        if self.columns is not None:
            self.columns.write(self.connection, self.name, seq, document)

    def write_entries(self, seq: int, document: Document) -> None:
        """Write the entries of a document in the indexes."""
        for field, unique in self.indexes.items():
            keys = {entry_key(value) for value in values_at(document, tuple(field.split(".")))}
            if unique and self._is_taken(field, keys):
                raise _duplicate(self.name, field, document.get(field))
            rows = [(self.name, field, key, seq) for key in keys]
            self.connection.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?)", rows)

    def _is_taken(self, field: str, keys: set[Any]) -> bool:
        sql = "SELECT 1 FROM entries WHERE collection = ? AND field = ? AND value = ?"
        return any(self.connection.execute(sql, (self.name, field, key)).fetchone() for key in keys)


def _duplicate(collection: str, field: str, value: object) -> DuplicateKeyError:
    return DuplicateKeyError(f"duplicate value of {field} in {collection}: {value!r}")
