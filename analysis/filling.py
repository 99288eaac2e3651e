"""How a landscape fills: where its regions join, and when one reaches its own image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .frames import IntArray


@dataclass(frozen=True, slots=True)
class Filling:
    """How a landscape fills, voxel by voxel from the lowest; levels are ranks in that order.

    Attributes
    ----------
    percolation_rank
        Rank of the voxel that first makes a region reach its own periodic image along a, b
        and c, shape (3,); -1 where none does.
    bottom_rank
        Rank of the lowest voxel of that region, shape (3,).
    merge_rank
        Ranks at which regions with seeds met, increasing, shape (n_merges,).
    merge_pairs
        Two seeds, one of each region, shape (n_merges, 2).
    """

    percolation_rank: IntArray
    bottom_rank: IntArray
    merge_rank: IntArray
    merge_pairs: IntArray


def fill(order: IntArray, shape: tuple[int, int, int], seeds: IntArray) -> Filling:
    """Fill voxels in an order and record where regions join (union-find).

    Voxels touch by their six faces, periodically. Each region carries the lattice translation
    of its voxels to its root, so that a region is known to percolate when it meets itself
    with another translation.

    Parameters
    ----------
    order
        Flat indices of the voxels to fill, lowest first, shape (n_filled,).
    shape
        Voxels along a, b and c.
    seeds
        Flat indices of the voxels that stand for sites, shape (n_sites,).
    """
    from .region_kernels import fill_voxels  # noqa: PLC0415  (numba is slow to import)

    n_merges = max(len(seeds) - 1, 0)
    found = fill_voxels(order, np.array(shape, dtype=np.int64), seeds, n_merges)
    percolation, bottom, ranks, pairs, n_found = found
    return Filling(percolation, bottom, ranks[:n_found], pairs[:n_found])
