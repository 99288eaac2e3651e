"""Sending the files of this machine to the place for all machines, e.g. after one was named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import HaloflowError, StoreError
from ..settings import get_settings
from .blobs import persistent
from .documents import FileReference
from .trajectory_places import remember_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .connection import HaloflowStore
    from .streams import Report


@dataclass
class Uploaded:
    """What came of it.

    Attributes
    ----------
    n_sent, n_there
        Files that were sent, and that were there already.
    n_bytes
        Size of those sent.
    n_elsewhere
        Files that are neither there nor on this machine.
    failures
        Files of this machine that are not what their documents say, and why.
    """

    n_sent: int = 0
    n_there: int = 0
    n_bytes: int = 0
    n_elsewhere: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def upload_files(store: HaloflowStore, report: Report | None = None) -> Uploaded:
    """Store what documents name and this machine has; killed and called again, it goes on.

    Raises
    ------
    StoreError
        The store has no place for all machines, or that is another store's or does not answer.
    """
    remember_place(store)
    place = store.files.target
    if place is None:
        raise StoreError(
            "the store has no place for trajectories yet",
            given=store.name,
            remedy="name one: trajectory_store in a sweep, or HALOFLOW_TRAJECTORY_STORE",
        )
    there = persistent(lambda: dict(place.sizes()), get_settings().patience_s)
    done, files = Uploaded(), list(_named(store))
    total, seen = sum(file.n_bytes for file in files), 0
    for file in files:
        seen += file.n_bytes
        path = store.files.here(file)
        if there.get(file.sha256) == file.n_bytes:
            done.n_there += 1
        elif path is None:
            done.n_elsewhere += 1
        else:
            try:
                store.files.put(path, file.sha256)
            except StoreError:
                raise
            except HaloflowError as error:
                done.failures[file.path] = str(error)
            else:
                done.n_sent += 1
                done.n_bytes += file.n_bytes
        if report is not None:
            report("sending files", seen, total)
    return done


def _named(store: HaloflowStore) -> Iterator[FileReference]:
    fields = ["output.files"]
    for row in store.outputs.query({"output.files.0": {"$exists": True}}, fields):
        for file in row["output"]["files"]:
            if not file.get("released"):
                yield FileReference.model_validate(file)
