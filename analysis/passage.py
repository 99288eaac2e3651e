"""One reading of a trajectory, block by block, and what all analyses need from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import AnalysisError
from .displacement import LARGEST_UNWRAPPED_STEP, LARGEST_WRAPPED_STEP, ambiguous_step
from .frames import BoolArray, FloatArray, as_frames, as_species, as_trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

_FLOAT64_VALUES = 32_000_000
_CHUNK_VALUES = 10_000_000


@dataclass(frozen=True, slots=True)
class Passage:
    """What one reading of a trajectory leaves in memory.

    Attributes
    ----------
    species
        Element symbols, shape (n_atoms,).
    mobile_species
        Whose paths are kept; ``None`` for none.
    start_a
        Positions of the first frame, A, shape (n_atoms, 3).
    path_a
        Continuous paths of the mobile ions relative to the framework, A, from the origin,
        shape (n_frames, n_mobile, 3); float32 where float64 would take more than 256 MB.
    sums_a
        Species to the sum of the displacements of its atoms since the first frame, in the
        laboratory's frame, A, shape (n_frames, 3).
    cells_a
        Cells, A, shape (n_frames, 3, 3).
    sample_a, sample_cells_a
        Evenly spaced frames, for structure: continuous positions in the laboratory's frame
        and cells, A, shapes (n_sample, n_atoms, 3) and (n_sample, 3, 3).
    sample_frames
        Their numbers, shape (n_sample,).
    """

    species: NDArray[np.str_]
    mobile_species: str | None
    start_a: FloatArray
    path_a: NDArray[np.floating]
    sums_a: dict[str, FloatArray]
    cells_a: FloatArray
    sample_a: FloatArray
    sample_cells_a: FloatArray
    sample_frames: NDArray[np.int64]

    @property
    def mobile(self) -> BoolArray:
        """Mask of the mobile ions, shape (n_atoms,)."""
        mask: BoolArray = np.isin(self.species, [self.mobile_species or ""])
        return mask

    @property
    def n_frames(self) -> int:
        """Number of frames read."""
        return len(self.cells_a)

    @property
    def volume_a3(self) -> float:
        """Mean volume, A3."""
        return float(np.abs(np.linalg.det(self.cells_a)).mean())


def read_passage(
    blocks: Iterable[tuple[FloatArray, FloatArray]],
    species: Sequence[str],
    mobile: str | None,
    *,
    unwrapped: bool = False,
    checked: bool = True,
    n_sample: int = 200,
    on_progress: Callable[[int], None] | None = None,
) -> Passage:
    """Read a trajectory once, in blocks, and keep what analyses need.

    Parameters
    ----------
    blocks
        Consecutive frames: positions (n, n_atoms, 3) and cells (n, 3, 3), both in A.
    species
        Element symbols, shape (n_atoms,).
    mobile
        The mobile species; ``None`` keeps no path.
    unwrapped
        Whether positions are continuous; otherwise the nearest image of the frame before
        counts.
    checked
        Whether a jump over half a box is refused. Positions that are continuous for certain
        may move that far from frame to frame.
    n_sample
        Frames kept for structure: at least this many, fewer than twice as many, where there
        are so many.
    on_progress
        Called with the number of frames read.

    Raises
    ------
    AnalysisError
        If there is no frame, no mobile ion, a jump over half a box, or frames that do not
        fit each other.
    """
    names = as_species(species, len(species))
    if n_sample < 1:
        raise AnalysisError("a sample needs frames", given=n_sample, allowed="1 or more")
    if mobile is not None and mobile not in names:
        raise AnalysisError(
            "there are no mobile ions",
            given=mobile,
            allowed=sorted(set(names.tolist())),
            remedy="check the name of the mobile species",
        )
    reading = _Reading(names, mobile, unwrapped=unwrapped, checked=checked, n_sample=n_sample)
    for positions, cells in blocks:
        reading.add(*as_trajectory(positions, cells))
        if on_progress is not None:
            on_progress(reading.n_frames)
    return reading.finish()


class _Reading:
    """Collects what the blocks bring; holds the last frame's state to join the next block to."""

    def __init__(
        self,
        species: NDArray[np.str_],
        mobile: str | None,
        *,
        unwrapped: bool,
        checked: bool,
        n_sample: int,
    ) -> None:
        self.n_frames = 0
        self._species = species
        self._wrapped = not unwrapped
        self._largest_step = LARGEST_UNWRAPPED_STEP if unwrapped else LARGEST_WRAPPED_STEP
        if not checked:
            self._largest_step = np.inf
        self._mobile = mobile
        self._names = sorted({*species.tolist()}, key=lambda name: (name != mobile, name))
        self._runs = _runs([self._names.index(name) for name in species.tolist()])
        self._n_mobile = int((species == mobile).sum())
        self._image = np.zeros((len(species), 3))
        self._last: NDArray[np.floating] = np.empty(0)
        self._last_cell = np.empty(0)
        self._start = np.empty(0)
        self._cells: list[FloatArray] = []
        self._sums: list[FloatArray] = []
        self._paths = _Paths()
        self._sample = _Sample(n_sample)

    def add(self, positions: NDArray[Any], cells: NDArray[Any]) -> None:
        if positions.shape[1] != len(self._species):
            raise AnalysisError(
                "species do not fit the positions",
                given=f"{len(self._species)} symbols for {positions.shape[1]} atoms",
                allowed="one element symbol for each atom",
            )
        boxes = as_frames(np.zeros((len(cells), 1, 3)), cells, self.n_frames)[1].copy()
        if positions.dtype != np.float32:
            positions = positions.astype(np.float64, copy=False)
        self._cells.append(boxes)
        if not self.n_frames and len(positions):
            self._start = as_frames(positions[0], boxes[0])[0][0].copy()
            self._sums.append(np.zeros((1, len(self._names), 3)))
            self._paths.add(np.zeros((1, self._n_mobile, 3)))
            self._sample.add(np.zeros(1, dtype=np.int64), self._start[None], boxes[:1])
            self._last, self._last_cell = positions[0].copy(), boxes[0]
            positions, boxes = positions[1:], boxes[1:]
            self.n_frames = 1
        if len(positions):
            self._move(np.ascontiguousarray(positions), boxes)
            self.n_frames += len(positions)

    def _move(self, positions: NDArray[np.floating], cells: FloatArray) -> None:
        from .passage_kernel import advance  # noqa: PLC0415  (numba is slow to import)

        numbers = np.arange(self.n_frames, self.n_frames + len(positions))
        wanted = numbers % self._sample.stride == 0
        kept = np.empty((int(wanted.sum()), *positions.shape[1:]))
        joined = np.concatenate([self._last_cell[None], cells])
        sums = np.empty((len(joined), len(self._names), 3))
        path = np.empty((len(joined), self._n_mobile, 3))
        sums[0], path[0] = self._sums[-1][-1], self._paths.last
        largest, frame, atom = advance(
            self._last.astype(positions.dtype, copy=False),
            positions,
            joined,
            np.linalg.inv(joined).astype(np.float64, copy=False),
            self._runs,
            self._wrapped,
            self._image,
            sums,
            path,
            np.where(wanted, np.cumsum(wanted) - 1, -1),
            kept,
        )
        if not largest <= self._largest_step:
            as_frames(positions, cells, self.n_frames)  # says so where a number is not finite
            after = self.n_frames + frame - 1
            raise ambiguous_step(largest, atom, after, unwrapped=not self._wrapped)
        self._last, self._last_cell = positions[-1].copy(), cells[-1]
        self._sums.append(sums[1:])
        self._paths.add(path[1:])
        self._sample.add(numbers[wanted], kept, cells[wanted])

    def finish(self) -> Passage:
        if not self.n_frames:
            raise AnalysisError("a trajectory has no frames", given="0 frames")
        sums = np.concatenate(self._sums)
        sample, sample_cells, frames = self._sample.taken()
        return Passage(
            species=self._species,
            mobile_species=self._mobile,
            start_a=self._start,
            path_a=self._paths.joined(),
            sums_a={name: sums[:, i] for i, name in enumerate(self._names)},
            cells_a=np.concatenate(self._cells),
            sample_a=sample,
            sample_cells_a=sample_cells,
            sample_frames=frames,
        )


