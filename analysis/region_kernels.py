"""Regions of a periodic grid that grow and join; numba is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frames import FloatArray, IntArray


@numba.njit(cache=True)
def root_of(parent: IntArray, image: NDArray[np.int32], voxel: int, translation: IntArray) -> int:
    """Return the root of a voxel, and in `translation` its lattice translation from there."""
    translation[:] = 0
    node = voxel
    while parent[node] != node:
        up = parent[node]
        if parent[up] != up:  # path halving
            for k in range(3):
                image[node, k] += image[up, k]
            parent[node] = parent[up]
        for k in range(3):
            translation[k] += image[node, k]
        node = parent[node]
    return node


@numba.njit(cache=True)
def _attach(
    parent: IntArray, image: NDArray[np.int32], lower: int, upper: int, translation: IntArray
) -> None:
    parent[lower] = upper
    for k in range(3):
        image[lower, k] = translation[k]


@numba.njit(cache=True)
def _neighbour(voxel: int, face: int, shape: IntArray) -> tuple[int, int]:
    """Return the voxel across face 0 to 5 and the cell boundary crossed: -1, 0 or 1.

    Faces 2k and 2k + 1 lie up and down along axis k.
    """
    axis = face // 2
    stride = 1
    for later in range(axis + 1, 3):
        stride *= shape[later]
    place = (voxel // stride) % shape[axis]
    if face % 2 == 0:
        if place == shape[axis] - 1:
            return voxel - place * stride, 1
        return voxel + stride, 0
    if place == 0:
        return voxel + (shape[axis] - 1) * stride, -1
    return voxel - stride, 0


@numba.njit(cache=True)
def fill_voxels(  # noqa: C901  (compiled: one pass over the voxels)
    order: IntArray, shape: IntArray, seeds: IntArray, n_merges: int
) -> tuple[IntArray, IntArray, IntArray, IntArray, int]:
    """Return the fields of a :class:`~haloflow.analysis.filling.Filling` and its merges."""
    size = shape[0] * shape[1] * shape[2]
    parent = np.full(size, -1, dtype=np.int64)
    image = np.zeros((size, 3), dtype=np.int32)
    rank_of = np.zeros(size, dtype=np.int64)
    seed_of = np.full(size, -1, dtype=np.int64)
    for site in range(len(seeds)):
        seed_of[seeds[site]] = site
    percolation = np.full(3, -1, dtype=np.int64)
    bottom = np.full(3, -1, dtype=np.int64)
    ranks = np.empty(n_merges, dtype=np.int64)
    pairs = np.empty((n_merges, 2), dtype=np.int64)
    n_found = 0
    here = np.zeros(3, dtype=np.int64)
    there = np.zeros(3, dtype=np.int64)
    for rank in range(len(order)):
        voxel = order[rank]
        parent[voxel] = voxel
        rank_of[voxel] = rank
        for face in range(6):
            other, crossed = _neighbour(voxel, face, shape)
            if parent[other] < 0:
                continue
            mine = root_of(parent, image, voxel, here)
            theirs = root_of(parent, image, other, there)
            here[face // 2] += crossed
            if mine == theirs:
                for k in range(3):
                    if percolation[k] < 0 and here[k] != there[k]:
                        percolation[k] = rank
                        bottom[k] = rank_of[mine]
                continue
            if seed_of[mine] >= 0 and seed_of[theirs] >= 0:
                ranks[n_found] = rank
                pairs[n_found, 0] = seed_of[mine]
                pairs[n_found, 1] = seed_of[theirs]
                n_found += 1
            for k in range(3):
                here[k] -= there[k]
            if rank_of[mine] < rank_of[theirs]:
                _attach(parent, image, theirs, mine, here)
                seed_of[mine] = max(seed_of[mine], seed_of[theirs])
            else:
                _attach(parent, image, mine, theirs, -here)
                seed_of[theirs] = max(seed_of[mine], seed_of[theirs])
    return percolation, bottom, ranks, pairs, n_found


@numba.njit(cache=True)
def basins(
    density: FloatArray, order: IntArray, shape: IntArray, prominence: float
) -> tuple[IntArray, IntArray]:
    """Return the basin of each voxel and the voxel of each basin's peak (ToMATo).

    Chazal et al., J. ACM 60, 41 (2013): in the order of falling density each voxel joins the
    basin of its densest neighbour; of two basins that meet there, the one with the lower peak
    is merged into the other if that peak is less than `prominence` times as dense.

    Parameters
    ----------
    density
        Flat, shape (n_voxels,).
    order
        Flat indices by falling density, shape (n_filled,).
    shape
        Voxels along a, b and c, shape (3,).
    prominence
        Ratio of a peak to the saddle that makes it a basin of its own.

    Returns
    -------
    tuple
        The flat index of the peak of the basin each voxel belongs to, -1 where not filled,
        shape (n_voxels,); and those peaks, densest first.
    """
    size = shape[0] * shape[1] * shape[2]
    parent = np.full(size, -1, dtype=np.int64)
    around = np.empty(6, dtype=np.int64)
    for rank in range(len(order)):
        voxel = order[rank]
        best = _filled_around(voxel, density, parent, shape, around)
        if best < 0:
            parent[voxel] = voxel
            continue
        own = _peak(parent, best)
        parent[voxel] = own
        for face in range(6):
            if around[face] < 0:
                continue
            other = _peak(parent, around[face])
            low, high = (other, own) if density[other] <= density[own] else (own, other)
            if low != high and density[low] < prominence * density[voxel]:
                parent[low] = high
                own = high
    n_peaks = 0
    peaks = np.empty(len(order), dtype=np.int64)
    for rank in range(len(order)):
        voxel = order[rank]
        parent[voxel] = _peak(parent, voxel)
        if parent[voxel] == voxel:
            peaks[n_peaks] = voxel
            n_peaks += 1
    return parent, peaks[:n_peaks]


@numba.njit(cache=True)
def _filled_around(
    voxel: int, density: FloatArray, parent: IntArray, shape: IntArray, around: IntArray
) -> int:
    """Write the filled neighbours of a voxel, -1 for others, and return the densest."""
    best = -1
    for face in range(6):
        other, _ = _neighbour(voxel, face, shape)
        around[face] = -1
        if parent[other] >= 0:
            around[face] = other
            if best < 0 or density[other] > density[best]:
                best = other
    return best


@numba.njit(cache=True)
def _peak(parent: IntArray, voxel: int) -> int:
    while parent[voxel] != voxel:
        parent[voxel] = parent[parent[voxel]]
        voxel = parent[voxel]
    return voxel


@numba.njit(cache=True)
def passes(
    density: FloatArray, order: IntArray, basin: IntArray, shape: IntArray, n_sites: int
) -> FloatArray:
    """Return the density at the highest pass from each site to another; 0 without one."""
    highest = np.zeros(n_sites)
    for rank in range(len(order)):
        voxel = order[rank]
        own = basin[voxel]
        if own < 0:
            continue
        for face in range(6):
            other, _ = _neighbour(voxel, face, shape)
            if basin[other] >= 0 and basin[other] != own:
                level = min(density[voxel], density[other])
                highest[own] = max(highest[own], level)
    return highest
