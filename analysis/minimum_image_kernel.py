"""The inner loop of :mod:`.minimum_image`; imported when used, since numba is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from .frames import FloatArray


@numba.njit(cache=True)
def distances(fractional: FloatArray, cell: FloatArray) -> FloatArray:
    """Return distances between nearest images; the cell is Minkowski-reduced."""
    n_points = len(fractional)
    images = np.empty((27, 3))
    index = 0
    for i in range(-1, 2):
        for j in range(-1, 2):
            for k in range(-1, 2):
                for axis in range(3):
                    images[index, axis] = i * cell[0, axis] + j * cell[1, axis] + k * cell[2, axis]
                index += 1
    matrix = np.zeros((n_points, n_points))
    nearest = np.empty(3)
    apart = np.empty(3)
    for first in range(n_points):
        for second in range(first + 1, n_points):
            for axis in range(3):
                value = fractional[second, axis] - fractional[first, axis]
                nearest[axis] = value - np.rint(value)
            for axis in range(3):
                apart[axis] = (
                    nearest[0] * cell[0, axis]
                    + nearest[1] * cell[1, axis]
                    + nearest[2] * cell[2, axis]
                )
            best = np.inf
            for image in range(27):
                x = apart[0] + images[image, 0]
                y = apart[1] + images[image, 1]
                z = apart[2] + images[image, 2]
                best = min(best, x * x + y * y + z * z)
            matrix[first, second] = matrix[second, first] = np.sqrt(best)
    return matrix
