"""Fetching the files of a candidate, a step or a job to a folder, checked, and as other formats."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ..engines.trajectory_files import write_index
from ..errors import HaloflowError, NotFoundError, StoreError, UnknownNameError
from ..identity import file_sha256
from ..makers.stored_trajectories import chunks_of, open_stored, parts_of
from ..stores.file_paths import ROLE, require_inside
from ..stores.records import step_of
from ..stores.step_files import require_kept
from .frame_files import write_frames
from .lookup import stored_documents
from .status import find_candidate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..stores.connection import HaloflowStore
    from ..stores.documents import FileReference, StepDocument
    from ..stores.step_files import StepFiles
    from ..stores.streams import Report

FORMATS: Final = ("native", "extxyz", "traj")
_LEAST_DIGITS: Final = 4
_HEX: Final = frozenset("0123456789abcdef-")
_MOST_NAMED: Final = 10
_PART: Final = ".part"


@dataclass
class Fetched:
    """What came of fetching.

    Attributes
    ----------
    n_fetched, n_there, n_bytes
        Files brought, files that were there already, and the size of both.
    failures
        What could not be had, by step and path, and why.
    released
        What rules have released, and by which and when.
    """

    n_fetched: int = 0
    n_there: int = 0
    n_bytes: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    released: dict[str, str] = field(default_factory=dict)


def find_documents(store: HaloflowStore, name: str) -> tuple[str, dict[str, StepDocument]]:
    """Return a title and the documents, by step name, of what `name` means.

    Parameters
    ----------
    name
        Id or label of a candidate, identity of a step, UUID of a job; ids may be cut short.

    Raises
    ------
    UnknownNameError
        Nothing fits, or several things do.
    DocumentError
        A document cannot be read.
    """
    cut_short = len(name) >= _LEAST_DIGITS and _HEX.issuperset(name)
    try:
        candidate = find_candidate(store, name)
    except UnknownNameError:
        if not cut_short:
            raise
    else:
        found = stored_documents(store, candidate.steps)
        if found.unreadable and not found.documents:
            step, why = next(iter(found.unreadable.items()))
            raise NotFoundError("no step of the candidate can be read", given=f"{step}: {why}")
        return candidate.candidate_id, found.documents
    start = {"$regex": f"^{name}"}
    rows = list(store.outputs.query({"output.identity": start}, ["output"], limit=_MOST_NAMED))
    if not rows:
        rows = list(store.outputs.query({"uuid": start}, ["output"], limit=_MOST_NAMED))
    documents = [step_of(row["output"]) for row in rows if row.get("output")]
    identities = sorted({document.identity for document in documents})
    if len(identities) != 1:
        raise UnknownNameError(
            "no candidate, step or job of the store has this id"
            if not identities
            else "several steps have ids that begin so",
            given=name,
            allowed=identities or None,
            remedy="take ids from `haloflow show`; more digits tell them apart",
        )
    return identities[0][:12], {documents[0].kind: documents[0]}


def fetch_files(
    documents: Mapping[str, StepDocument],
    files: StepFiles,
    target: Path,
    *,
    report: Report | None = None,
) -> Fetched:
    """Bring all files of the steps to ``target/STEP/...``, as they are.

    What is there with the right checksum stays; killed and called again, it goes on. Folders
    of trajectories get an index, so that `haloflow analyze` reads them.

    Parameters
    ----------
    documents
        By step name.
    files
        Of the store.
    report
        Told how many bytes are done.
    """
    done = Fetched()
    wanted = [(step, d, file) for step, d in documents.items() for file in d.files]
    total = sum(file.n_bytes for _, _, file in wanted if file.released is None)
    for step, document, file in wanted:
        if file.released is not None:
            done.released[f"{step}: {file.path}"] = (
                f"{file.released.rule}, {file.released.at:%Y-%m-%d}, by {file.released.by}"
            )
            continue
        place = target / safe_name(step) / _within(document, file)
        try:
            if bring(files, file, place):
                done.n_fetched += 1
            else:
                done.n_there += 1
        except HaloflowError as error:
            done.failures[f"{step}: {file.path}"] = str(error)
        done.n_bytes += file.n_bytes
        if report is not None:
            report("fetching files", done.n_bytes, total)
    for step, document in documents.items():
        _index(step, document, files, target, done)
    return done


def fetch_frames(
    documents: Mapping[str, StepDocument],
    files: StepFiles,
    target: Path,
    kind: str,
    *,
    stride: int = 1,
    report: Report | None = None,
) -> Fetched:
    """Write every `stride`-th frame of each trajectory to ``target/STEP-PART.extxyz`` or ``.traj``.

    Positions are unwrapped, in A; with each frame go time, temperature and energy. A block of
    frames is in memory at a time; a file is there whole or not at all.

    Raises
    ------
    UnknownNameError
        The format is not known.
    """
    if kind not in FORMATS[1:]:
        raise UnknownNameError.of("format", kind, FORMATS)
    done = Fetched()
    parts = [
        (safe_name(f"{step}-{part}"), chunks)
        for step, document in documents.items()
        for part, chunks in parts_of(document).items()
        if all(file.released is None for file in chunks)
    ]
    total = sum(file.n_bytes for _, chunks in parts for file in chunks)
    target.mkdir(parents=True, exist_ok=True)
    for name, chunks in parts:
        place = target / f"{name}.{kind}"
        try:
            write_frames(open_stored(chunks, files), place, kind, stride)
            done.n_fetched += 1
        except HaloflowError as error:
            done.failures[name] = str(error)
        done.n_bytes += sum(file.n_bytes for file in chunks)
        if report is not None:
            report("writing frames", done.n_bytes, total)
    return done


def bring(files: StepFiles, file: FileReference, place: Path) -> bool:
    """Copy or fetch a file to `place`, checked; return whether it was not there before.

    Raises
    ------
    TrajectoryError
        It was released, is nowhere, or is damaged everywhere.
    StoreError
        A place of files does not answer, or `place` cannot be written.
    """
    require_kept(file)
    require_inside(file)
    if place.is_file() and file_sha256(place) == file.sha256:
        return False
    here = files.here(file)
    if here is None or file_sha256(here) != file.sha256:
        files.fetch(file, place)
        return True
    part = place.with_name(f".{place.name}{_PART}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(here, part)
        part.replace(place)
    except OSError as error:
        raise StoreError(
            f"a file cannot be written: {error.strerror}",
            given=str(place),
            remedy="make room, or name another folder with --to; then fetch again: it goes on",
        ) from error
    return True


def safe_name(name: str) -> str:
    """Return the name of a step or candidate as that of a file or folder."""
    plain = name.replace("/", "_")
    return "_" if plain in {"", ".", ".."} else plain


def _within(document: StepDocument, file: FileReference) -> str:
    """Return the path of a file in the folder of its step."""
    own = f"{document.identity[:2]}/{document.identity}/"
    inner = file.path.removeprefix(own)
    return file.path if ".." in inner.split("/") else inner


def write_indexes(
    document: StepDocument,
    part: str,
    references: Sequence[FileReference],
    files: StepFiles,
    target: Path,
) -> None:
    """Write the index of a trajectory whose chunks lie below `target` under their own paths.

    Raises
    ------
    TrajectoryError, StoreError
        The numbers of their frames cannot be found out.
    """
    _write_index(document, part, references, files, [target / file.path for file in references])


def _index(
    step: str, document: StepDocument, files: StepFiles, target: Path, done: Fetched
) -> None:
    for part, references in parts_of(document).items():
        places = [target / safe_name(step) / _within(document, file) for file in references]
        if all(place.is_file() for place in places):
            try:
                _write_index(document, part, references, files, places)
            except HaloflowError as error:
                done.failures[f"{step}: {ROLE}{part}"] = str(error)


def _write_index(
    document: StepDocument,
    part: str,
    references: Sequence[FileReference],
    files: StepFiles,
    places: Sequence[Path],
) -> None:
    chunks = [
        replace(chunk, path=place)
        for chunk, place in zip(chunks_of(references, files), places, strict=True)
    ]
    write_index(places[0].parent, f"{document.identity}/{part}", chunks)
