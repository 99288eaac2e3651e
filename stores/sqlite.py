"""One SQLite file that holds collections of BSON documents, for several processes.

Tables: ``documents`` (one row per document, in the order of insertion), ``indexes`` (which
fields of which collection are indexed) and ``entries`` (value -> document for these fields).
Every writing call is one transaction, on disk when it returns (WAL, ``synchronous=FULL``).
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil

from ..errors import StoreError, StoreTimeoutError
from .pushdown import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import TypeVar

    RowT = TypeVar("RowT")

BUSY_TIMEOUT_S = 120.0
_STEPS_BETWEEN_LOOKS = 20_000
"""Instructions of SQLite's machine, a millisecond or so, after which the time is looked at."""
NETWORK_FILE_SYSTEMS = frozenset(
    (
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.sshfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "wekafs",
    )
)
_FORMAT, _COLUMNS_SINCE = 2, 2
_WATCH = -1
"""Stands for a thread that only looks whether others have written."""
_OUT_OF_TIME = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
  seq INTEGER PRIMARY KEY, collection TEXT NOT NULL, id NOT NULL, body BLOB NOT NULL,
  UNIQUE (collection, id));
CREATE INDEX IF NOT EXISTS documents_in_order ON documents (collection, seq);
CREATE TABLE IF NOT EXISTS indexes (
  collection TEXT NOT NULL, field TEXT NOT NULL, is_unique INTEGER NOT NULL,
  PRIMARY KEY (collection, field)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  collection TEXT NOT NULL, field TEXT NOT NULL, value NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (collection, field, value, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_of_document ON entries (seq);
"""
_COLUMNS = """(
  collection TEXT NOT NULL, path TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY (collection, path)) WITHOUT ROWID;
"""


class Database:
    """Connections to one file: one per process and thread, opened when first used.

    What is written to one that is not durable outlives the process, but perhaps not a power
    cut.

    A connection that a fork inherited is neither used nor closed by the child, since
    closing it would drop the parent's locks.

    Parameters
    ----------
    path
        The file.
    durable
        Whether a write waits for the disk.
    read_only
        Refuse to write, and make neither file nor tables; a file that is not there is empty.
    timeout_s
        Longest time of one reading; ``None`` for any.
    """

    def __init__(
        self,
        path: Path,
        *,
        durable: bool = True,
        read_only: bool = False,
        timeout_s: float | None = None,
    ) -> None:
        self.path = path
        self.durable = durable
        self.read_only = read_only
        self.timeout_s = timeout_s
        self.n_users = 0
        self._connections: dict[tuple[int, int], sqlite3.Connection] = {}
        self._deadlines: dict[int, float] = {}
        self._watching = threading.Lock()

    @property
    def key(self) -> tuple[Path, bool, float | None]:
        """What two users must have in common to share it."""
        return self.path, self.read_only, self.timeout_s

    def connection(self) -> sqlite3.Connection:
        """Return the connection of this thread of this process."""
        key = (os.getpid(), threading.get_ident())
        if key not in self._connections:
            if self.read_only and not self.path.exists():
                return _empty_database()
            self._connections[key] = self._open()
        return self._connections[key]

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{self._mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_S if self.timeout_s is None else self.timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.create_function("matches", 2, matches, deterministic=True)
            if not self.read_only:
                _switch_to_wal(connection)
                connection.execute(f"PRAGMA synchronous={'FULL' if self.durable else 'NORMAL'}")
            version = _version(connection)
            if version < _FORMAT and not self.read_only:
                version = _upgrade(connection)
            elif self.read_only:
                if version < _COLUMNS_SINCE:
                    connection.execute(f"CREATE TEMP TABLE columns {_COLUMNS}")
                connection.execute("PRAGMA query_only=1")
        except sqlite3.Error:
            connection.close()
            raise
        if self.timeout_s is not None:
            connection.set_progress_handler(self._is_late, _STEPS_BETWEEN_LOOKS)
        if version > _FORMAT:
            connection.close()
            raise StoreError(
                "the embedded store was written by a newer haloflow",
                given=f"format {version} of {self.path}",
                allowed=f"format {_FORMAT}",
                remedy="upgrade haloflow: pip install -U haloflow",
            )
        return connection

    @property
    def _mode(self) -> str:
        """How to open the file; on a read-only medium without the files of a log beside it."""
        if not self.read_only:
            return "mode=rwc"
        log = self.path.with_name(f"{self.path.name}-wal")
        alone = not (log.exists() and log.stat().st_size)
        return "mode=ro&immutable=1" if alone and _is_fixed(self.path.parent) else "mode=ro"

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadlines.get(threading.get_ident(), math.inf)

    def in_time(self, rows: Iterable[RowT]) -> Iterator[RowT]:
        """Yield `rows` as long as there is time.

        Raises
        ------
        StoreTimeoutError
            The reading takes longer than it may.
        """
        for row in rows:
            if self.timeout_s is not None and self._is_late():
                raise self._late()
            yield row

    def _late(self) -> StoreTimeoutError:
        return StoreTimeoutError(
            f"the store took longer than {self.timeout_s:g} s",
            given=str(self.path),
            remedy="ask for less: narrower filters, fewer rows; or open it with a larger timeout_s",
        )

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection; SQLite's errors come out as StoreError.

        A reading inside one that goes on takes of its time.
        """
        try:
            connection = self.connection()
            if self.timeout_s is not None and not connection.in_transaction:
                self._deadlines[threading.get_ident()] = time.monotonic() + self.timeout_s
            yield connection
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) in _OUT_OF_TIME and self.timeout_s:
                raise self._late() from error
            raise _unusable(self.path, error) from error

    def version(self) -> tuple[int, int] | None:
        """Return what differs after a write of anyone, ``None`` where nothing tells.

        So inside :meth:`one_moment`, which may see less than what is written by now.
        """
        here = os.getpid(), threading.get_ident()
        known = self._connections.get(here)
        if (known is not None and known.in_transaction) or not self.path.exists():
            return None
        watch = os.getpid(), _WATCH
        try:
            with self._watching:  # one connection: each has numbers of its own
                if watch not in self._connections:
                    self._connections[watch] = self._open()
                row = self._connections[watch].execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:  # no number: what was read is not taken for new
            return None
        return os.getpid(), int(row[0])

    @contextmanager
    def one_moment(self) -> Iterator[sqlite3.Connection]:
        """Give a connection all whose readings see the same documents, those inside it too."""
        with self.reading() as connection:
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside a transaction, which an exception takes back whole."""
        if self.read_only:
            raise opened_for_reading(str(self.path))
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:  # raised again: nothing half is left
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connections of this process."""
        for key in [key for key in self._connections if key[0] == os.getpid()]:
            with suppress(KeyError):  # another thread closes it
                self._connections.pop(key).close()


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _upgrade(connection: sqlite3.Connection) -> int:
    """Make the tables that are missing, unless another process did; return the version."""
    connection.execute("BEGIN IMMEDIATE")
    if _version(connection) < _FORMAT:
        for statement in f"{_SCHEMA}CREATE TABLE IF NOT EXISTS columns {_COLUMNS}".split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={_FORMAT}")
    connection.execute("COMMIT")
    return _version(connection)


def _is_fixed(folder: Path) -> bool:
    """Whether the medium that holds `folder` is mounted for reading only."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _empty_database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(f"{_SCHEMA}CREATE TABLE columns {_COLUMNS}")
    return connection


def opened_for_reading(place: str) -> StoreError:
    """Return the error of a write to a store that was opened for reading only."""
    return StoreError(
        "the store was opened for reading only",
        given=place,
        remedy="open it without read_only to write to it",
    )


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Turn the log on; alone among SQLite's statements this one does not wait for others."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


_open_databases: dict[tuple[Path, bool, float | None], Database] = {}
_guard = threading.Lock()


def acquire_database(
    path: Path, *, durable: bool = True, read_only: bool = False, timeout_s: float | None = None
) -> Database:
    """Return the database of this process at `path`, shared by all its collections.

    Raises
    ------
    StoreError
        `path` cannot be made, or lies on a network file system.
    """
    if not read_only:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(path, error) from error
    wanted = Database(path, durable=durable, read_only=read_only, timeout_s=timeout_s)
    with _guard:
        if wanted.key not in _open_databases:
            refuse_network_file_system(path.parent)
        database = _open_databases.setdefault(wanted.key, wanted)
        database.n_users += 1
        return database


def release_database(database: Database) -> None:
    """Close `database` when its last user has released it."""
    with _guard:
        database.n_users -= 1
        if database.n_users == 0:
            _open_databases.pop(database.key, None)
            database.close()


def file_system_of(folder: Path) -> str:
    """Return the type of the file system that holds `folder`, e.g. ``ext4``."""
    resolved = folder.resolve()
    best, kind = -1, ""
    for partition in psutil.disk_partitions(all=True):
        mount = partition.mountpoint
        if resolved.is_relative_to(mount) and len(mount) >= best:
            best, kind = len(mount), partition.fstype
    return kind


def refuse_network_file_system(folder: Path) -> None:
    """Raise StoreError where several hosts may mount `folder`: SQLite's WAL is not safe there."""
    kind = file_system_of(folder).lower()
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreError(
            f"the embedded store is not safe on a network file system ({kind})",
            given=str(folder),
            allowed="a folder on a local disk, or a MongoDB server",
            remedy="pass a local folder, or a mongodb:// URI, with --store or HALOFLOW_STORE",
        )


def _unusable(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"the embedded store cannot be used: {error}",
        given=str(path),
        remedy="check that the folder is writable, has free space and holds a haloflow store",
    )
