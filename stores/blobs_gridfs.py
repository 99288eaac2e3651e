"""Files by their sha256 in GridFS, in the database of the store.

The connection is that of maggma's GridFSStore. Its ``update`` and ``query`` hold whole files
in memory, so that blocks go past them: files are written as the specification of GridFS says
and can be read by any of its clients.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from gridfs.errors import CorruptGridFile, NoFile
from maggma.stores import GridFSStore
from pymongo import WriteConcern
from pymongo.errors import DuplicateKeyError

from ..errors import StoreError
from .blobs import BLOCK, Checked, is_key
from .mongodb import MongoDBStore, redacted, translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .connection import HaloflowStore

COLLECTION = "trajectories"
_TIMEOUTS = {"serverSelectionTimeoutMS": 5_000, "socketTimeoutMS": 60_000}
"""Of one attempt; how long it is tried again is decided above."""
_CODE_OF_SIZE = "$binarySize"


class GridFSBlobs:
    """Files in ``trajectories.files`` and ``trajectories.chunks``, named by their sha256.

    A write that was killed leaves chunks without a file; the next write of the same file
    takes them over.

    Parameters
    ----------
    uri, database
        Of the server.
    client_options
        As of pymongo's MongoClient.
    """

    def __init__(self, uri: str, database: str, client_options: dict[str, Any]) -> None:
        self._uri = uri
        self._store = GridFSStore(
            database, COLLECTION, uri=uri, mongoclient_kwargs=client_options, key="_id"
        )
        self.name = f"GridFS of {redacted(uri)}:{database}.{COLLECTION}"
        self._indexed = False

    @classmethod
    def of(cls, store: HaloflowStore) -> Self:
        """Return the GridFS of the database in which `store` has its documents.

        Raises
        ------
        StoreError
            It is an embedded store.
        """
        outputs = store.outputs
        if not isinstance(outputs, MongoDBStore):
            raise StoreError(
                "an embedded store has no GridFS for trajectories",
                given=store.name,
                allowed="a mongodb:// store",
                remedy="name a folder or s3://bucket/prefix in trajectory_store, or copy the "
                "store to a server: haloflow db copy",
            )
        return cls(outputs.uri, outputs.database, _TIMEOUTS)

    def prepare(self, owner: str) -> None:
        """Make the index that GridFS wants; the database is that of the store."""
        with translated(self._uri):
            self._chunks.create_index([("files_id", 1), ("n", 1)], unique=True)
            self._indexed = True

    def belongs_to(self, owner: str) -> bool:
        """Say yes: it is in the store's own database."""
        return bool(owner)

    def size(self, sha256: str) -> int | None:
        """Return the size of a file, or ``None``."""
        with translated(self._uri):
            found = self._files.find_one({"_id": sha256}, {"length": 1})
        return None if found is None else int(found["length"])

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield checksum and size of all files, and of what killed writes left, with size -1."""
        with translated(self._uri):
            for row in self._files.find({}, {"length": 1}).sort("_id", 1):
                if is_key(str(row["_id"])):
                    yield str(row["_id"]), int(row["length"])
            lost = [
                {"$group": {"_id": "$files_id"}},
                {"$lookup": {"from": self._files.name, "localField": "_id",
                             "foreignField": "_id", "as": "file"}},
                {"$match": {"file": []}},
            ]  # fmt: skip
            for row in self._chunks.aggregate(lost, allowDiskUse=True):
                if is_key(str(row["_id"])):
                    yield str(row["_id"]), -1

    def written_at(self, key: str) -> float | None:
        """Return when the file, or the last of its chunks, came."""
        with translated(self._uri):
            chunk = self._chunks.find_one({"files_id": key}, {"_id": 1}, sort=[("_id", -1)])
            file = self._files.find_one({"_id": key}, {"uploadDate": 1})
        found = [] if chunk is None else [chunk["_id"].generation_time]
        found += [] if file is None else [file["uploadDate"].replace(tzinfo=UTC)]
        return max((at.timestamp() for at in found), default=None)

    def write(
        self, key: str, path: Path, sha256: str | None = None, *, again: bool = False
    ) -> None:
        """Store a file; chunks that are there already are compared and not sent again.

        Several processes may do so at once: none of them deletes chunks, and each makes sure
        of its file before it sends any.
        """
        if not again and self.size(key) is not None:
            return
        if not self._indexed:
            self.prepare("")
        checked = Checked(path, sha256 or key)
        if path.is_file():
            for _ in checked.blocks(BLOCK):
                pass
        with translated(self._uri):
            if again:
                self._files.delete_one({"_id": key})
            there = self._chunks_of(key)
            length = 0
            for n, block in enumerate(checked.blocks(BLOCK)):
                length += len(block)
                if there.pop(n, None) != len(block) or not self._has(key, n, block):
                    self._send(key, n, block)
            if there:  # of a longer file than this one
                self._chunks.delete_many({"files_id": key, "n": {"$in": list(there)}})
            self._finish(key, length, sha256 or key)

    def read(self, sha256: str) -> Iterator[bytes]:
        """Yield the blocks of a file."""
        try:
            with translated(self._uri):
                opened = self._opened._collection.get(sha256)
                while block := opened.readchunk():
                    yield block
        except (NoFile, CorruptGridFile) as error:
            raise StoreError(
                "a file in GridFS is damaged",
                given=f"{sha256} in {self.name} ({error})",
                remedy="restore it from a backup, or run its step again",
            ) from error

    def remove(self, sha256: str) -> None:
        """Delete a file and its chunks."""
        with translated(self._uri):
            self._files.delete_one({"_id": sha256})
            self._chunks.delete_many({"files_id": sha256})

    def clear_up(self) -> None:
        """Do nothing: chunks without a file are listed like files."""

    def close(self) -> None:
        """Close the connection."""
        if self._store._coll is not None:
            self._files.database.client.close()
            self._store._coll = None

    def _chunks_of(self, sha256: str) -> dict[int, int]:
        """Return number and size of the chunks that are there."""
        sizes = [
            {"$match": {"files_id": sha256}},
            {"$project": {"n": 1, "size": {_CODE_OF_SIZE: "$data"}}},
        ]
        return {int(row["n"]): int(row["size"]) for row in self._chunks.aggregate(sizes)}

    def _send(self, sha256: str, n: int, block: bytes) -> None:
        chunk = {"files_id": sha256, "n": n, "data": block}
        try:
            self._chunks.replace_one({"files_id": sha256, "n": n}, chunk, upsert=True)
        except DuplicateKeyError:  # another process was faster
            self._chunks.replace_one({"files_id": sha256, "n": n}, chunk)

    def _has(self, key: str, n: int, block: bytes) -> bool:
        found = self._chunks.find_one({"files_id": key, "n": n}, {"data": 1})
        return found is not None and bytes(found["data"]) == block

    def _finish(self, key: str, length: int, sha256: str) -> None:
        """Let the file be there, once all of its chunks are on disk."""
        row = {
            "_id": key,
            "filename": key,
            "length": length,
            "chunkSize": BLOCK,
            "uploadDate": datetime.now(UTC),
            "metadata": {"sha256": sha256},
        }
        files = self._files.with_options(write_concern=WriteConcern(w="majority", j=True))
        try:
            files.insert_one(row)
        except DuplicateKeyError:  # another wrote the same file
            return

    @property
    def _opened(self) -> GridFSStore:
        if self._store._coll is None:
            self._store.connect()
        return self._store

    @property
    def _files(self) -> Any:
        return self._opened._files_collection

    @property
    def _chunks(self) -> Any:
        return self._opened._chunks_collection
