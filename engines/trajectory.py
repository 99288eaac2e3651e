"""Trajectories on disk: written chunk by chunk, read in blocks, never half.

A chunk is an HDF5 file of its own, written at once and listed with its sha256 in an index, so
that a kill at any moment leaves every listed chunk whole. Positions are unwrapped, float32.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

from ..errors import InputError, TrajectoryError
from .durable import remove_leftovers, write_durably
from .trajectory_files import (
    INDEX_NAME,
    THERMO,
    Frames,
    TrajectoryFile,
    check_chunk,
    open_chunk,
    pack_chunk,
    read_index,
    write_index,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import h5py
    from numpy.typing import NDArray

__all__ = ["THERMO", "TrajectoryFile", "TrajectoryReader", "TrajectoryWriter"]


class TrajectoryWriter:
    """Collects frames and stores every `chunk_frames` of them as a file.

    What it holds in memory goes into the run's checkpoint (:meth:`state`); going back to a
    checkpoint (:meth:`restore`) removes what was stored after it.

    Parameters
    ----------
    directory
        Made if it is not there; belongs to this trajectory alone.
    numbers
        Atomic numbers, shape (n_atoms,).
    chunk_frames
        Frames in one file.
    signature
        Identity of the run, kept in the index.

    Raises
    ------
    TrajectoryError
        If the directory holds the trajectory of another run.
    """

    def __init__(
        self, directory: Path, numbers: NDArray[np.int64], *, chunk_frames: int, signature: str
    ) -> None:
        self._directory = directory
        self._numbers = np.asarray(numbers, dtype=np.int64)
        self._signature = signature
        n_atoms = len(numbers)
        self._positions = np.empty((chunk_frames, n_atoms, 3), dtype=np.float32)
        self._cells = np.empty((chunk_frames, 3, 3))
        self._thermo = np.empty((chunk_frames, len(THERMO)))
        self._count = 0
        self._stored: list[TrajectoryFile] = []
        directory.mkdir(parents=True, exist_ok=True)
        remove_leftovers(directory)
        if (directory / INDEX_NAME).is_file():
            found, self._stored = read_index(directory)
            if found != signature:
                raise TrajectoryError(
                    "the directory holds the trajectory of another run",
                    given=f"{directory} of run {found}",
                    allowed=f"run {signature}",
                    remedy="give this run a directory of its own",
                )

    @property
    def n_frames(self) -> int:
        """Frames so far, stored and in memory."""
        return sum(chunk.n_frames for chunk in self._stored) + self._count

    def append(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64], thermo: Sequence[float]
    ) -> None:
        """Add a frame: positions (n_atoms, 3) in A, cell (3, 3), thermo in the order of THERMO."""
        row = self._count
        self._positions[row] = positions
        self._cells[row] = cell
        self._thermo[row] = thermo
        self._count += 1
        if self._count == len(self._positions):
            self._stored.append(self._store())
            write_index(self._directory, self._signature, self._stored)
            self._count = 0

    def close(self) -> None:
        """Store the frames still in memory as a last, shorter chunk, for readers.

        They also stay in memory: a run that goes on replaces this chunk by a full one.
        """
        last = [self._store()] if self._count else []
        write_index(self._directory, self._signature, [*self._stored, *last])

    def state(self) -> tuple[int, dict[str, NDArray[np.generic]]]:
        """Return the number of full chunks on disk and the frames in memory."""
        held = slice(self._count)
        return len(self._stored), {
            "frames.positions_a": self._positions[held].copy(),
            "frames.cells_a": self._cells[held].copy(),
            "frames.thermo": self._thermo[held].copy(),
        }

    def restore(
        self, n_chunks: int = 0, frames: Mapping[str, NDArray[np.generic]] | None = None
    ) -> None:
        """Go back to a :meth:`state`, or to the beginning; later chunks are deleted.

        Raises
        ------
        TrajectoryError
            If chunks that belong to the state are missing, cut short or damaged.
        """
        kept = self._stored[:n_chunks]
        lost = [
            chunk.path.name
            for chunk in kept
            if not chunk.path.is_file() or chunk.path.stat().st_size != chunk.n_bytes
        ]
        if lost or len(kept) < n_chunks:
            raise TrajectoryError(
                "trajectory files that a checkpoint counts on are missing or cut short",
                given=f"{len(kept) - len(lost)} whole of {n_chunks} in {self._directory}",
                remedy="restore them from a backup, or delete the run's directory to start over",
            )
        for chunk in kept:
            check_chunk(chunk)
        self._stored = kept
        write_index(self._directory, self._signature, kept)
        listed = {chunk.path for chunk in kept}
        for path in self._directory.glob("chunk-*.h5"):
            if path not in listed:
                path.unlink()
        self._count = 0
        if frames is not None:
            self._count = len(frames["frames.thermo"])
            held = slice(self._count)
            self._positions[held] = frames["frames.positions_a"]
            self._cells[held] = frames["frames.cells_a"]
            self._thermo[held] = frames["frames.thermo"]

    def _store(self) -> TrajectoryFile:
        held = slice(self._count)
        frames = Frames(self._positions[held], self._cells[held], self._thermo[held])
        data = pack_chunk(self._numbers, frames)
        path = self._directory / f"chunk-{len(self._stored):06d}.h5"
        write_durably(path, data)
        return TrajectoryFile(path, hashlib.sha256(data).hexdigest(), len(data), self._count)


class TrajectoryReader:
    """Reads a trajectory in slices; every chunk is checked against its checksum when opened.

    Parameters
    ----------
    source
        Directory of the trajectory, directory of its run, or the chunk files in order.
    bring
        Called with the number of a chunk before it is read and is not there, or not any more;
        returns where it lies.

    Raises
    ------
    TrajectoryError
        If there is no trajectory, or, when frames are read, a file is missing or damaged.
    """

    def __init__(
        self,
        source: Path | Sequence[TrajectoryFile],
        bring: Callable[[int], Path] | None = None,
    ) -> None:
        self._bring = bring
        self._brought: set[int] = set()
        if isinstance(source, Path):
            inner = source / "trajectory"
            _, self.files = read_index(inner if inner.is_dir() else source)
        else:
            self.files = list(source)
        if not self.files:
            raise TrajectoryError(
                "a trajectory has no frames yet",
                given=str(source),
                remedy="let the run finish, or at least fill a first chunk",
            )
        self._ends = np.cumsum([chunk.n_frames for chunk in self.files])
        self._open: tuple[int, h5py.File] | None = None
        self.numbers: NDArray[np.int64] = self._chunk(0)["numbers"][:]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self._ends[-1])

    @property
    def n_atoms(self) -> int:
        """Number of atoms in each frame."""
        return len(self.numbers)

    @property
    def species(self) -> NDArray[np.str_]:
        """Chemical symbols, shape (n_atoms,)."""
        return np.array([chemical_symbols[number] for number in self.numbers])

    @property
    def times_fs(self) -> NDArray[np.float64]:
        """Times of all frames in fs, shape (n_frames,)."""
        return self.thermo()["time_fs"]

    def positions(
        self, start: int = 0, stop: int | None = None, stride: int = 1
    ) -> NDArray[np.float64]:
        """Return unwrapped positions in A of the frames start:stop:stride, (n, n_atoms, 3)."""
        return self._gather("positions_a", (self.n_atoms, 3), start, stop, stride)

    def cells(
        self, start: int = 0, stop: int | None = None, stride: int = 1
    ) -> NDArray[np.float64]:
        """Return cells in A of the frames start:stop:stride, (n, 3, 3)."""
        return self._gather("cells_a", (3, 3), start, stop, stride)

    def thermo(
        self, start: int = 0, stop: int | None = None, stride: int = 1
    ) -> dict[str, NDArray[np.float64]]:
        """Return the columns of THERMO for the frames start:stop:stride, each (n,)."""
        table = self._gather("thermo", (len(THERMO),), start, stop, stride)
        return {name: table[:, column].copy() for column, name in enumerate(THERMO)}

    def blocks(self, n_frames: int = 1000, stride: int = 1) -> Iterator[NDArray[np.float64]]:
        """Yield the positions of every `stride`-th frame in blocks of at most `n_frames`."""
        for start in range(0, self.n_frames, n_frames * stride):
            yield self.positions(start, start + n_frames * stride, stride)

    def verify(self) -> None:
        """Read every file and check it.

        Raises
        ------
        TrajectoryError
            If one is missing, damaged, or does not fit the others.
        """
        for number, chunk in enumerate(self.files):
            file = self._chunk(number)
            shape = file["positions_a"].shape
            same = np.array_equal(file["numbers"][:], self.numbers)
            if shape != (chunk.n_frames, self.n_atoms, 3) or not same:
                raise TrajectoryError(
                    "a trajectory file does not fit the others",
                    given=f"{chunk.path} with positions of shape {shape}",
                    allowed=f"{(chunk.n_frames, self.n_atoms, 3)} and the same species",
                    remedy="name the files of one run only",
                )

    def _chunk(self, number: int) -> h5py.File:
        if self._open is None or self._open[0] != number:
            is_here = number in self._brought and self.files[number].path.is_file()
            if self._bring is not None and not is_here:
                self.files[number] = replace(self.files[number], path=self._bring(number))
                self._brought.add(number)
            self._open = (number, open_chunk(self.files[number]))
        return self._open[1]

    def _gather(
        self, name: str, shape: tuple[int, ...], start: int, stop: int | None, stride: int
    ) -> NDArray[np.float64]:
        if stride < 1:
            raise InputError(
                "the stride of a trajectory slice is out of range",
                given=stride,
                allowed="a whole number from 1",
                remedy="reverse the result instead",
            )
        wanted = range(self.n_frames)[start:stop:stride]
        result = np.empty((len(wanted), *shape))
        done = 0
        while done < len(wanted):
            number = int(np.searchsorted(self._ends, wanted[done], side="right"))
            end = int(self._ends[number])
            first = wanted[done] - (end - self.files[number].n_frames)
            count = len(range(wanted[done], min(end, wanted.stop), stride))
            data = self._chunk(number)[name]
            result[done : done + count] = data[first : first + (count - 1) * stride + 1 : stride]
            done += count
        return result
