"""Going back to what is whole after files of runs were damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import CheckpointError, TrajectoryError
from .checkpoint import Checkpoint
from .trajectory_files import INDEX_NAME, TrajectoryFile, check_chunk, read_index, write_index

if TYPE_CHECKING:
    from pathlib import Path


def remove_damage(directory: Path) -> list[str]:
    """Remove damaged files of the runs in `directory`, and the checkpoints that count on them.

    A run that is called again then goes on from its last checkpoint before the damage, or
    starts over. Nobody else may work in the directory.

    Parameters
    ----------
    directory
        Of a run, or of runs that are parts of a step.

    Returns
    -------
    What was damaged or missing, as paths below `directory`; empty where all is whole.
    """
    found: list[str] = []
    for checkpoints in sorted(directory.rglob("checkpoints")):
        damaged = _of_run(checkpoints.parent)
        found += [path.relative_to(directory).as_posix() for path in damaged]
    return found


def _of_run(run: Path) -> list[Path]:
    index = run / "trajectory" / INDEX_NAME
    signature, listed = "", list[TrajectoryFile]()
    damaged: list[Path] = []
    if index.is_file():
        try:
            signature, listed = read_index(index.parent)
        except TrajectoryError:
            damaged.append(index)
    sound = _sound(listed)
    damaged += [chunk.path for chunk in listed[len(sound) : len(sound) + 1]]
    for path in sorted(run.glob("checkpoints/step-*.ckpt")):
        try:
            saved = Checkpoint.from_bytes(path.read_bytes())
        except CheckpointError:
            damaged.append(path)
            path.unlink()
            continue
        if not _has_its_frames(saved, sound):
            damaged = damaged or [index]
            path.unlink()
    if damaged:
        for chunk in listed[len(sound) :]:
            chunk.path.unlink(missing_ok=True)
        index.unlink(missing_ok=True)
        if sound:
            write_index(index.parent, signature, sound)
    return damaged


def _has_its_frames(saved: Checkpoint, sound: list[TrajectoryFile]) -> bool:
    """Tell whether the files that a checkpoint counts on are among the sound ones."""
    if saved.meta.get("complete"):
        return bool(saved.meta["n_frames"] == sum(chunk.n_frames for chunk in sound))
    return bool(saved.meta.get("n_chunks", 0) <= len(sound))


def _sound(chunks: list[TrajectoryFile]) -> list[TrajectoryFile]:
    """Return the chunks before the first that is missing or damaged."""
    for number, chunk in enumerate(chunks):
        try:
            check_chunk(chunk)
        except TrajectoryError:
            return chunks[:number]
    return chunks
