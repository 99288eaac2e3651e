"""The inner loops of :mod:`.host_paths` and :mod:`.density`; numba is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frames import BoolArray, FloatArray


@numba.njit(cache=True)
def follow(  # noqa: PLR0917  (compiled: positional)
    frames: FloatArray,
    inverse: FloatArray,
    mobile: BoolArray,
    framework: BoolArray,
    unwrapped: bool,  # noqa: FBT001  (compiled: positional)
    previous: FloatArray,
    now: FloatArray,
    out: NDArray[np.float32],
) -> float:
    """Advance `previous` (all atoms) and `now` (mobile ions); return the largest step."""
    n_frames, n_atoms, _ = frames.shape
    n_framework = framework.sum()
    step = np.empty((n_atoms, 3))
    largest = 0.0
    for frame in range(n_frames):
        drift = np.zeros(3)
        for atom in range(n_atoms):
            x, y, z = frames[frame, atom]
            for k in range(3):
                value = x * inverse[frame, 0, k]
                value += y * inverse[frame, 1, k]
                value += z * inverse[frame, 2, k]
                moved = value - previous[atom, k]
                if not unwrapped:
                    moved -= np.rint(moved)
                previous[atom, k] = value
                step[atom, k] = moved
                largest = max(largest, abs(moved))
                if framework[atom]:
                    drift[k] += moved
        if n_framework > 0:
            drift /= n_framework
        ion = 0
        for atom in range(n_atoms):
            if mobile[atom]:
                for k in range(3):
                    now[ion, k] += step[atom, k] - drift[k]
                    out[frame, ion, k] = now[ion, k]
                ion += 1
    return largest


@numba.njit(cache=True)
def count_voxels(fractional: NDArray[np.float32], counts: NDArray[np.uint32]) -> None:
    """Add each ion and frame to its voxel in the block of the frame."""
    n_frames, n_ions, _ = fractional.shape
    n_blocks, n_a, n_b, n_c = counts.shape
    for frame in range(n_frames):
        block = frame * n_blocks // n_frames
        for ion in range(n_ions):
            a, b, c = fractional[frame, ion]
            i = int((a - np.floor(a)) * n_a)
            j = int((b - np.floor(b)) * n_b)
            k = int((c - np.floor(c)) * n_c)
            counts[block, i % n_a, j % n_b, k % n_c] += 1
