"""Checked arrays: what every function of the room accepts as positions, cells and species."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

_MIN_VOLUME_A3 = 1e-6
_COORDINATES_PER_BLOCK = 3_000_000


def as_trajectory(positions: ArrayLike, cells: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return positions and cells with one entry for each frame, their shapes checked.

    What has a shape and slices, as a memory map, is not read. Parameters and errors are those
    of :func:`as_frames`.
    """
    frames: NDArray[Any] = (
        cast("NDArray[Any]", positions) if hasattr(positions, "shape") else np.asarray(positions)
    )
    boxes = np.asarray(cells)
    if len(frames.shape) == 2:  # noqa: PLR2004  (a matrix: one frame)
        frames = frames[None]
    if len(frames.shape) != 3 or frames.shape[-1] != 3 or frames.shape[1] == 0:  # noqa: PLR2004  (space)
        raise AnalysisError(
            "positions do not have the shape of a trajectory",
            given=f"shape {np.shape(positions)}",
            allowed="(n_frames, n_atoms, 3) with at least one atom",
        )
    if boxes.shape == (3, 3):
        boxes = np.broadcast_to(boxes, (len(frames), 3, 3))
    if boxes.shape != (len(frames), 3, 3):
        raise AnalysisError(
            "cells do not fit the positions",
            given=f"cells of shape {np.shape(cells)} for {len(frames)} frames",
            allowed="(n_frames, 3, 3), or (3, 3) for a constant cell",
        )
    return frames, boxes


def as_frames(
    positions: ArrayLike, cells: ArrayLike, first_frame: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Return positions and cells of a trajectory as float64, checked against each other.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3); a single frame (n_atoms, 3) counts as one.
    cells
        Row vectors, A, shape (n_frames, 3, 3), or (3, 3) for a constant cell.
    first_frame
        Number of the first frame, for messages about a part of a trajectory.

    Returns
    -------
    tuple
        Positions (n_frames, n_atoms, 3) and cells (n_frames, 3, 3).

    Raises
    ------
    AnalysisError
        For shapes that do not fit, values that are not finite, or a cell without volume.
    """
    any_frames, any_boxes = as_trajectory(positions, cells)
    frames = np.asarray(any_frames, dtype=np.float64)
    boxes = np.asarray(any_boxes, dtype=np.float64)
    for name, values in (("positions", frames), ("cells", boxes)):
        if not np.isfinite(values).all():
            frame = first_frame + int(np.argwhere(~np.isfinite(values))[0, 0])
            raise AnalysisError(
                f"{name} contain values that are not finite",
                given=f"NaN or infinity, first in frame {frame}",
                remedy="cut the trajectory before that frame",
            )
    if len(boxes) and np.abs(np.linalg.det(boxes)).min() < _MIN_VOLUME_A3:
        raise AnalysisError(
            "a cell has no volume",
            given=f"smallest volume {np.abs(np.linalg.det(boxes)).min():.3g} A3",
            remedy="pass the three cell vectors as rows, in angstrom",
        )
    return frames, boxes


def frame_blocks(
    positions: ArrayLike, cells: ArrayLike, n_coordinates: int = _COORDINATES_PER_BLOCK
) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """Walk over a long trajectory in blocks of frames, so that no copy of all of it is made.

    Parameters
    ----------
    positions, cells
        As in :func:`as_frames`; a memory map is read block by block.
    n_coordinates
        Coordinates in a block, about.

    Yields
    ------
    tuple
        Number of the first frame, positions (n, n_atoms, 3) and cells (n, 3, 3) of the block.

    Raises
    ------
    AnalysisError
        As in :func:`as_frames`.
    """
    frames, boxes = as_trajectory(positions, cells)
    per_block = max(1, n_coordinates // (3 * frames.shape[1]))
    for start in range(0, len(frames), per_block):
        part = slice(start, start + per_block)
        yield start, *as_frames(frames[part], boxes[part], start)


def as_species(species: Sequence[str], n_atoms: int) -> NDArray[np.str_]:
    """Return element symbols as an array, one for each of `n_atoms` atoms."""
    symbols = np.asarray(species, dtype=np.str_)
    if symbols.shape != (n_atoms,):
        raise AnalysisError(
            "species do not fit the positions",
            given=f"{symbols.size} symbols for {n_atoms} atoms",
            allowed="one element symbol for each atom",
        )
    return symbols


def as_mask(mask: ArrayLike, n_atoms: int, name: str) -> BoolArray:
    """Return a boolean mask over atoms; `name` stands in the error."""
    flags = np.asarray(mask)
    if flags.shape != (n_atoms,) or flags.dtype != np.bool_:
        raise AnalysisError(
            f"the {name} mask does not fit the positions",
            given=f"shape {flags.shape}, type {flags.dtype}",
            allowed=f"{n_atoms} booleans, one for each atom",
        )
    return flags


def require_species(wanted: Sequence[str], species: NDArray[np.str_]) -> None:
    """Raise an :class:`AnalysisError` unless every symbol of `wanted` occurs in `species`."""
    missing = sorted(set(wanted) - set(species.tolist()))
    if missing:
        raise AnalysisError(
            "a species does not occur in the structure",
            given=missing,
            allowed=sorted(set(species.tolist())),
        )
