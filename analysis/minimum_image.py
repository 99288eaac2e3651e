"""Shortest distances between the periodic images of points."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from .minimum_image_kernel import distances  # noqa: PLC0415  (numba is slow to import)

    reduced = np.ascontiguousarray(minkowski_reduce(cell)[0], dtype=np.float64)
    shortest: FloatArray = distances(positions @ np.linalg.inv(reduced), reduced)
    return shortest
