"""The last state of a run that is to be trusted, and how another run goes on from there.

A run that its guards ended, or doubted, keeps the last checkpoint before that. Another run, with
another potential, takes over positions, momenta, cell, thermostat, random numbers and all frames
up to there: the two are one trajectory.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from .checkpoint import Checkpoint, CheckpointFolder
from .md_session import TRUSTED
from .trajectory import TrajectoryReader
from .trajectory_files import check_chunk, write_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .trajectory import TrajectoryFile

_EVALUATION = ("energy_ev", "forces_ev_a", "stress_ev_a3")


def trusted_file(directory: Path, *, though_doubted: bool = False) -> Path | None:
    """Return the checkpoint that another run is to go on from, of the ended run in `directory`.

    It is the last one before a guard doubted the run, or ended it; with `though_doubted` the
    last before its end, whatever was doubted. The end itself of a run that came there in peace.
    ``None`` where none was saved by then.
    """
    folder = CheckpointFolder(directory / "checkpoints")
    last = folder.newest()
    if last is None:
        return None
    if not though_doubted:
        step = last.meta.get(TRUSTED)
        return None if step is None else folder.path(step)
    if last.meta["verdict"] is None:
        return folder.path(last.step)
    before = [path for path in folder.paths() if path != folder.path(last.step)]
    return before[-1] if before else None


def read_trusted(path: Path) -> Checkpoint:
    """Return the state in a file that :func:`trusted_file` had named.

    Raises
    ------
    CheckpointError
        If it was changed.
    """
    return Checkpoint.from_bytes(path.read_bytes())


def chunks_before(state: Checkpoint, chunks: Sequence[TrajectoryFile]) -> list[TrajectoryFile]:
    """Return those of a run's files of frames that a state of it counts on."""
    return list(chunks if state.meta["complete"] else chunks[: state.meta["n_chunks"]])


def first_frame(state: Checkpoint, chunks: Sequence[TrajectoryFile]) -> Atoms:
    """Return the atoms that a run began with, from the first of its frames."""
    if chunks:
        reader = TrajectoryReader(chunks[:1])
        positions, cell = reader.positions(0, 1)[0], reader.cells(0, 1)[0]
    else:
        positions = state.arrays["frames.positions_a"][0].astype(np.float64)
        cell = state.arrays["frames.cells_a"][0]
    return Atoms(state.arrays["numbers"], positions, cell=cell, pbc=True)


def begin_from(
    directory: Path,
    state: Checkpoint,
    chunks: Sequence[TrajectoryFile],
    *,
    signature: str,
    same_potential: bool,
) -> None:
    """Let the run that will work in `directory` go on from a state of another.

    Does nothing where it has a checkpoint of its own already. Killed and called again, it
    begins anew.

    Parameters
    ----------
    directory
        Of the run that goes on.
    state
        Where from.
    chunks
        Files of the frames before, as :func:`chunks_before` gives them; linked where the file
        system can, or else copied.
    signature
        Of the run that goes on.
    same_potential
        Keep the forces of the state: the run is then the same, bit for bit, as if it had never
        been ended. With another potential they are evaluated anew.

    Raises
    ------
    TrajectoryError
        If a file of frames is missing or damaged.
    """
    folder = CheckpointFolder(directory / "checkpoints")
    if folder.newest() is not None:
        return
    frames = directory / "trajectory"
    shutil.rmtree(frames, ignore_errors=True)
    frames.mkdir(parents=True)
    taken = []
    for number, chunk in enumerate(chunks):
        check_chunk(chunk)
        path = frames / f"chunk-{number:06d}.h5"
        try:
            os.link(chunk.path, path)
        except OSError:  # another disk, or one without links
            shutil.copyfile(chunk.path, path)
        taken.append(replace(chunk, path=path))
    write_index(frames, signature, taken)
    arrays = {
        name: array
        for name, array in state.arrays.items()
        if same_potential or name not in _EVALUATION
    }
    own = {
        "signature": signature,
        "n_resumes": 0 if state.meta["complete"] else -1,  # beginning there is no stop
        "wall_s": 0.0,
        "verdict": None,
        TRUSTED: state.step,
    }
    folder.save(Checkpoint(state.step, {**state.meta, **own}, arrays))
