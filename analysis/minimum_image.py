"""Shortest distances between the periodic images of points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
from ase.geometry import minkowski_reduce

if TYPE_CHECKING:
    from .frames import FloatArray


def smallest_height_a(cell: FloatArray) -> float:
    """Return the smallest distance between opposite faces of a cell, A."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    return float(heights.min())


def distance_matrix(positions: FloatArray, cell: FloatArray) -> FloatArray:
    """Return the shortest distance between any images of each two points.

    The cell is Minkowski-reduced first, after which the shortest vector lies within one cell
    of the nearest integers, however skewed the cell was.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_points, 3).
    cell
        Row vectors, A, shape (3, 3).

    Returns
    -------
    FloatArray
        A, shape (n_points, n_points), symmetric with a zero diagonal.
    """
    reduced = np.ascontiguousarray(minkowski_reduce(cell)[0], dtype=np.float64)
    return _distances(positions @ np.linalg.inv(reduced), reduced)


@numba.njit(cache=True)
def _distances(fractional: FloatArray, cell: FloatArray) -> FloatArray:
    n_points = len(fractional)
    images = np.empty((27, 3))
    index = 0
    for i in range(-1, 2):
        for j in range(-1, 2):
            for k in range(-1, 2):
                for axis in range(3):
                    images[index, axis] = i * cell[0, axis] + j * cell[1, axis] + k * cell[2, axis]
                index += 1
    distances = np.zeros((n_points, n_points))
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
            distances[first, second] = distances[second, first] = np.sqrt(best)
    return distances
