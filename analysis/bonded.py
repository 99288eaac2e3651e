"""The bonded graph of many frames at once: centres, their ligands, and what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .frames import BoolArray, IntArray
    from .images import Contacts

MOST_LIGANDS = 63
"""Largest number of ligands of one species around a centre, or between two, that has a code."""
_BASE = MOST_LIGANDS + 1


@dataclass(frozen=True, slots=True)
class Bonds:
    """Bonds between centres and ligands of a block of frames.

    Attributes
    ----------
    frame, centre, ligand
        Number of the frame, the centre and the ligand within their sets, shape (n_bonds,).
    image
        Whole cells to add to the ligand's position, shape (n_bonds, 3).
    """

    frame: IntArray
    centre: IntArray
    ligand: IntArray
    image: IntArray

    @classmethod
    def of(cls, contacts: Contacts) -> Bonds:
        """Take contacts of centres with ligands as bonds."""
        return cls(contacts.frame, contacts.first, contacts.second, contacts.image)


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of centres that share ligands, each pair once in each frame.

    Attributes
    ----------
    frame, first, second
        Number of the frame and of the two centres, shape (n_links,).
    image
        Whole cells to add to the second centre's position, shape (n_links, 3).
    shared
        Shared ligands of each species, shape (n_links, n_species).
    """

    frame: IntArray
    first: IntArray
    second: IntArray
    image: IntArray
    shared: IntArray

    @classmethod
    def of(cls, contacts: Contacts) -> Links:
        """Take contacts of centres with centres as links that share nothing."""
        nothing = np.zeros((len(contacts.frame), 0), dtype=np.int64)
        return cls(contacts.frame, contacts.first, contacts.second, contacts.image, nothing)

    def where(self, kept: BoolArray) -> Links:
        """Return some of the links, chosen by a mask (n_links,)."""
        return Links(
            self.frame[kept],
            self.first[kept],
            self.second[kept],
            self.image[kept],
            self.shared[kept],
        )


@dataclass(frozen=True, slots=True)
class Kinds:
    """The species of the atoms of the graph.

    Attributes
    ----------
    centre_kind, ligand_kind
        Number of the species of each centre and ligand, shapes (n_centres,), (n_ligands,).
    n_centre_kinds, n_ligand_kinds
        Number of species of each.
    """

    centre_kind: IntArray
    ligand_kind: IntArray
    n_centre_kinds: int
    n_ligand_kinds: int


def ligand_counts(bonds: Bonds, atoms: Kinds, n_frames: int) -> IntArray:
    """Return the ligands of each species of each centre, (n_frames, n_centres, n_kinds)."""
    n_centres, n_kinds = len(atoms.centre_kind), atoms.n_ligand_kinds
    place = (bonds.frame * n_centres + bonds.centre) * n_kinds + atoms.ligand_kind[bonds.ligand]
    counts = np.bincount(place, minlength=n_frames * n_centres * n_kinds)
    return counts.reshape(n_frames, n_centres, n_kinds)


def centre_counts(bonds: Bonds, atoms: Kinds, n_frames: int) -> IntArray:
    """Return the centres around each ligand, shape (n_frames, n_ligands)."""
    n_ligands = len(atoms.ligand_kind)
    counts = np.bincount(bonds.frame * n_ligands + bonds.ligand, minlength=n_frames * n_ligands)
    return counts.reshape(n_frames, n_ligands)


def shared_ligands(bonds: Bonds, atoms: Kinds) -> Links:
    """Return which centres share which ligands, images of the same centre included."""
    ligand = bonds.frame * len(atoms.ligand_kind) + bonds.ligand
    order = np.argsort(ligand, kind="stable")
    ligand = ligand[order]
    ends = []
    for step in range(1, len(order)):
        same = np.flatnonzero(ligand[step:] == ligand[:-step])
        if not len(same):
            break
        ends.append(np.stack([order[same], order[same + step]]))
    left, right = np.concatenate(ends, axis=1) if ends else np.zeros((2, 0), dtype=np.int64)
    return _merge(bonds, atoms, left, right)


def _merge(bonds: Bonds, atoms: Kinds, left: IntArray, right: IntArray) -> Links:
    """Join the bridges, given by their two bonds, that connect the same two centres."""
    n_centres = len(atoms.centre_kind)
    image = bonds.image[left] - bonds.image[right]
    backwards = (bonds.centre[left] > bonds.centre[right]) | (
        (bonds.centre[left] == bonds.centre[right]) & _negative(image)
    )
    image[backwards] *= -1
    first = np.where(backwards, bonds.centre[right], bonds.centre[left])
    second = np.where(backwards, bonds.centre[left], bonds.centre[right])
    reach = int(np.abs(image).max(initial=0))
    key = (bonds.frame[left] * n_centres + first) * n_centres + second
    for axis in range(3):
        key = key * (2 * reach + 1) + image[:, axis] + reach
    _, place, number = np.unique(key, return_index=True, return_inverse=True)
    kinds = atoms.n_ligand_kinds
    shared = np.bincount(
        number * kinds + atoms.ligand_kind[bonds.ligand[left]], minlength=len(place) * kinds
    )
    return Links(
        frame=bonds.frame[left][place],
        first=first[place],
        second=second[place],
        image=image[place],
        shared=shared.reshape(-1, kinds),
    )


def _negative(image: IntArray) -> BoolArray:
    """Return which images come before zero in lexicographic order."""
    x, y, z = image.T
    before: BoolArray = (x < 0) | ((x == 0) & ((y < 0) | ((y == 0) & (z < 0))))
    return before


def encode(counts: IntArray) -> IntArray:
    """Return one number for each row of counts, shape (..., n_kinds), at most 63 each."""
    powers = _BASE ** np.arange(counts.shape[-1], dtype=np.int64)
    return np.minimum(counts, MOST_LIGANDS) @ powers


def decode(code: int, n_kinds: int) -> list[int]:
    """Return the counts that :func:`encode` made a number of."""
    return [code // _BASE**kind % _BASE for kind in range(n_kinds)]


def components(links: Links, n_frames: int, n_centres: int) -> tuple[IntArray, IntArray]:
    """Return the sizes of the connected sets of centres, and the frame of each.

    Parameters
    ----------
    links
        Which centres are connected.
    n_frames, n_centres
        Size of the block.

    Returns
    -------
    tuple
        Frames, shape (n_sets,), and numbers of centres, same shape; a set that reaches its
        own periodic image, and so has no end, counts negatively.
    """
    from .union import find_sets  # noqa: PLC0415  (compiled code)

    root, endless = find_sets(
        links.frame * n_centres + links.first,
        links.frame * n_centres + links.second,
        links.image,
        n_frames * n_centres,
    )
    roots, sizes = np.unique(root, return_counts=True)
    return roots // n_centres, np.where(endless[roots], -sizes, sizes)
