"""Periodic neighbours in cells of any shape and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .frames import BoolArray, FloatArray, IntArray

_FIRST_RADIUS_A = 3.5
_LARGEST_RADIUS_A = 30.0


@dataclass(frozen=True, slots=True)
class Pairs:
    """All ordered pairs of atoms, images included, within a cutoff.

    Attributes
    ----------
    first, second
        Atom indices, shape (n_pairs,); each pair stands in both orders.
    distance_a
        A, shape (n_pairs,).
    """

    first: IntArray
    second: IntArray
    distance_a: FloatArray


def pairs_within(positions: FloatArray, cell: FloatArray, cutoff_a: float) -> Pairs:
    """Return all pairs closer than a cutoff, which may exceed the cell.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_atoms, 3).
    cell
        Row vectors, A, shape (3, 3).
    cutoff_a
        Largest distance, A.
    """
    from vesin import NeighborList  # noqa: PLC0415  (imports torch where that is installed)

    neighbours = NeighborList(cutoff=float(cutoff_a), full_list=True)
    first, second, distance = neighbours.compute(
        points=np.ascontiguousarray(positions),
        box=np.ascontiguousarray(cell),
        periodic=True,
        quantities="ijd",
    )
    return Pairs(first.astype(np.int64), second.astype(np.int64), distance)


@dataclass(frozen=True, slots=True)
class PairVectors(Pairs):
    """Pairs and the way from the first atom to the image of the second.

    Attributes
    ----------
    vector_a
        A, shape (n_pairs, 3).
    """

    vector_a: FloatArray


def pair_vectors_within(positions: FloatArray, cell: FloatArray, cutoff_a: float) -> PairVectors:
    """Return all pairs closer than a cutoff with their vectors; see :func:`pairs_within`."""
    from vesin import NeighborList  # noqa: PLC0415  (imports torch where that is installed)

    neighbours = NeighborList(cutoff=float(cutoff_a), full_list=True)
    first, second, distance, vector = neighbours.compute(
        points=np.ascontiguousarray(positions),
        box=np.ascontiguousarray(cell),
        periodic=True,
        quantities="ijdD",
    )
    return PairVectors(first.astype(np.int64), second.astype(np.int64), distance, vector)


def nearest_distance_a(
    positions: FloatArray, cell: FloatArray, centre: BoolArray, partner: BoolArray | None = None
) -> FloatArray:
    """Return the distance from each centre atom to its nearest partner.

    Parameters
    ----------
    positions, cell
        As in :func:`pairs_within`.
    centre, partner
        Boolean masks (n_atoms,); a partner is by default any atom.

    Returns
    -------
    FloatArray
        A, shape (n_centre,); infinite where there is none within 30 A.
    """
    radius = _FIRST_RADIUS_A
    while True:
        pairs = pairs_within(positions, cell, radius)
        nearest = np.full(len(positions), np.inf)
        kept = slice(None) if partner is None else partner[pairs.second]
        np.minimum.at(nearest, pairs.first[kept], pairs.distance_a[kept])
        found: FloatArray = nearest[centre]
        if np.isfinite(found).all() or radius >= _LARGEST_RADIUS_A:
            return found
        radius = min(2.0 * radius, _LARGEST_RADIUS_A)
