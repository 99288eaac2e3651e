"""Places for trajectories in tests: a store with each, and harm done to what lies there."""

from __future__ import annotations

import hashlib
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import sample_candidates
import sample_trajectories
from sample_documents import provenance

from haloflow.engines.trajectory import TrajectoryReader
from haloflow.identity import content_hash
from haloflow.quantity import Quantity, Status
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.connection import HaloflowStore, open_store
from haloflow.stores.documents import FileReference, MDDocument
from haloflow.stores.trajectory_places import use_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

BUCKET = "haloflow"
STEP = "md-600K"
KINDS = ("folder", "gridfs", "s3")


class Elsewhere:
    """A store whose trajectories go to a place of `kind`."""

    def __init__(self, kind: str, folder: Path, request: pytest.FixtureRequest) -> None:
        self.kind, self.folder = kind, folder
        name = f"elsewhere{time.time_ns()}"
        self.store = str(folder / "store")
        self.environment: dict[str, str] = {}
        if kind == "folder":
            self.text = str(folder / "shared")
        elif kind == "gridfs":
            self.store = f"{request.getfixturevalue('mongod_uri')}/{name}"
            self.text = "gridfs"
        else:
            self.endpoint = request.getfixturevalue("s3_endpoint")
            self.prefix = f"campaigns/{name}"
            self.text = f"s3://{BUCKET}/{self.prefix}?endpoint={self.endpoint}"

    @contextmanager
    def opened(self, machine: str = "a", **options: Any) -> Iterator[HaloflowStore]:
        """Open the store as the machine does whose files lie in a folder of this name."""
        with open_store(self.store, files_dir=self.folder / machine, **options) as store:
            yield store

    def use(self) -> None:
        with self.opened() as store:
            use_place(store, self.text)

    def damage(self, sha256: str) -> None:
        """Change one byte of what lies there."""
        if self.kind == "folder":
            path = self.folder / "shared" / sha256[:2] / sha256
            path.write_bytes(_changed(path.read_bytes()))
        elif self.kind == "gridfs":
            with self.opened() as store:
                chunks = store.meta._collection.database["trajectories.chunks"]
                chunk = chunks.find_one({"files_id": sha256})
                changed = {"$set": {"data": _changed(chunk["data"])}}
                chunks.update_one({"_id": chunk["_id"]}, changed)
        else:
            client = boto3.client("s3", endpoint_url=self.endpoint)
            where = {"Bucket": BUCKET, "Key": f"{self.prefix}/{sha256[:2]}/{sha256}"}
            body = client.get_object(**where)["Body"].read()
            client.put_object(**where, Body=_changed(body))


def _changed(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def fill_with_a_run(store: HaloflowStore, status: Status = Status.OK, n_frames: int = 45) -> Any:
    """Leave a complete candidate in a store, one of whose runs has a trajectory of two parts.

    Returns the candidate, the run, and the frames of its production.
    """
    candidate, documents = sample_candidates.unconverged_crystal()
    identity = content_hash([candidate.candidate_id, status])
    files = []
    frames = {}
    for part, seed in (("equilibration", 1), ("production", 2)):
        frames[part] = sample_trajectories.walk(n_frames, 16, seed=seed)
        folder = store.files_dir / identity[:2] / identity / part / "trajectory"
        frames[part].store(folder, chunk_frames=20)
        files += [
            FileReference(
                path=chunk.path.relative_to(store.files_dir).as_posix(),
                sha256=chunk.sha256,
                n_bytes=chunk.n_bytes,
                role=f"trajectory-{part}",
                n_frames=chunk.n_frames,
            )
            for chunk in TrajectoryReader(folder).files
        ]
    run = MDDocument(
        identity=identity,
        status=status,
        provenance=provenance(),
        files=files,
        level="chgnet-r2scan-d3",
        ensemble="nvt",
        temperature_k=600,
        timestep_fs=2.0,
        n_steps=50 * n_frames,
        n_steps_target=50 * n_frames,
        seed=1,
        density_g_cm3=Quantity(3.0),
        trajectory_interval_steps=50,
        structure=documents["relax"].structure,
    )
    for file in files:
        if store.files.target is not None:
            store.files.put(store.files_dir / file.path, file.sha256)
    steps = candidate.steps | {STEP: identity}
    candidate = candidate.model_copy(update={"steps": steps})
    sample_candidates.fill(store, [(candidate, {**documents, STEP: run})])
    SummaryBuilder.of(store).run()
    return candidate, run, frames["production"]


def a_file(
    folder: Path, n_bytes: int = 3_000_000, seed: int = 1, name: str = "chunk-000000.h5"
) -> tuple[Path, FileReference]:
    """Write a file of noise, and describe it as a document does."""
    data = random.Random(seed).randbytes(n_bytes)
    path = folder / "ab" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return path, FileReference(path=f"ab/{name}", sha256=sha256, n_bytes=n_bytes, role="trajectory")
