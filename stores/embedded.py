"""The default store: one folder, no service, several processes, MongoDB's query language."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maggma.stores import MongoStore
from pydash import set_

from .collection import SqliteCollection
from .shaping import group_documents
from .sqlite import acquire_database, release_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maggma.core import Sort

DATABASE_FILE = "haloflow.sqlite"
PASSING_FILE = "claims.sqlite"


class SqliteStore(MongoStore):
    """A maggma store in ``<folder>/haloflow.sqlite``.

    A document is on disk when :meth:`update` returns. Several processes and threads may
    read and write; a store can be pickled, sent to another process, or forked with it.

    Parameters
    ----------
    folder
        Folder on a local file system; made when missing.
    collection_name
        Name of the collection inside the file.
    durable
        False for documents that need to outlive their process, but not a power cut: they lie
        in a file of their own, whose writes do not wait for the disk.
    read_only
        Refuse to write; the folder and the file are not made.
    timeout_s
        Longest time of one reading; ``None`` for any.
    **kwargs
        ``key``, ``last_updated_field``, ``last_updated_type``, ``validator`` of maggma.
    """

    def __init__(
        self,
        folder: str | Path,
        collection_name: str,
        *,
        durable: bool = True,
        read_only: bool = False,
        timeout_s: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.folder = str(Path(folder).absolute())
        self.collection_name = collection_name
        self.durable = durable
        self.read_only = read_only
        self.timeout_s = timeout_s
        self.default_sort = None
        self.safe_update = False
        self.kwargs = kwargs
        self._coll: SqliteCollection | None = None
        super(MongoStore, self).__init__(**kwargs)

    @property
    def name(self) -> str:
        """Where the documents are, for messages."""
        return f"{self._path}:{self.collection_name}"

    @property
    def _path(self) -> Path:
        return Path(self.folder) / (DATABASE_FILE if self.durable else PASSING_FILE)

    def connect(self, force_reset: bool = False) -> None:  # noqa: FBT001, FBT002  (maggma's)
        """Open the file, or make it."""
        if force_reset and self._coll is not None:
            self.close()
        if self._coll is None:
            database = acquire_database(
                self._path,
                durable=self.durable,
                read_only=self.read_only,
                timeout_s=self.timeout_s,
            )
            self._coll = SqliteCollection(database, self.collection_name)

    def close(self) -> None:
        """Give the file back; it is closed when the last store of the process gives it back."""
        if self._coll is not None:
            release_database(self._coll.sqlite)
            self._coll = None

    def update(self, docs: list[dict[str, Any]] | dict[str, Any], key: Any = None) -> None:
        """Insert or replace documents, all or none; the fields of `key` become indexed.

        Raises
        ------
        DocumentError
            A document is too large or holds what cannot be stored.
        """
        wanted = key or self.key
        for field in wanted if isinstance(wanted, list) else [wanted]:
            self.ensure_index(field)
        super().update(docs, key=key)

    def query_one(
        self,
        criteria: dict[str, Any] | None = None,
        properties: dict[str, Any] | list[str] | None = None,
        sort: dict[str, Sort | int] | None = None,
    ) -> dict[str, Any] | None:
        """Return the first match, ``None`` without one; no other document is kept."""
        return next(self.query(criteria, properties, sort, limit=1), None)

    def groupby(  # noqa: PLR0917  (the interface of maggma)
        self,
        keys: list[str] | str,
        criteria: dict[str, Any] | None = None,
        properties: dict[str, Any] | list[str] | None = None,
        sort: dict[str, Sort | int] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Group documents by the values of `keys`, as maggma's MongoStore does."""
        names = [keys] if isinstance(keys, str) else list(keys)
        fields = [*properties, *names] if properties else None
        for label, documents in group_documents(self.query(criteria, fields), names):
            group: dict[str, Any] = {}
            for path, value in label:
                set_(group, path, value)
            yield group, documents

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same collection of the same file."""
        return isinstance(other, SqliteStore) and (self.folder, self.collection_name) == (
            other.folder,
            other.collection_name,
        )

    def __hash__(self) -> int:
        return hash((self.folder, self.collection_name, self.last_updated_field))
