"""MongoDB as the store: maggma's MongoStore with our limits, and without secrets in messages."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from functools import partialmethod
from typing import TYPE_CHECKING, Any, Final, TypeVar

from maggma.stores import MongoStore
from monty.json import jsanitize
from pymongo.collection import Collection
from pymongo.common import SERVER_SELECTION_TIMEOUT
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    CursorNotFound,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from ..errors import StoreError, StoreTimeoutError
from .credentials import remember, with_password, without_password, without_secret_options
from .few_values import by_values
from .limits import encode
from .memory import Answers
from .sqlite import opened_for_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pymongo.database import Database

AnswerT = TypeVar("AnswerT")

SUMMARIES: Final = "summaries"
SEEN: Final = "_summarized"
"""Of a document: true when the builder dealt with it, else who deals with it, if anyone.

It is not written with a document: what was written has not been dealt with.
"""
_WRITING_STAGES = {"$out", "$merge"}
_WRITING_METHODS = frozenset(
    (
        *("bulk_write", "insert_one", "insert_many", "replace_one", "update_one", "update_many"),
        *("delete_one", "delete_many", "find_one_and_delete", "find_one_and_replace"),
        *("find_one_and_update", "create_index", "create_indexes", "drop_index", "drop_indexes"),
        *("drop", "rename"),
    )
)
_GOING_DOWN = frozenset((91, 11600, 11602))
"""Codes of a server that is shutting down."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0


def redacted(uri: str) -> str:
    """Return `uri` without its user name and password, and without options that are secret."""
    return re.sub(r"://.*@", "://***@", without_secret_options(uri))


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Let errors of the server come out as StoreError, those that may pass as time-outs."""
    try:
        yield
    except PyMongoError as error:
        raise store_error(error, uri) from error


def store_error(error: PyMongoError, where: str) -> StoreError:
    """Return an error of the server in the words of this package.

    Parameters
    ----------
    error
        Of the driver.
    where
        URI of the store, or what stands for it.
    """
    if error.timeout and not isinstance(error, ServerSelectionTimeoutError):
        return StoreTimeoutError(
            "the MongoDB server took longer than it may",
            given=redacted(where),
            remedy="ask for less: narrower filters, fewer rows; or open it with a larger timeout_s",
        )
    kind = StoreTimeoutError if isinstance(error, ConnectionFailure) else StoreError
    return kind(
        f"the MongoDB server cannot be used: {type(error).__name__}",
        given=redacted(where),
        remedy="check that the server runs, is reachable from here, and knows the user",
    )


def persistently(action: Callable[[], AnswerT], limit_s: float) -> AnswerT:
    """Return what `action` returns; done again where the server goes away meanwhile.

    Parameters
    ----------
    action
        May be done twice: what was lost may have been the answer only.
    limit_s
        Longest time after the first failure. The driver itself waits for a server that is
        gone as long as its ``serverSelectionTimeoutMS``, and then nothing is tried again.
    """
    deadline, pause_s = None, _FIRST_PAUSE_S
    while True:
        try:
            return action()
        except PyMongoError as error:
            now = time.monotonic()
            deadline = now + limit_s if deadline is None else deadline
            if not _went_away(error) or now >= deadline:
                raise
        time.sleep(min(pause_s, deadline - now))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _went_away(error: PyMongoError) -> bool:
    """Tell whether a connection was lost in the middle of something."""
    if isinstance(error, BulkWriteError):
        problems = (error.details or {}).get("writeErrors", ())
        return any(problem.get("code") in _GOING_DOWN for problem in problems)
    if isinstance(error, OperationFailure) and error.code in _GOING_DOWN:
        return True
    lost = isinstance(error, (ConnectionFailure, CursorNotFound))
    return lost and not isinstance(error, ServerSelectionTimeoutError)


class PersistentCollection(Collection[Any]):
    """A collection of pymongo whose writes are sent again when the server went away.

    pymongo itself does so for reads everywhere, for writes on replica sets only. What this
    package writes may arrive twice: whole documents by their keys, and claims with a token.

    Parameters
    ----------
    collection
        As pymongo gives it.
    limit_s
        As of `persistently`.
    """

    def __init__(self, collection: Collection[Any], limit_s: float) -> None:
        super().__init__(collection.database, collection.name)
        self._limit_s = limit_s

    def _again(self, name: str, *args: Any, **kwargs: Any) -> Any:
        method = getattr(super(), name)
        return persistently(lambda: method(*args, **kwargs), self._limit_s)

    bulk_write = partialmethod(_again, "bulk_write")
    create_index = partialmethod(_again, "create_index")
    delete_many = partialmethod(_again, "delete_many")
    insert_one = partialmethod(_again, "insert_one")
    replace_one = partialmethod(_again, "replace_one")


class ReadOnlyCollection:
    """What can be read from a pymongo collection; to write raises StoreError.

    Counts are remembered as long as nothing is written.

    Attributes
    ----------
    database, name
        As of the collection.
    answers
        What is remembered.
    """

    def __init__(self, collection: Collection[Any], uri: str) -> None:
        self._collection = collection
        self._uri = uri
        self.database: Database[Any] = collection.database
        self.name: str = collection.name
        self.answers = Answers()

    def find(self, *args: Any, **kwargs: Any) -> Iterator[dict[str, Any]]:
        """Yield documents, as pymongo does."""
        with translated(self._uri):
            yield from self._collection.find(*args, **kwargs)

    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], **kwargs: Any) -> Iterator[Any]:
        """Yield what a pipeline gives that writes nothing.

        Raises
        ------
        StoreError
            A stage would write.
        """
        if any(_WRITING_STAGES & stage.keys() for stage in pipeline):
            raise opened_for_reading(redacted(self._uri))
        with translated(self._uri):
            yield from self._collection.aggregate(pipeline, **kwargs)

    def count_documents(self, filter: Mapping[str, Any], **kwargs: Any) -> int:
        """Count, as pymongo does."""

        def ask() -> int:
            wanted = by_values(self, filter) if self.name == SUMMARIES else filter
            with translated(self._uri):
                return self._collection.count_documents(wanted, **kwargs)

        return ask() if kwargs else self.remembered({"count": dict(filter)}, ask)

    def remembered(self, what: Mapping[str, Any], ask: Callable[[], AnswerT]) -> AnswerT:
        """Return the answer to `what`, from memory if no one has written since it was given."""
        return self.answers.get(self.version(), what, ask)

    def version(self) -> object:
        """Return what differs after any write of anyone; ``None`` where the server tells not."""
        with translated(self._uri):
            try:
                process = self.database.command("hello")["topologyVersion"]["processId"]
                stats = self._collection.aggregate([{"$collStats": {"latencyStats": {}}}])
                return process, sorted(
                    (s["host"], s["latencyStats"]["writes"]["ops"]) for s in stats
                )
            except (OperationFailure, KeyError):  # not allowed, or not there yet
                return None

    def estimated_document_count(self) -> int:
        """Count all documents, as pymongo does."""
        with translated(self._uri):
            return self._collection.estimated_document_count()

    def distinct(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the different values, as pymongo does."""
        with translated(self._uri):
            return self._collection.distinct(*args, **kwargs)

    def index_information(self) -> Mapping[str, Any]:
        """Return the indexes, as pymongo does."""
        with translated(self._uri):
            return self._collection.index_information()

    def __getattr__(self, name: str) -> Any:
        if name in _WRITING_METHODS:
            raise opened_for_reading(redacted(self._uri))
        raise AttributeError(name)


