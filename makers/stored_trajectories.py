"""Trajectories that documents refer to, read from wherever their files are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engines.trajectory import TrajectoryReader
from ..engines.trajectory_files import INDEX_NAME, TrajectoryFile, open_chunk, read_index
from ..errors import TrajectoryError
from ..stores.file_paths import ROLE
from ..stores.step_files import require_kept

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..stores.documents import FileReference, StepDocument
    from ..stores.step_files import StepFiles


def parts_of(document: StepDocument) -> dict[str, list[FileReference]]:
    """Return the files of each part of a run: ``equilibration``, ``production``, ``quench``..."""
    parts: dict[str, list[FileReference]] = {}
    for file in document.files:
        if file.role.startswith(ROLE) and not file.path.endswith(INDEX_NAME):
            parts.setdefault(file.role.removeprefix(ROLE), []).append(file)
    return parts


def chunks_of(references: Sequence[FileReference], files: StepFiles) -> list[TrajectoryFile]:
    """Return the chunks that are referred to with their numbers of frames.

    Only chunks of documents that do not tell these, and have no index here, are fetched.

    Raises
    ------
    TrajectoryError
        A file was released or leads out of the folder, or the index lacks it.
    StoreError
        A place of files does not answer.
    """
    for file in references:
        require_kept(file)
    places = [files.here(file) or files.folder.resolve() / file.path for file in references]
    listed: dict[Path, TrajectoryFile] = {}
    if any(file.n_frames is None for file in references):
        for folder in {place.parent for place in places}:
            if not files.places or (folder / INDEX_NAME).is_file():
                listed |= {chunk.path: chunk for chunk in read_index(folder)[1]}
    found = []
    for place, file in zip(places, references, strict=True):
        n_frames = file.n_frames
        if n_frames is None and place in listed:
            n_frames = listed[place].n_frames
        if n_frames is None and not files.places:
            raise TrajectoryError(
                "the index of a trajectory lacks files that its step wrote",
                given=place.name,
                remedy="restore the folder from a backup, or run the step again",
            )
        if n_frames is None:
            chunk = TrajectoryFile(files.local(file), file.sha256, file.n_bytes, 0)
            n_frames = len(open_chunk(chunk)["thermo"])
        found.append(TrajectoryFile(place, file.sha256, file.n_bytes, n_frames))
    return found


def open_stored(references: Sequence[FileReference], files: StepFiles) -> TrajectoryReader:
    """Return a reader of the chunks that are referred to; each is fetched when it is first read.

    Raises
    ------
    TrajectoryError, StoreError
        As :func:`chunks_of`; while reading, if a chunk is missing or damaged everywhere.
    """
    chunks = chunks_of(references, files)
    return TrajectoryReader(chunks, lambda number: files.local(references[number]))
