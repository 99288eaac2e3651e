"""Continuous fractional coordinates of the mobile ions, at rest with their host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .displacement import displacement_steps
from .frames import FloatArray, as_frames, as_mask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from .frames import BoolArray

_COORDINATES_PER_BLOCK = 1_500_000
_LARGEST_WRAPPED_STEP = 0.45
_LARGEST_UNWRAPPED_STEP = 0.5
_SAME_CELL_A = 1e-4


@dataclass(frozen=True, slots=True)
class HostPaths:
    """Where the mobile ions are in their host.

    Attributes
    ----------
    fractional
        Continuous fractional coordinates, the host's drift taken out, float32, shape
        (n_frames, n_mobile, 3). Their fractional part tells the place in the cell.
    cell
        Mean cell, row vectors, A, shape (3, 3). Fractions times this cell are the Cartesian
        coordinates of all that is derived from them, so that a breathing cell moves nothing.
    """

    fractional: NDArray[np.float32]
    cell: FloatArray

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.fractional)

    @property
    def n_mobile(self) -> int:
        """Number of mobile ions."""
        return int(self.fractional.shape[1])


def host_paths(
    positions: ArrayLike,
    cells: ArrayLike,
    mobile: ArrayLike,
    framework: ArrayLike | None = None,
    *,
    unwrapped: bool = False,
    keep_drift: bool = False,
) -> HostPaths:
    """Return the paths of the mobile ions relative to their host.

    Arrays that lie on disk (memory maps) are read in blocks.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    mobile
        Boolean mask (n_atoms,) of the mobile ions.
    framework
        Boolean mask (n_atoms,) of the atoms whose mean motion, unweighted, is drift; default:
        all that are not mobile. Where that is no atom, nothing is subtracted.
    unwrapped
        Whether `positions` are continuous already.
    keep_drift
        Leave the drift in: coordinates of the laboratory.

    Raises
    ------
    AnalysisError
        If there is no mobile ion, no frame, or as in :func:`displacement_steps`.
    """
    frames, boxes = np.asarray(positions), np.asarray(cells)
    per_block = max(1, _COORDINATES_PER_BLOCK // max(1, frames[:1].size))
    are_many, cells_vary = frames.ndim == 3, boxes.ndim == 3  # noqa: PLR2004  (frames of a matrix)
    starts = range(0, len(frames) if are_many else 1, per_block)
    blocks = (
        (
            frames[start : start + per_block] if are_many else frames,
            boxes[start : start + per_block] if cells_vary else boxes,
        )
        for start in starts
    )
    return read_host_paths(blocks, mobile, framework, unwrapped=unwrapped, keep_drift=keep_drift)


def read_host_paths(
    blocks: Iterable[tuple[ArrayLike, ArrayLike]],
    mobile: ArrayLike,
    framework: ArrayLike | None = None,
    *,
    unwrapped: bool = False,
    keep_drift: bool = False,
) -> HostPaths:
    """Return the paths from consecutive blocks of (positions, cells); see :func:`host_paths`."""
    reader: HostPathReader | None = None
    for positions, cells in blocks:
        if reader is None:
            reader = HostPathReader(mobile, framework, unwrapped=unwrapped, keep_drift=keep_drift)
        reader.add(positions, cells)
    if reader is None:
        raise AnalysisError("the trajectory has no frames", remedy="check the file that was read")
    return reader.finish()


def in_constant_cell(start_a: ArrayLike, path_a: ArrayLike, cells: ArrayLike) -> HostPaths:
    """Return the paths from those of a :class:`~haloflow.analysis.passage.Passage`.

    Parameters
    ----------
    start_a
        Positions of the mobile ions in the first frame, A, shape (n_mobile, 3).
    path_a
        Their continuous paths relative to the framework, A, from the origin, shape
        (n_frames, n_mobile, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).

    Raises
    ------
    AnalysisError
        If the cell changes: steps mapped with each frame's cell do not add up to places then,
        and :func:`read_host_paths` has to follow the fractions.
    """
    boxes = np.asarray(cells, dtype=np.float64).reshape(-1, 3, 3)
    spread = float(np.ptp(boxes, axis=0).max())
    if spread > _SAME_CELL_A:
        raise AnalysisError(
            "places cannot be told from paths in a changing cell",
            given=f"cell vectors that vary by {spread:.3g} A",
            allowed=f"{_SAME_CELL_A:g} A",
            remedy="read the trajectory with read_host_paths",
        )
    frames = np.asarray(path_a)
    inverse = np.linalg.inv(boxes[0])
    start = np.asarray(start_a, dtype=np.float64) @ inverse
    fractional = np.empty(frames.shape, dtype=np.float32)
    per_block = max(1, _COORDINATES_PER_BLOCK // max(1, start.size))
    for first in range(0, len(frames), per_block):
        part = slice(first, first + per_block)
        fractional[part] = start + frames[part] @ inverse
    return HostPaths(fractional, boxes[0].copy())


class HostPathReader:
    """Follows the mobile ions block by block; see :func:`host_paths` for the parameters."""

    def __init__(
        self,
        mobile: ArrayLike,
        framework: ArrayLike | None = None,
        *,
        unwrapped: bool = False,
        keep_drift: bool = False,
    ) -> None:
        self._n_atoms = np.asarray(mobile).size
        self._mobile = as_mask(mobile, self._n_atoms, "mobile")
        if not self._mobile.any():
            raise AnalysisError(
                "there are no mobile ions",
                given=f"0 of {self._n_atoms} atoms are marked as mobile",
                remedy="check the name of the mobile species",
            )
        self._framework = _framework_mask(self._mobile, framework)
        if keep_drift:
            self._framework = np.zeros(self._n_atoms, dtype=np.bool_)
        self._unwrapped = unwrapped
        self._n_frames = 0
        self._last: tuple[FloatArray, FloatArray] | None = None
        self._previous = np.empty((self._n_atoms, 3))
        self._now = np.empty((int(self._mobile.sum()), 3))
        self._cell_sum = np.zeros((3, 3))
        self._blocks: list[NDArray[np.float32]] = []

    def add(self, positions: ArrayLike, cells: ArrayLike) -> None:
        """Follow the ions through the next frames."""
        from .host_kernels import follow  # noqa: PLC0415  (numba is slow to import)

        frames, boxes = as_frames(positions, cells, self._n_frames)
        as_mask(self._mobile, frames.shape[1], "mobile")
        if not len(frames):
            return
        inverse = np.linalg.inv(boxes).astype(np.float64)
        if self._last is None:
            self._previous = frames[0] @ inverse[0]
            self._now = self._previous[self._mobile]
        out = np.empty((len(frames), len(self._now), 3), dtype=np.float32)
        limit = _LARGEST_UNWRAPPED_STEP if self._unwrapped else _LARGEST_WRAPPED_STEP
        largest = follow(
            np.ascontiguousarray(frames),
            inverse,
            self._mobile,
            self._framework,
            self._unwrapped,
            self._previous,
            self._now,
            out,
        )
        if largest > limit:
            self._name_the_jump(frames, boxes)
        self._blocks.append(out)
        self._cell_sum += boxes.sum(axis=0)
        self._last = (frames[-1].copy(), boxes[-1].copy())
        self._n_frames += len(frames)

    def _name_the_jump(self, frames: FloatArray, boxes: FloatArray) -> None:
        joined, first = (frames, boxes), self._n_frames
        if self._last is not None:
            joined = (
                np.concatenate([self._last[0][None], frames]),
                np.concatenate([self._last[1][None], boxes]),
            )
            first -= 1
        displacement_steps(*joined, unwrapped=self._unwrapped, first_frame=first)

    def finish(self) -> HostPaths:
        """Return the paths read so far."""
        if not self._blocks:
            raise AnalysisError(
                "the trajectory has no frames", remedy="check the file that was read"
            )
        return HostPaths(np.concatenate(self._blocks), self._cell_sum / self._n_frames)


def _framework_mask(mobile: BoolArray, framework: ArrayLike | None) -> BoolArray:
    if framework is None:
        return ~mobile
    mask = as_mask(framework, len(mobile), "framework")
    if not mask.any():
        raise AnalysisError(
            "the framework has no atoms, so its drift is not defined",
            remedy="select at least one framework atom, or leave the drift in",
        )
    return mask
