"""An exported dataset as a store again, to be copied into another."""

from __future__ import annotations

import json
import tarfile
import tempfile
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bson import ObjectId

from ..errors import DocumentError, InputError
from ..identity import content_hash, step_uuid
from ..stores.connection import open_store
from ..stores.manifest import MANIFEST, verify_manifest
from ..stores.records import candidate_of, candidate_record, step_of, summary_of, summary_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from maggma.core import Store

    from ..stores.connection import HaloflowStore
    from ..stores.streams import Report

_TAR: Final = (".tar", ".tar.gz", ".tgz")
_BATCH: Final = 100
_MOST_NAMED: Final = 3


def is_export(place: str | Path) -> bool:
    """Whether a place is a folder or tar file that `haloflow export` wrote."""
    if "://" in str(place):
        return False
    path = Path(place).expanduser()
    return (path / MANIFEST).is_file() or (path.is_file() and path.name.endswith(_TAR))


@contextmanager
def opened_export(place: str | Path, report: Report | None = None) -> Iterator[HaloflowStore]:
    """Give a store for a time that holds what is in an export; its files stay where they are.

    Parameters
    ----------
    place
        Folder or tar file.
    report
        Told how far it is.

    Raises
    ------
    InputError
        A file is missing or changed, or there is no export.
    DocumentError
        A document is not valid.
    """
    path = Path(place).expanduser().absolute()
    wrong = verify_manifest(path, report)
    if wrong:
        more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise InputError(
            "an export is not as it was written",
            given="; ".join(wrong[:_MOST_NAMED]) + more,
            remedy="fetch it again from where it comes",
        )
    with ExitStack() as held:
        scratch = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="haloflow-import-")))
        folder = path if path.is_dir() else _unpacked(path, scratch)
        files = folder / "files"
        place_of_files = files if files.is_dir() else scratch / "files"
        store = held.enter_context(open_store(scratch / "store", files_dir=place_of_files))
        store.uri = str(path)  # in messages, and for a copy that is done in parts
        _fill(store, folder, report)
        yield store


def _unpacked(path: Path, scratch: Path) -> Path:
    with tarfile.open(path) as archive:
        archive.extractall(scratch / "data", filter="data")
    return next((scratch / "data").iterdir())


def _fill(store: HaloflowStore, folder: Path, report: Report | None) -> None:
    """Put everything in, under ids that are the same each time: a copy may be done in parts."""
    candidates = _lines(folder / "candidates.jsonl")
    _insert(
        store.candidates,
        (
            {**candidate_record(candidate_of(row), _moment(row)), "_id": _id(row)}
            for row in candidates
        ),
    )
    summaries = _lines(folder / "summaries.jsonl")
    _insert(
        store.summaries, ({**summary_record(summary_of(row)), "_id": _id(row)} for row in summaries)
    )
    for done, path in enumerate(sorted((folder / "documents").glob("*.jsonl")), start=1):
        _insert(store.outputs, map(_row, _lines(path)))
        if report is not None:
            report("reading documents", done, done)


def _insert(collection: Store, rows: Iterable[dict[str, Any]]) -> None:
    remaining = iter(rows)
    while batch := list(islice(remaining, _BATCH)):
        collection._collection.insert_many(batch)  # noqa: SLF001  (keeps the ids)


def _id(row: Mapping[str, Any]) -> ObjectId:
    return ObjectId(content_hash(row["candidate_id"])[:24])


def _row(output: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a job around that of its step."""
    document = step_of(output)
    made = document.provenance
    ended = made.started_at + timedelta(seconds=made.wall_s)
    return {
        "_id": ObjectId(document.identity[:24]),
        "uuid": step_uuid(document.identity),
        "index": 1,
        "output": output,
        "completed_at": ended.replace(tzinfo=None).isoformat(),
        "metadata": {"haloflow_identity": document.identity},
        "hosts": [],
        "name": document.kind,
    }


def _moment(row: dict[str, Any]) -> datetime | None:
    text = row.get("last_updated")
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise DocumentError(
            "a file of an export cannot be read",
            given=f"{path.name} ({error})",
            remedy="fetch the export again from where it comes",
        ) from error
