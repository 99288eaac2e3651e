"""Connected sets of atoms in a periodic box, by union-find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from .region_kernels import root_of

if TYPE_CHECKING:
    from .frames import BoolArray, IntArray


@numba.njit(cache=True)
def find_sets(
    first: IntArray, second: IntArray, image: IntArray, n_atoms: int
) -> tuple[IntArray, BoolArray]:
    """Return the set each atom belongs to, and which sets reach their own periodic image.

    Each atom carries the whole cells between it and its parent, so that a set is known to be
    endless when a link closes a ring that does not return to the same cell.

    Parameters
    ----------
    first, second
        Linked atoms, shape (n_links,).
    image
        Whole cells to add to the second atom, shape (n_links, 3).
    n_atoms
        Number of atoms.

    Returns
    -------
    tuple
        An atom that stands for the set of each atom, shape (n_atoms,), and whether the set it
        stands for is endless, same shape.
    """
    parent = np.arange(n_atoms)
    offset = np.zeros((n_atoms, 3), dtype=np.int32)
    endless = np.zeros(n_atoms, dtype=np.bool_)
    here = np.zeros(3, dtype=np.int64)
    there = np.zeros(3, dtype=np.int64)
    for link in range(len(first)):
        root = root_of(parent, offset, first[link], here)
        other = root_of(parent, offset, second[link], there)
        apart = here + image[link] - there
        if root != other:
            parent[other] = root
            offset[other] = apart
            endless[root] |= endless[other]
        elif (apart != 0).any():
            endless[root] = True
    for atom in range(n_atoms):
        parent[atom] = root_of(parent, offset, atom, here)
        offset[atom] = here
    return parent, endless
