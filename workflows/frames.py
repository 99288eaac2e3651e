"""Frames of the trajectories that a candidate's steps left in the store's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, StoreError, TrajectoryError, UnknownNameError
from ..makers.stored_trajectories import chunks_of, open_stored, parts_of
from ..stores.documents import MDDocument
from ..stores.retention import THINNED
from ..trajectory_frames import Frames
from ..units import FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ..stores.documents import StepDocument
    from ..stores.step_files import StepFiles


@dataclass(frozen=True)
class StoredTrajectory:
    """A trajectory as its step's document and its index tell, no frame read yet.

    Attributes
    ----------
    step, part
        Name of the step and part of its run: ``equilibration``, ``production``, ``quench``...
    n_frames
        0 where the files are not here.
    frame_ps
        Time between frames, ps; ``None`` where only the frames tell.
    temperature_k
        Of the thermostat; ``None`` where it changes.
    n_bytes
        Of all its files.
    problem
        Why it cannot be read; empty where nothing is known to hinder.
    """

    step: str
    part: str
    n_frames: int
    frame_ps: float | None
    temperature_k: float | None
    n_bytes: int
    problem: str = ""


@dataclass(frozen=True)
class TrajectoryPart(Frames):
    """Some frames of a trajectory.

    Attributes
    ----------
    n_frames
        Of the whole trajectory.
    stride
        Frames from one to the next.
    next_start
        Frame to go on with where the limit cut; ``None`` at the end.
    """

    n_frames: int
    stride: int
    next_start: int | None


def stored_trajectories(
    documents: Mapping[str, StepDocument], files: StepFiles
) -> list[StoredTrajectory]:
    """Return the trajectories that the documents (by step name) refer to."""
    found = []
    for step, document in documents.items():
        for part, chunks in parts_of(document).items():
            n_frames, problem = 0, ""
            try:
                n_frames = sum(chunk.n_frames for chunk in chunks_of(chunks, files))
            except TrajectoryError as error:
                problem = str(_within(error, files.folder))
            except StoreError as error:
                problem = str(error)
            run = document if isinstance(document, MDDocument) else None
            is_whole = run is not None and not part.endswith(THINNED)
            frame_fs = run.timestep_fs * run.trajectory_interval_steps if run and is_whole else None
            found.append(
                StoredTrajectory(
                    step,
                    part,
                    n_frames,
                    frame_fs / FS_PER_PS if frame_fs else None,
                    run.temperature_k if run else None,
                    sum(file.n_bytes for file in chunks),
                    problem,
                )
            )
    return found


def read_frames(
    document: StepDocument,
    part: str | None,
    files: StepFiles,
    *,
    start: int = 0,
    stop: int | None = None,
    stride: int | None = None,
    wrap: bool = False,
    most_frames: int,
    most_positions: int,
) -> TrajectoryPart:
    """Read frames start:stop:stride of a step's trajectory, the files checked by their sha256.

    Parameters
    ----------
    document
        Of the step.
    part
        Of its run; default: its last.
    files
        The store's files.
    start, stop
        First frame and the one after the last; default: all.
    stride
        Default: the least at which all of them fit the limits.
    wrap
        Move atoms into the cell; else they are where they went.
    most_frames, most_positions
        Limits of what is read; at least one frame is.

    Raises
    ------
    UnknownNameError
        The step has no trajectory, or not this part.
    InputError
        `start` lies beyond the last frame.
    TrajectoryError
        A file is missing, damaged, released, or not the one that the document names.
    StoreError
        A place of files does not answer.
    """
    parts = parts_of(document)
    name = part or next(reversed(parts), "")
    if name not in parts:
        raise UnknownNameError.of(f"trajectory of the {document.kind} step", name, parts)
    try:
        reader = open_stored(parts[name], files)
        within = range(reader.n_frames)[start:stop]
        if not within:
            raise InputError(
                "the trajectory has no such frames",
                given=f"{start} to {'the end' if stop is None else stop}",
                allowed=f"0 to {reader.n_frames}",
            )
        most = max(1, min(most_frames, most_positions // reader.n_atoms))
        every = stride or -(-len(within) // most)
        wanted = within[::every]
        taken = wanted[:most]
        bounds = (taken.start, taken[-1] + 1, every)
        positions, cells = reader.positions(*bounds), reader.cells(*bounds)
        times_ps = reader.thermo(*bounds)["time_fs"] / FS_PER_PS
    except TrajectoryError as error:
        raise _within(error, files.folder) from error
    return TrajectoryPart(
        species=reader.species.tolist(),
        frames=np.array(taken, dtype=np.int64),
        times_ps=times_ps,
        positions_a=_wrapped(positions, cells) if wrap else positions,
        cells_a=cells,
        n_frames=reader.n_frames,
        stride=every,
        next_start=wanted[len(taken)] if len(wanted) > len(taken) else None,
    )


def _within(error: TrajectoryError, files_dir: Path) -> TrajectoryError:
    """Return `error` with paths as they are below `files_dir`."""
    prefixes = (f"{files_dir.resolve()}/", f"{files_dir}/")
    given = str(error.given)
    for prefix in prefixes:
        given = given.replace(prefix, "")
    return TrajectoryError(error.problem, given=given, allowed=error.allowed, remedy=error.remedy)


def _wrapped(positions: NDArray[np.float64], cells: NDArray[np.float64]) -> NDArray[np.float64]:
    fractions = positions @ np.linalg.inv(cells)
    wrapped: NDArray[np.float64] = (fractions - np.floor(fractions)) @ cells
    return wrapped
