"""Opening a store by folder or URI: its collections, its files and its version."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

from pymongo.errors import ConfigurationError, DuplicateKeyError, InvalidURI
from pymongo.uri_parser import parse_uri

from ..errors import StoreError
from ..settings import get_settings
from .embedded import DATABASE_FILE, SqliteStore
from .homes import note_home
from .indexes import missing_indexes, prepare_indexes
from .jobstore import StepJobStore
from .migrations import MIGRATIONS
from .mongodb import MongoDBStore, redacted, translated
from .step_files import StepFiles
from .trajectory_places import known_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobflow import JobStore
    from maggma.core import Store

DEFAULT_DATABASE = "haloflow"
SERVER_TIMEOUT_S = 5.0
READING_TIMEOUT_S = 5.0
"""Longest time of one reading from a store that is opened for reading only."""
_COLLECTIONS: dict[str, dict[str, Any]] = {
    "outputs": {
        "key": "uuid",
        "last_updated_field": "completed_at",
        "last_updated_type": "isoformat",
    },
    "candidates": {"key": "candidate_id"},
    "summaries": {"key": "candidate_id"},
    "claims": {"key": "_id"},
    "failures": {"key": "identity"},
    "saved": {"key": "identity"},
    "meta": {"key": "_id"},
}


class HaloflowStore:
    """All collections of one store, connected, and the folder of its files.

    Parameters
    ----------
    uri
        Folder or ``mongodb://`` URI, as it was opened.
    files_dir
        Folder of trajectories and checkpoints.
    make
        Gives the store of a collection by its name and maggma's keywords.
    read_only
        Make nothing: no indexes, no schema, no folder.

    Attributes
    ----------
    outputs, candidates, summaries, claims, failures, saved, meta
        maggma stores. ``outputs`` holds the documents of jobflow jobs, ``failures`` why steps
        gave none, ``saved`` what of running steps is kept beside their machine.
    files
        The files that documents refer to, wherever they are.
    jobstore
        The jobflow JobStore over ``outputs``.
    """

    def __init__(
        self,
        uri: str,
        files_dir: Path,
        make: Callable[..., Store],
        *,
        read_only: bool = False,
    ) -> None:
        self.uri = uri
        self.read_only = read_only
        self.files_dir = files_dir
        self._stores = {name: make(name, **keywords) for name, keywords in _COLLECTIONS.items()}
        self.outputs = self._stores["outputs"]
        self.candidates = self._stores["candidates"]
        self.summaries = self._stores["summaries"]
        self.claims = self._stores["claims"]
        self.failures = self._stores["failures"]
        self.saved = self._stores["saved"]
        self.meta = self._stores["meta"]
        self.files = StepFiles(files_dir, lambda: known_places(self))
        self.files.patience_s = READING_TIMEOUT_S if read_only else None
        self.jobstore = StepJobStore(self.outputs)
        try:
            self._connect()
        except BaseException:  # raised again: what was opened is closed
            self.close()
            raise
        _open_stores[id(self.jobstore)] = self

    def _connect(self) -> None:
        for store in self._stores.values():
            store.connect()
        if not self.read_only:
            _write_version(self.meta)
        _check_version(self.meta, self.name)
        if self.read_only:
            return
        prepare_indexes(self._stores)
        self._complete_summaries()
        self.files_dir.mkdir(parents=True, exist_ok=True)
        note_home(self)

    def missing_indexes(self) -> list[str]:
        """Return what opening the store for writing would index, as ``collection.field``."""
        return missing_indexes(self._stores)

    def _complete_summaries(self) -> None:
        """Give summaries of earlier versions the elements, which pages ask for."""
        old = list(self.summaries.query({"elements": None, "chemsys": {"$ne": None}}))
        if old:
            self.summaries.update([{**row, "elements": row["chemsys"].split("-")} for row in old])

    @property
    def collections(self) -> dict[str, Store]:
        """The maggma stores by the names of their collections."""
        return dict(self._stores)

    @property
    def is_open(self) -> bool:
        """Whether the collections can be used."""
        return self.meta._coll is not None

    @property
    def name(self) -> str:
        """The URI without credentials, for messages."""
        return redacted(self.uri)

    def close(self) -> None:
        """Close all collections."""
        _open_stores.pop(id(self.jobstore), None)
        self.files.close()
        for store in self._stores.values():
            if store._coll is not None:
                store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HaloflowStore({self.name!r})"

    @classmethod
    def of_jobstore(cls, jobstore: JobStore) -> HaloflowStore:
        """Open the store that `jobstore` belongs to, e.g. inside a running job.

        Of a server that is gone, it waits as long as the setting ``patience_s`` says.

        Raises
        ------
        StoreError
            The job's documents go to another kind of store.
        """
        docs = jobstore.docs_store
        if isinstance(docs, SqliteStore):
            return open_store(docs.folder)
        if isinstance(docs, MongoDBStore):
            settings = get_settings()
            files_dir = settings.files_dir or docs.files_dir
            patience_s = settings.patience_s
            return _open_server(docs.uri, docs.database, files_dir, patience_s=patience_s)
        raise StoreError(
            "this jobflow JobStore does not belong to a haloflow store",
            given=f"{type(docs).__name__} {redacted(docs.name)}",
            allowed="SqliteStore or MongoDBStore",
            remedy="run the flow with store=open_store(...).jobstore",
        )


_open_stores: WeakValueDictionary[int, HaloflowStore] = WeakValueDictionary()


@contextmanager
def store_of_job(jobstore: JobStore) -> Iterator[HaloflowStore]:
    """Give the store of a running job: the one its process has open, or else one of its own.

    Raises
    ------
    StoreError
        As `HaloflowStore.of_jobstore`.
    """
    home = _open_stores.get(id(jobstore))
    if home is not None and home.jobstore is jobstore:
        yield home
        return
    with HaloflowStore.of_jobstore(jobstore) as store:
        yield store


def is_there(uri: str) -> bool:
    """Whether opening `uri` would make no new embedded store."""
    return "://" in uri or (Path(uri).expanduser() / DATABASE_FILE).exists()


def open_store(
    uri: str | Path | None = None,
    *,
    files_dir: str | Path | None = None,
    must_exist: bool = False,
    read_only: bool = False,
    timeout_s: float | None = None,
    patience_s: float | None = None,
) -> HaloflowStore:
    """Open a store, and make it when it is not there.

    Parameters
    ----------
    uri
        Folder of an embedded store or ``mongodb://`` URI; default: the setting ``store``.
    files_dir
        Folder of the files; default: the setting ``files_dir``, then ``<folder>/files``.
    must_exist
        Refuse to make a new embedded store.
    read_only
        Make and change nothing; a write raises StoreError. Of a MongoDB server the user
        needs no more than the role ``read``.
    timeout_s
        Longest time of one reading, after which it raises StoreTimeoutError; default:
        `READING_TIMEOUT_S` where `read_only`, else any.
    patience_s
        How long to wait for a MongoDB server that is gone, now and later; default:
        `SERVER_TIMEOUT_S`.

    Raises
    ------
    StoreError
        The place cannot be used or reached, or was written by a newer haloflow.
    """
    settings = get_settings()
    where = str(uri if uri is not None else settings.store)
    files = files_dir or settings.files_dir
    limit_s = READING_TIMEOUT_S if timeout_s is None and read_only else timeout_s
    if where.startswith(("mongodb://", "mongodb+srv://")):
        return _open_server(
            where,
            _database_of(where),
            files,
            read_only=read_only,
            timeout_s=limit_s,
            patience_s=patience_s,
        )
    if "://" in where:
        raise StoreError(
            "a store of this kind is not known",
            given=redacted(where),
            allowed="a folder, mongodb://host/database or mongodb+srv://host/database",
        )
    folder = Path(where).expanduser().absolute()
    if (must_exist or read_only) and not (folder / DATABASE_FILE).exists():
        raise StoreError(
            "there is no haloflow store here",
            given=str(folder),
            remedy="check the path of --store, or run a sweep first",
        )
    return HaloflowStore(
        str(folder),
        Path(files).absolute() if files else folder / "files",
        lambda name, **keywords: SqliteStore(
            folder,
            name,
            durable=name != "claims",
            read_only=read_only,
            timeout_s=limit_s,
            **keywords,
        ),
        read_only=read_only,
    )


def _database_of(uri: str) -> str:
    try:
        return str(parse_uri(uri)["database"] or DEFAULT_DATABASE)
    except (InvalidURI, ConfigurationError, ValueError):
        # pymongo's own message may quote a part of the password
        raise StoreError(
            "this is not a valid MongoDB URI",
            given=redacted(uri),
            allowed="mongodb://[user:password@]host[:port][/database]",
            remedy="escape special characters of user and password as %XX",
        ) from None


def _open_server(
    uri: str,
    database: str,
    files_dir: str | Path | None,
    *,
    read_only: bool = False,
    timeout_s: float | None = None,
    patience_s: float | None = None,
) -> HaloflowStore:
    if files_dir is None:
        raise StoreError(
            "a store on MongoDB needs a folder for trajectories and checkpoints",
            given=redacted(uri),
            remedy="set HALOFLOW_FILES_DIR to a folder that all workers see",
        )
    folder = Path(files_dir).absolute()
    wait_s = SERVER_TIMEOUT_S if patience_s is None else patience_s
    limits: dict[str, Any] = {"serverSelectionTimeoutMS": round(1000 * wait_s)}
    if timeout_s is not None:
        limits["timeoutMS"] = round(1000 * timeout_s)

    def make(name: str, **keywords: Any) -> MongoDBStore:
        return MongoDBStore(
            uri,
            name,
            database,
            files_dir=str(folder),
            read_only=read_only,
            mongoclient_kwargs={**limits, "journal": name != "claims"},  # or a kill loses 0.1 s
            **keywords,
        )

    with translated(uri):
        return HaloflowStore(uri, folder, make, read_only=read_only)


def _write_version(meta: Store) -> None:
    if meta.query_one({"_id": "schema"}) is None:
        with suppress(DuplicateKeyError):  # another process was faster, with the same version
            meta._collection.insert_one({"_id": "schema", "version": MIGRATIONS.version})


def _check_version(meta: Store, name: str) -> None:
    known = meta.query_one({"_id": "schema"}) or {"version": MIGRATIONS.version}
    if known["version"] > MIGRATIONS.version:
        raise StoreError(
            "the store was written by a newer haloflow",
            given=f"schema {known['version']} in {name}",
            allowed=f"up to schema {MIGRATIONS.version}",
            remedy="upgrade haloflow: pip install -U haloflow",
        )
