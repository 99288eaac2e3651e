"""The inner loops of :mod:`.van_hove`; imported when used, since numba is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frames import FloatArray, IntArray


@numba.njit(cache=True)
def count_self(  # noqa: PLR0917  (compiled: positional)
    fractional: NDArray[np.float32],
    cell: FloatArray,
    starts: IntArray,
    lag: int,
    width_a: float,
    counts: FloatArray,
    moments: FloatArray,
) -> None:
    """Add distances that ions have gone to `counts`, their powers 2 and 4 to `moments`."""
    n_blocks, n_bins = counts.shape
    moved = np.empty(3)
    for block in range(n_blocks):
        for start in starts[block]:
            for ion in range(fractional.shape[1]):
                for k in range(3):
                    moved[k] = fractional[start + lag, ion, k] - fractional[start, ion, k]
                square = _squared_length(moved, cell)
                moments[0] += square
                moments[1] += square * square
                counts[block, min(int(np.sqrt(square) / width_a), n_bins - 1)] += 1.0


@numba.njit(cache=True)
def count_others(  # noqa: PLR0917  (compiled: positional)
    fractional: NDArray[np.float32],
    cell: FloatArray,
    starts: IntArray,
    lag: int,
    width_a: float,
    counts: FloatArray,
) -> None:
    """Add distances from where each ion was to where the others are to `counts`."""
    n_blocks, n_bins = counts.shape
    n_ions = fractional.shape[1]
    apart = np.empty(3)
    limit = (n_bins * width_a) ** 2
    for block in range(n_blocks):
        for start in starts[block]:
            for first in range(n_ions):
                for second in range(n_ions):
                    if first == second:
                        continue
                    for k in range(3):
                        value = fractional[start + lag, second, k] - fractional[start, first, k]
                        apart[k] = value - np.rint(value)
                    square = _squared_length(apart, cell)
                    if square < limit:
                        counts[block, min(int(np.sqrt(square) / width_a), n_bins - 1)] += 1.0


@numba.njit(cache=True)
def _squared_length(fraction: FloatArray, cell: FloatArray) -> float:
    square = 0.0
    for k in range(3):
        length = fraction[0] * cell[0, k] + fraction[1] * cell[1, k] + fraction[2] * cell[2, k]
        square += length * length
    return square
