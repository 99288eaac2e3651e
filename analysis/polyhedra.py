"""Polyhedra, bridges and chains, counted block by block of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .bonded import (
    Bonds,
    Kinds,
    Links,
    centre_counts,
    components,
    encode,
    ligand_counts,
    shared_ligands,
)
from .populations import SHIFTS, Tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frames import BoolArray, FloatArray, IntArray
    from .images import Contacts

ROLES = ("free", "terminal", "bridging two", "bridging three or more")


@dataclass(frozen=True, slots=True)
class Rules:
    """What is counted.

    Attributes
    ----------
    centres, ligands
        Species.
    cutoffs_a
        Longest bond of each centre and ligand species, A, shape (n_centres, n_ligands).
    shift_a, link_cutoff_a, retention_a
        Shift of all cut-offs, longest link and distance of retention, A.
    bridges
        Which ligand species join centres to a chain, shape (n_ligands,).
    """

    centres: tuple[str, ...]
    ligands: tuple[str, ...]
    cutoffs_a: FloatArray
    shift_a: float
    link_cutoff_a: float
    retention_a: float
    bridges: BoolArray


class Counts:
    """Everything counted in the frames seen so far.

    Parameters
    ----------
    rules
        What is counted.
    symbols
        Element symbols, shape (n_atoms,).
    block_of_frame
        Number of the block of each frame, shape (n_frames,).

    Attributes
    ----------
    kinds
        Centres and ligands.
    frames_in_block
        Shape (n_blocks,).
    polyhedra, bonds, roles, links, retained
        Coded by centre and its ligands; centre and ligand; ligand and role; both centres and
        the shared ligands; ligand.
    sets_by_distance, sets_by_bridges
        Coded by the number of centres, negative for sets without end.
    n_beyond
        Ligands of each species that are not retained, shape (n_ligand_kinds, n_frames).
    """

    def __init__(self, rules: Rules, symbols: NDArray[np.str_], block_of_frame: IntArray) -> None:
        self._rules = rules
        self._centre = np.flatnonzero(np.isin(symbols, rules.centres))
        self._ligand = np.flatnonzero(np.isin(symbols, rules.ligands))
        self.kinds = Kinds(
            centre_kind=_numbers(symbols[self._centre], rules.centres),
            ligand_kind=_numbers(symbols[self._ligand], rules.ligands),
            n_centre_kinds=len(rules.centres),
            n_ligand_kinds=len(rules.ligands),
        )
        self.frames_in_block = np.bincount(block_of_frame).astype(np.float64)
        self.polyhedra = Tally(block_of_frame)
        self.bonds = Tally(block_of_frame)
        self.roles = Tally(block_of_frame)
        self.links = Tally(block_of_frame)
        self.retained = Tally(block_of_frame)
        self.sets_by_distance = Tally(block_of_frame)
        self.sets_by_bridges = Tally(block_of_frame)
        self.n_beyond = np.zeros((len(rules.ligands), len(block_of_frame)), dtype=np.int64)

    def add(self, start: int, frames: FloatArray, boxes: FloatArray) -> None:
        """Count a block of frames, (n, n_atoms, 3), whose first has the number `start`."""
        from .images import contacts_within, to_fractions  # noqa: PLC0415  (compiled code)

        rules = self._rules
        fractions = to_fractions(frames, boxes)
        fractions -= np.floor(fractions)
        centres = np.ascontiguousarray(fractions[:, self._centre])
        ligands = np.ascontiguousarray(fractions[:, self._ligand])
        reach = max(float(rules.cutoffs_a.max()), rules.retention_a) + rules.shift_a
        near = contacts_within(centres, ligands, boxes, reach)
        linked = contacts_within(centres, None, boxes, rules.link_cutoff_a + rules.shift_a)
        numbers = np.arange(start, start + len(frames))
        for shift, sign in enumerate(SHIFTS):
            longer = sign * rules.shift_a
            self._add_bonds(shift, numbers, near, longer)
            self._add_retained(shift, numbers, near, longer)
            close = linked.where(linked.distance_a <= rules.link_cutoff_a + longer)
            links = Links.of(close)
            self._add_sets(self.sets_by_distance, shift, numbers, links)

    def _add_bonds(self, shift: int, numbers: IntArray, near: Contacts, longer: float) -> None:
        kinds, n_frames = self.kinds, len(numbers)
        cutoffs_a = self._rules.cutoffs_a + longer
        limit = cutoffs_a[kinds.centre_kind[near.first], kinds.ligand_kind[near.second]]
        bonds = Bonds.of(near.where(near.distance_a <= limit))
        ligands = ligand_counts(bonds, kinds, n_frames)
        code = encode(ligands) * kinds.n_centre_kinds + kinds.centre_kind
        self.polyhedra.add(shift, np.repeat(numbers, len(self._centre)), code.ravel())
        code = kinds.centre_kind[bonds.centre] * kinds.n_ligand_kinds
        self.bonds.add(shift, numbers[bonds.frame], code + kinds.ligand_kind[bonds.ligand])
        role = np.minimum(centre_counts(bonds, kinds, n_frames), len(ROLES) - 1)
        code = kinds.ligand_kind * len(ROLES) + role
        self.roles.add(shift, np.repeat(numbers, len(self._ligand)), code.ravel())
        links = shared_ligands(bonds, kinds)
        ends = kinds.centre_kind[np.stack([links.first, links.second])]
        code = (encode(links.shared) * kinds.n_centre_kinds + ends.min(axis=0)) * (
            kinds.n_centre_kinds
        ) + ends.max(axis=0)
        self.links.add(shift, numbers[links.frame], code)
        joined = links.shared[:, self._rules.bridges].sum(axis=1) > 0
        self._add_sets(self.sets_by_bridges, shift, numbers, links.where(joined))

    def _add_retained(self, shift: int, numbers: IntArray, near: Contacts, longer: float) -> None:
        kept = near.distance_a <= self._rules.retention_a + longer
        stays = np.zeros((len(numbers), len(self._ligand)), dtype=np.bool_)
        stays[near.frame[kept], near.second[kept]] = True
        frame, ligand = np.nonzero(stays)
        self.retained.add(shift, numbers[frame], self.kinds.ligand_kind[ligand])
        if not longer:
            for kind in range(self.kinds.n_ligand_kinds):
                gone = ~stays[:, self.kinds.ligand_kind == kind]
                self.n_beyond[kind, numbers] = gone.sum(axis=1)

    def _add_sets(self, tally: Tally, shift: int, numbers: IntArray, links: Links) -> None:
        frame, size = components(links, len(numbers), len(self._centre))
        tally.add(shift, numbers[frame], size)


def _numbers(symbols: NDArray[np.str_], names: tuple[str, ...]) -> IntArray:
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[str(symbol)] for symbol in symbols], dtype=np.int64)
