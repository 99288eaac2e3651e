"""The way of least resistance of an ion through the density that a run has left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

if TYPE_CHECKING:
    from .frames import FloatArray, IntArray

_SMOOTHING_A: Final = 0.4
_REACH: Final = 0.75
"""Of the hop, around its middle; voxels farther away are left out."""
_LEAST_REACH_A: Final = 2.5
_UNSEEN: Final = 0.5
"""Counts of a voxel that no ion was seen in."""
_N_SMOOTHINGS: Final = 4
_LEAST_SHARE: Final = 1.0
"""Both ends must be as dense as the cell on average, or the density is of other sites."""


def least_resistance_route(
    counts: FloatArray | IntArray,
    cell: FloatArray,
    start: FloatArray,
    displacement: FloatArray,
    n: int,
) -> FloatArray | None:
    """Return `n` places at equal distances along the way of least resistance, ends included.

    The resistance of a way is the integral of ds / density along it, which is that of diffusion
    over the free energy -kT ln(density). It is searched on the voxels within 0.75 of the hop's
    length (at least 2.5 A) of its middle.

    Parameters
    ----------
    counts
        Visits of the ions, shape (n_a, n_b, n_c); voxel (i, j, k) is centred at
        (i + 1/2, j + 1/2, k + 1/2) / shape.
    cell
        Row vectors, A, shape (3, 3).
    start, displacement
        In fractions, shape (3,).
    n
        Places to return.

    Returns
    -------
    FloatArray or None
        In fractions, shape (n, 3), continuous from `start` to `start + displacement`; ``None``
        where the density is thinner at an end than on average: it is not that of these sites.
    """
    shape = np.array(counts.shape)
    width = _SMOOTHING_A * shape / np.linalg.norm(cell, axis=1)
    density = ndimage.gaussian_filter(counts.astype(float), width, mode="wrap")
    middle = start + displacement / 2
    reach = max(_REACH * float(np.linalg.norm(displacement @ cell)), _LEAST_REACH_A)
    half = np.ceil(reach * shape * np.linalg.norm(np.linalg.inv(cell), axis=0)).astype(int)
    centre = np.floor(middle * shape).astype(int)
    axes = [np.arange(c - h, c + h + 1) for c, h in zip(centre, half, strict=True)]
    voxels = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    places = (voxels + 0.5) / shape
    seen = density[tuple(np.moveaxis(voxels % shape, -1, 0))]
    ends = [_voxel(end, shape, centre - half) for end in (start, start + displacement)]
    if min(seen[tuple(end)] for end in ends) < _LEAST_SHARE * density.mean():
        return None
    near = np.linalg.norm((places - middle) @ cell, axis=-1) <= reach
    resistance = np.where(near, 1.0 / (seen + _UNSEEN * density[density > 0].min()), np.inf)
    for end in ends:
        resistance[tuple(end)] = 1.0 / seen[tuple(end)]
    way = _shortest(resistance, cell / shape[:, None], *ends)
    route = np.vstack([start, places.reshape(-1, 3)[way[1:-1]], start + displacement])
    return _evenly(route, cell, n)


def _voxel(place: FloatArray, shape: IntArray, corner: IntArray) -> IntArray:
    index: IntArray = np.floor(place * shape).astype(int) - corner
    return index


def _shortest(
    resistance: FloatArray, steps: FloatArray, first: IntArray, last: IntArray
) -> list[int]:
    """Return the flat indices of the way between two voxels over all 26 neighbours."""
    number = np.arange(resistance.size).reshape(resistance.shape)
    rows, columns, weights = [], [], []
    moves = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T
    for move in moves[moves @ [9, 3, 1] > 0]:
        here, there = (_moved(sign * move, number.shape) for sign in (-1, 1))
        mean = 0.5 * (resistance[here] + resistance[there]).ravel()
        open_ = np.isfinite(mean)
        rows.append(number[here].ravel()[open_])
        columns.append(number[there].ravel()[open_])
        weights.append(mean[open_] * np.linalg.norm(move @ steps))
    graph = coo_array(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))),
        shape=(resistance.size, resistance.size),
    )
    source, target = int(number[tuple(first)]), int(number[tuple(last)])
    origin = np.array([source])
    _, before = dijkstra(graph.tocsr(), directed=False, indices=origin, return_predecessors=True)
    way = [target]
    while way[-1] != source:
        way.append(int(before[0, way[-1]]))
    return way[::-1]


def _moved(move: IntArray, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the part of a grid that is still on it after a move by one voxel."""
    return tuple(
        slice(max(0, m), n - max(0, -m)) for m, n in zip(move.tolist(), shape, strict=True)
    )


def _evenly(route: FloatArray, cell: FloatArray, n: int) -> FloatArray:
    """Return `n` places at equal distances along a smoothed route."""
    smooth = route.copy()
    for _ in range(_N_SMOOTHINGS):
        smooth[1:-1] = 0.25 * smooth[:-2] + 0.5 * smooth[1:-1] + 0.25 * smooth[2:]
    lengths = np.linalg.norm(np.diff(smooth @ cell, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.linspace(0.0, along[-1], n)
    return np.column_stack([np.interp(at, along, smooth[:, k]) for k in range(3)])
