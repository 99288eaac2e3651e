"""Connected sets of atoms in a periodic box, by union-find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

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
    offset = np.zeros((n_atoms, 3), dtype=np.int64)
    endless = np.zeros(n_atoms, dtype=np.bool_)
    for link in range(len(first)):
        a, b = first[link], second[link]
        _flatten(parent, offset, a)
        _flatten(parent, offset, b)
        root, other = parent[a], parent[b]
        apart = offset[a] + image[link] - offset[b]
        if root != other:
            parent[other] = root
            offset[other] = apart
            endless[root] |= endless[other]
        elif (apart != 0).any():
            endless[root] = True
    for atom in range(n_atoms):
        _flatten(parent, offset, atom)
    return parent, endless


@numba.njit(cache=True)
def _flatten(parent: IntArray, offset: IntArray, atom: int) -> None:
    """Make the root of an atom its parent."""
    root = atom
    total = np.zeros(3, dtype=np.int64)
    while parent[root] != root:
        total += offset[root]
        root = parent[root]
    while parent[atom] != root and atom != root:
        up = parent[atom]
        own = offset[atom].copy()
        parent[atom] = root
        offset[atom] = total
        total -= own
        atom = up