class MongoDBStore(MongoStore):
    """A collection of a MongoDB server, named by URI.

    Parameters
    ----------
    uri
        ``mongodb://...``, with credentials where the server asks for them. A serialized store
        has no password: see :func:`haloflow.stores.credentials.with_password`.
    collection_name
        Name of the collection.
    database
        Name of the database.
    files_dir
        Folder of the files that go with the documents; travels with a serialized store.
    read_only
        Send no write to the server.
    **kwargs
        As of maggma's MongoStore.
    """

    uri: str

    def __init__(
        self,
        uri: str,
        collection_name: str,
        database: str,
        files_dir: str | None = None,
        *,
        read_only: bool = False,
        **kwargs: Any,
    ) -> None:
        self.files_dir = files_dir
        self.read_only = read_only
        remember(uri)
        super().__init__(database, collection_name, uri=uri, **kwargs)

    def as_dict(self) -> dict[str, Any]:
        """Serialize without the password."""
        record: dict[str, Any] = super().as_dict()
        return record | {"uri": without_password(self.uri)}

    @property
    def name(self) -> str:
        """Where the documents are, for messages; without credentials."""
        return f"{redacted(self.uri)}:{self.database}.{self.collection_name}"

    def connect(self, force_reset: bool = False) -> None:  # noqa: FBT001, FBT002  (maggma's)
        """Connect to the server."""
        self.uri = with_password(self.uri)
        super().connect(force_reset)
        collection: Any = self._coll
        if isinstance(collection, (ReadOnlyCollection, PersistentCollection)):
            return
        if self.read_only:
            self._coll: Any = ReadOnlyCollection(collection, self.uri)
        else:
            self._coll = PersistentCollection(collection, self.patience_s)

    @property
    def patience_s(self) -> float:
        """How long the driver waits for a server that is gone."""
        given_ms = self.mongoclient_kwargs.get("serverSelectionTimeoutMS")
        return SERVER_SELECTION_TIMEOUT if given_ms is None else float(given_ms) / 1000.0

    def update(self, docs: list[dict[str, Any]] | dict[str, Any], key: Any = None) -> None:
        """Insert or replace documents.

        Raises
        ------
        DocumentError
            A document is too large or holds what cannot be stored.
        """
        given = docs if isinstance(docs, list) else [docs]
        plain = [jsanitize(doc, allow_bson=True, recursive_msonable=True) for doc in given]
        for document in plain:
            document.pop(SEEN, None)
            encode(document)
        super().update(plain, key=key)
