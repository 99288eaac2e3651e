"""Continuous shape measures of six-fold coordination, compiled."""

from __future__ import annotations

from functools import cache
from itertools import permutations
from math import acos, cos, pi, sqrt
from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from .frames import FloatArray, IntArray

_SAME = 1e-6
_DEGENERATE = 1e-12

OCTAHEDRON: FloatArray = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float64
)
"""Vertices of a regular octahedron, (6, 3), at distance 1."""


def _prism() -> FloatArray:
    angles = 2.0 * np.pi * np.arange(3) / 3.0
    radius, half_edge = 2.0 / sqrt(7.0), sqrt(3.0 / 7.0)
    rows = [
        [radius * np.cos(a), radius * np.sin(a), z] for z in (half_edge, -half_edge) for a in angles
    ]
    return np.array(rows)


TRIGONAL_PRISM: FloatArray = _prism()
"""Vertices of a trigonal prism with square sides, (6, 3), at distance 1."""


@cache
def assignments(shape: str) -> IntArray:
    """Return one vertex order of each kind: those not turned into each other by symmetry."""
    vertices = OCTAHEDRON if shape == "octahedron" else TRIGONAL_PRISM
    gram = vertices @ vertices.T
    orders = list(permutations(range(6)))
    symmetries = [
        order for order in orders if np.abs(gram[np.ix_(order, order)] - gram).max() < _SAME
    ]
    seen: set[tuple[int, ...]] = set()
    kept = []
    for order in orders:
        if order not in seen:
            kept.append(order)
            seen.update(tuple(symmetry[k] for k in order) for symmetry in symmetries)
    return np.array(kept, dtype=np.int64)


@numba.njit(cache=True)
def _nuclear_norm(h: FloatArray) -> float:
    """Return the sum of the singular values of a (3, 3) matrix, from those of h^T h."""
    a = h.T @ h
    off = a[0, 1] ** 2 + a[0, 2] ** 2 + a[1, 2] ** 2
    mean = (a[0, 0] + a[1, 1] + a[2, 2]) / 3.0
    spread = (a[0, 0] - mean) ** 2 + (a[1, 1] - mean) ** 2 + (a[2, 2] - mean) ** 2 + 2.0 * off
    if spread <= _DEGENERATE * mean * mean:
        return float(3.0 * sqrt(mean))
    p = sqrt(spread / 6.0)
    b = a.copy()
    for k in range(3):
        b[k, k] -= mean
    det = (
        b[0, 0] * (b[1, 1] * b[2, 2] - b[1, 2] * b[2, 1])
        - b[0, 1] * (b[1, 0] * b[2, 2] - b[1, 2] * b[2, 0])
        + b[0, 2] * (b[1, 0] * b[2, 1] - b[1, 1] * b[2, 0])
    )
    angle = acos(min(1.0, max(-1.0, det / (2.0 * p**3)))) / 3.0
    largest = mean + 2.0 * p * cos(angle)
    smallest = mean + 2.0 * p * cos(angle + 2.0 * pi / 3.0)
    middle = 3.0 * mean - largest - smallest
    return sqrt(max(largest, 0.0)) + sqrt(max(middle, 0.0)) + sqrt(max(smallest, 0.0))


@numba.njit(cache=True)
def shape_measures(bonds: FloatArray, vertices: FloatArray, orders: IntArray) -> FloatArray:
    """Return the continuous shape measure of each polyhedron against one ideal shape.

    Parameters
    ----------
    bonds
        From the centre to six ligands, A, shape (n, 6, 3).
    vertices
        Of the ideal shape about its centre, shape (6, 3).
    orders
        Vertex orders to try, shape (n_orders, 6).

    Returns
    -------
    FloatArray
        Shape (n,): 0 for the ideal shape, at most 100.
    """
    found = np.empty(len(bonds))
    ideal = np.square(vertices).sum()
    for i in range(len(bonds)):
        centre = bonds[i].sum(axis=0) / 7.0
        size = np.square(bonds[i] - centre).sum() + np.square(centre).sum()
        best = 0.0
        for order in orders:
            h = np.zeros((3, 3))
            for k in range(6):
                for x in range(3):
                    for y in range(3):
                        h[x, y] += bonds[i, k, x] * vertices[order[k], y]
            best = max(best, _nuclear_norm(h))
        found[i] = 100.0 * (1.0 - best * best / (size * ideal))
    return found
