"""The inner loop of :mod:`.passage`; imported when used, since numba is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frames import FloatArray, IntArray

_SHORT = 0.45


@numba.njit(cache=True, error_model="numpy")
def advance(  # noqa: PLR0917  (numba takes no keywords)
    before: NDArray[np.floating],
    positions: NDArray[np.floating],
    cells: FloatArray,
    inverses: FloatArray,
    runs: IntArray,
    wrapped: bool,  # noqa: FBT001  (idem)
    image: FloatArray,
    sums: FloatArray,
    path: FloatArray,
    row: IntArray,
    kept: FloatArray,
) -> tuple[float, int, int]:
    """Move on through a block of frames.

    Where the cell stays as it was, a step shorter than any to a farther image is the plain
    difference. Otherwise fractions are compared and mapped with the later cell.

    Parameters
    ----------
    before, positions
        The frame before the block, (n_atoms, 3), and the block, (n, n_atoms, 3), of one type.
    cells, inverses
        Of the frame before and the block, (n + 1, 3, 3).
    runs
        Consecutive atoms of one species: number of the species, first atom and end, (n_runs,
        3); the mobile species is number 0 and comes first.
    wrapped
        Whether to take the nearest image.
    image
        Whole cells to add to a position as read to make it continuous, (n_atoms, 3); brought
        up to date.
    sums, path
        Row 0 as it stands before the block; rows 1 to n are filled: (n + 1, n_species, 3) and
        (n + 1, n_mobile, 3), relative to the mean of all but the mobile species.
    row, kept
        For each frame the row of `kept` (n_kept, n_atoms, 3) that its continuous positions
        go to, or -1.

    Returns
    -------
    tuple
        Largest fractional step that was looked at, its frame and atom in the block; infinite
        where a position is not finite.
    """
    n_mobile = path.shape[1]
    n_framework = len(before) - n_mobile
    steps = np.empty((n_mobile, 3))
    step = np.empty(3)
    largest, at_frame, at_atom = 0.0, 0, 0
    for frame in range(1, len(positions) + 1):
        last = before if frame == 1 else positions[frame - 2]
        now = positions[frame - 1]
        square = _short_square(cells[frame - 1], cells[frame], inverses[frame])
        drift_x, drift_y, drift_z = 0.0, 0.0, 0.0
        sums[frame] = sums[frame - 1]
        ion = 0
        for species, first, end in runs:
            sum_x, sum_y, sum_z = 0.0, 0.0, 0.0
            for atom in range(first, end):
                x = np.float64(now[atom, 0]) - last[atom, 0]
                y = np.float64(now[atom, 1]) - last[atom, 1]
                z = np.float64(now[atom, 2]) - last[atom, 2]
                if not x * x + y * y + z * z < square:
                    size = _long_step(last, now, atom, inverses, cells, frame, wrapped, image, step)
                    x, y, z = step[0], step[1], step[2]
                    if size > largest:
                        largest, at_frame, at_atom = size, frame - 1, atom
                sum_x += x
                sum_y += y
                sum_z += z
                if ion < n_mobile:
                    steps[ion, 0] = x
                    steps[ion, 1] = y
                    steps[ion, 2] = z
                    ion += 1
            sums[frame, species, 0] += sum_x
            sums[frame, species, 1] += sum_y
            sums[frame, species, 2] += sum_z
            if species > 0 or n_mobile == 0:
                drift_x += sum_x / n_framework
                drift_y += sum_y / n_framework
                drift_z += sum_z / n_framework
        for ion in range(n_mobile):
            path[frame, ion, 0] = path[frame - 1, ion, 0] + steps[ion, 0] - drift_x
            path[frame, ion, 1] = path[frame - 1, ion, 1] + steps[ion, 1] - drift_y
            path[frame, ion, 2] = path[frame - 1, ion, 2] + steps[ion, 2] - drift_z
        if row[frame - 1] >= 0:
            _keep(now, image, cells[frame], kept[row[frame - 1]])
    return largest, at_frame, at_atom


@numba.njit(cache=True, error_model="numpy")
def _short_square(before: FloatArray, cell: FloatArray, inverse: FloatArray) -> float:
    """Return the square of a length with a fraction below 0.45, or -1 where the cell changes."""
    thinnest = 0.0
    for axis in range(3):
        square = 0.0
        for k in range(3):
            square += inverse[k, axis] ** 2
            if before[axis, k] != cell[axis, k]:
                return -1.0
        thinnest = max(thinnest, square)
    return _SHORT**2 / thinnest


@numba.njit(cache=True, error_model="numpy")
def _long_step(  # noqa: PLR0917  (numba takes no keywords)
    last: NDArray[np.floating],
    now: NDArray[np.floating],
    atom: int,
    inverses: FloatArray,
    cells: FloatArray,
    frame: int,
    wrapped: bool,  # noqa: FBT001  (idem)
    image: FloatArray,
    step: FloatArray,
) -> float:
    """Write the step of an atom to `step`; return its largest fraction."""
    largest = 0.0
    step[:] = 0.0
    for axis in range(3):
        fraction = 0.0
        for k in range(3):
            fraction += now[atom, k] * inverses[frame, k, axis]
            fraction -= last[atom, k] * inverses[frame - 1, k, axis]
        if wrapped:
            whole = np.rint(fraction)
            fraction -= whole
            image[atom, axis] -= whole
        if not abs(fraction) < np.inf:
            return np.inf
        largest = max(largest, abs(fraction))
        for k in range(3):
            step[k] += fraction * cells[frame, axis, k]
    return largest


@numba.njit(cache=True, error_model="numpy")
def _keep(now: NDArray[np.floating], image: FloatArray, cell: FloatArray, kept: FloatArray) -> None:
    for atom in range(len(now)):
        for k in range(3):
            kept[atom, k] = now[atom, k]
            for axis in range(3):
                kept[atom, k] += image[atom, axis] * cell[axis, k]
