"""The inner loop of :mod:`.passage`; imported when used, since numba is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from .frames import FloatArray, IntArray


@numba.njit(cache=True)
def advance(  # noqa: C901, PLR0912, PLR0917  (one loop over all coordinates; numba takes no keywords)
    positions: FloatArray,
    cells: FloatArray,
    inverses: FloatArray,
    fractional: FloatArray,
    continuous: FloatArray,
    kind: IntArray,
    slot: IntArray,
    wrapped: bool,  # noqa: FBT001  (idem)
    has_framework: bool,  # noqa: FBT001  (idem)
    sums: FloatArray,
    path: FloatArray,
    row: IntArray,
    kept: FloatArray,
) -> tuple[float, int, int]:
    """Move on through a block of frames.

    Parameters
    ----------
    positions, cells, inverses
        The block: (n, n_atoms, 3), (n, 3, 3) and inverse cells.
    fractional, continuous
        Fractional positions of the frame before, as read and without jumps, (n_atoms, 3);
        they become those of the last frame.
    kind
        Number of the species of each atom.
    slot
        Number of each mobile ion; -1 for the framework.
    wrapped
        Whether to take the nearest image.
    has_framework
        Whether there is a framework whose mean step is drift.
    sums, path
        Row 0 as it stands before the block; rows 1 to n are filled: (n + 1, n_species, 3) and
        (n + 1, n_mobile, 3).
    row, kept
        For each frame the row of `kept` (n_kept, n_atoms, 3) that its continuous positions
        go to, or -1.

    Returns
    -------
    tuple
        Largest fractional step, and its frame and atom in the block.
    """
    n_frames, n_atoms, _ = positions.shape
    n_framework = max(n_atoms - path.shape[1], 1)
    largest, at_frame, at_atom = 0.0, 0, 0
    step = np.empty(3)
    drift = np.empty(3)
    for frame in range(n_frames):
        inverse, cell = inverses[frame], cells[frame]
        sums[frame + 1] = sums[frame]
        drift[:] = 0.0
        for atom in range(n_atoms):
            x, y, z = (
                positions[frame, atom, 0],
                positions[frame, atom, 1],
                positions[frame, atom, 2],
            )
            for axis in range(3):
                now = x * inverse[0, axis] + y * inverse[1, axis] + z * inverse[2, axis]
                moved = now - fractional[atom, axis]
                fractional[atom, axis] = now
                if wrapped:
                    moved -= np.rint(moved)
                if abs(moved) > largest:
                    largest, at_frame, at_atom = abs(moved), frame, atom
                continuous[atom, axis] += moved
                step[axis] = moved
            for axis in range(3):
                moved = step[0] * cell[0, axis] + step[1] * cell[1, axis] + step[2] * cell[2, axis]
                sums[frame + 1, kind[atom], axis] += moved
                if slot[atom] >= 0:
                    path[frame + 1, slot[atom], axis] = path[frame, slot[atom], axis] + moved
                else:
                    drift[axis] += moved
        if row[frame] >= 0:
            kept[row[frame]] = continuous @ cell
        if has_framework:
            for axis in range(3):
                drift[axis] /= n_framework
            for ion in range(path.shape[1]):
                for axis in range(3):
                    path[frame + 1, ion, axis] -= drift[axis]
    return largest, at_frame, at_atom