def _runs(numbers: list[int]) -> NDArray[np.int64]:
    """Return (number, first, end) of each stretch of equal numbers, by number."""
    change = np.flatnonzero(np.diff(numbers, prepend=-1))
    ends = np.append(change[1:], len(numbers))
    runs = sorted(
        (numbers[first], int(first), int(end)) for first, end in zip(change, ends, strict=True)
    )
    return np.array(runs, dtype=np.int64)


class _Paths:
    """Paths as they come, in a few large arrays, which go back to the system when freed."""

    def __init__(self) -> None:
        self._chunks: list[NDArray[np.floating]] = []
        self._n_in_last = 0
        self._n_frames = 0
        self._type: type[np.floating] = np.float64
        self.last = np.empty(0)

    def add(self, block: FloatArray) -> None:
        self.last = block[-1].copy()
        self._n_frames += len(block)
        if self._type is np.float64 and self._n_frames * block[0].size > _FLOAT64_VALUES:
            self._type = np.float32
            for number, chunk in enumerate(self._chunks):
                self._chunks[number] = chunk.astype(np.float32)
        while len(block):
            if not self._chunks or self._n_in_last == len(self._chunks[-1]):
                n_rows = max(1, _CHUNK_VALUES // max(1, block[0].size))
                self._chunks.append(np.empty((n_rows, *block.shape[1:]), dtype=self._type))
                self._n_in_last = 0
            part = block[: len(self._chunks[-1]) - self._n_in_last]
            self._chunks[-1][self._n_in_last : self._n_in_last + len(part)] = part
            self._n_in_last += len(part)
            block = block[len(part) :]

    def joined(self) -> NDArray[np.floating]:
        """Return one array; the chunks are given back on the way."""
        whole = np.empty((self._n_frames, *self._chunks[0].shape[1:]), dtype=self._type)
        at = 0
        self._chunks.reverse()
        while self._chunks:
            chunk = self._chunks.pop()[: self._n_frames - at]
            whole[at : at + len(chunk)] = chunk
            at += len(chunk)
        return whole


class _Sample:
    """Keeps evenly spaced frames of a series of unknown length."""

    def __init__(self, least: int) -> None:
        self.stride = 1
        self._least = least
        self._kept: list[tuple[int, FloatArray, FloatArray]] = []

    def add(self, numbers: NDArray[np.int64], positions: FloatArray, cells: FloatArray) -> None:
        """Keep those of the frames that lie on the stride, which grows as they come."""
        for number, frame, cell in zip(numbers.tolist(), positions, cells, strict=True):
            if number % self.stride:
                continue
            self._kept.append((number, frame.copy(), cell.copy()))
            if len(self._kept) > 2 * self._least:
                self._kept = self._kept[::2]
                self.stride *= 2

    def taken(self) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
        """Return positions, cells and frame numbers."""
        numbers, positions, cells = zip(*self._kept, strict=True)
        return np.stack(positions), np.stack(cells), np.array(numbers)
