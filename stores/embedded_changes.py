"""The changed documents of an embedded store."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bson.raw_bson import RawBSONDocument

from .changes import IDENTITY_PATHS, WATCHED, Taken, identity_in
from .indexing import entry_key
from .records import STEP_KEYS, step_key, step_keys
from .selection import documents_of
from .writing import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Sequence

    from .collection import SqliteCollection

_BATCH = 100
_MOST_VALUES = 500
_NAMES = ", ".join(f"'{name}'" for name in WATCHED)
_SOURCES = ", ".join(f"'{name}'" for name in IDENTITY_PATHS)
_NOTE_NEW: Final = f"""WHEN new.collection IN ({_NAMES}) BEGIN
DELETE FROM changes WHERE seq = new.seq;
INSERT INTO changes VALUES (new.seq, new.collection, random());
END"""  # noqa: S608  (no user text)
_TABLE: Final = """CREATE TABLE changes (
seq INTEGER PRIMARY KEY, collection TEXT NOT NULL, token INTEGER NOT NULL)"""
_FORGET: Final = """CREATE TRIGGER changes_by_delete AFTER DELETE ON documents BEGIN
DELETE FROM changes WHERE seq = old.seq;
END"""
_ALL: Final = f"""INSERT INTO changes
SELECT seq, collection, random() FROM documents WHERE collection IN ({_NAMES})"""  # noqa: S608  (no user text)
_STATEMENTS: Final = (
    _TABLE,
    "CREATE INDEX changes_in_order ON changes (collection, seq)",
    f"CREATE TRIGGER changes_by_insert AFTER INSERT ON documents {_NOTE_NEW}",
    f"CREATE TRIGGER changes_by_update AFTER UPDATE OF body ON documents {_NOTE_NEW}",
    _FORGET,
    _ALL,
)
_NOTE: Final = """INSERT OR REPLACE INTO changes
SELECT seq, collection, ? FROM documents WHERE seq = ? AND collection = ?"""
"""Nothing where the document was removed: its number may become that of another."""


@dataclass(frozen=True)
class EmbeddedChanges:
    """Those of an embedded store: a table of its file that triggers fill, whoever writes.

    Each time a document is written or taken it gets a new token there.

    Attributes
    ----------
    candidates
        The collection of candidates.
    """

    candidates: SqliteCollection

    def prepare(self) -> None:
        """Begin to note changes; all documents that are there count as changed."""
        if self.is_prepared():
            return
        with self.candidates.sqlite.writing() as connection:
            if not _is_prepared(connection):  # else another process was faster
                for statement in _STATEMENTS:
                    connection.execute(statement)

    def is_prepared(self) -> bool:
        """Tell whether changes are noted."""
        with self.candidates.sqlite.reading() as connection:
            return _is_prepared(connection)

    def pass_on(self) -> None:
        """Let candidates count as changed of whose steps an output or failure has changed."""
        while self._is_something_to_pass_on():
            with self.candidates.sqlite.writing() as connection:
                rows = connection.execute(
                    "SELECT seq, changes.collection, body FROM changes JOIN documents USING (seq) "  # noqa: S608  (no user text)
                    f"WHERE changes.collection IN ({_SOURCES}) LIMIT {_BATCH}"
                ).fetchall()
                named = {_identity(name, body) for _, name, body in rows}
                _note(connection, _having(connection, [one for one in named if one is not None]))
                done = [(seq,) for seq, _, _ in rows]
                connection.executemany("DELETE FROM changes WHERE seq = ?", done)

    def _is_something_to_pass_on(self) -> bool:
        sql = f"SELECT EXISTS (SELECT 1 FROM changes WHERE collection IN ({_SOURCES}))"  # noqa: S608  (no user text)
        with self.candidates.sqlite.reading() as connection:
            return bool(connection.execute(sql).fetchone()[0])

    def touch(self, identities: Collection[str]) -> None:
        """Let candidates that have one of these steps count as changed."""
        with self.candidates.sqlite.reading() as connection:
            seqs = _having(connection, identities)
        if seqs:
            with self.candidates.sqlite.writing() as connection:
                _note(connection, seqs)

    def changed(self) -> list[Any]:
        """Return the keys of the candidates that count as changed."""
        sql = "SELECT seq FROM changes WHERE collection = 'candidates' ORDER BY seq"
        with self.candidates.sqlite.reading() as connection:
            return [seq for (seq,) in connection.execute(sql).fetchall()]

    def keys_of(self, candidate_ids: Sequence[str]) -> list[Any]:
        """Return the keys of these candidates, changed or not."""
        wanted = {"candidate_id": {"$in": list(candidate_ids)}}
        with self.candidates.sqlite.reading() as connection:
            return [seq for seq, _ in self.candidates.matching(connection, wanted)]

    def take(self, keys: Sequence[Any]) -> list[Taken]:
        """Return candidates to deal with, as they are now."""
        taken = []
        with self.candidates.sqlite.writing() as connection:
            indexes = self.candidates.indexes(connection)
            writer = Writer(self.candidates, connection, indexes, None)
            for seq, record in documents_of(connection, keys).items():
                wanted = step_keys(record.get("steps"))
                if record.get(STEP_KEYS) != wanted:
                    complete = {**record, STEP_KEYS: wanted}
                    writer.replace({"_id": record["_id"]}, complete, upsert=False)
                taken.append(Taken(seq, _new_token(), record))
                connection.execute(_NOTE, (taken[-1].token, seq, "candidates"))
        return taken

    def settle(self, taken: Sequence[Taken]) -> list[Any]:
        """Let candidates count as dealt with; return the keys of those that changed meanwhile."""
        if not taken:
            return []
        sql = "DELETE FROM changes WHERE seq = ? AND token = ?"
        with self.candidates.sqlite.writing() as connection:
            lost = [
                one.key
                for one in taken
                if not connection.execute(sql, (one.key, one.token)).rowcount
            ]
            _note(connection, lost)
        return lost

    def settle_all(self, but: Iterable[tuple[str, Any]] = ()) -> None:
        """Let all documents count as dealt with but some, by collection and ``_id``."""
        sql = "SELECT seq FROM documents WHERE collection = ? AND id = ?"
        with self.candidates.sqlite.writing() as connection:
            connection.execute("DELETE FROM changes")
            for name, one in but:
                for (seq,) in connection.execute(sql, (name, entry_key(one))).fetchall():
                    connection.execute(_NOTE, (_new_token(), seq, name))

    def pending(self) -> list[tuple[str, Any]] | None:
        """Return collection and ``_id`` of all changed documents; ``None`` where all are."""
        sql = "SELECT changes.collection, body FROM changes JOIN documents USING (seq)"
        with self.candidates.sqlite.reading() as connection:
            if not _is_prepared(connection):
                return None
            return [(name, RawBSONDocument(body)["_id"]) for name, body in connection.execute(sql)]


def _is_prepared(connection: sqlite3.Connection) -> bool:
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'changes'"
    return connection.execute(sql).fetchone() is not None


def _identity(collection: str, body: bytes) -> str | None:
    return identity_in(RawBSONDocument(body), IDENTITY_PATHS[collection])


def _having(connection: sqlite3.Connection, identities: Collection[str]) -> list[int]:
    """Return the numbers of candidates that have one of these steps."""
    keys, found = [step_key(one) for one in identities], set()
    for start in range(0, len(keys), _MOST_VALUES):
        some = keys[start : start + _MOST_VALUES]
        rows = connection.execute(
            "SELECT seq FROM entries WHERE collection = 'candidates' "  # noqa: S608  (no user text)
            f"AND field = ? AND value IN ({', '.join('?' * len(some))})",
            (STEP_KEYS, *some),
        )
        found |= {seq for (seq,) in rows}
    return sorted(found)


def _note(connection: sqlite3.Connection, seqs: Iterable[int]) -> None:
    connection.executemany(_NOTE, [(_new_token(), seq, "candidates") for seq in seqs])


def _new_token() -> int:
    return secrets.randbits(63)
