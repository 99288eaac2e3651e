"""Chain registries: how the chains of a crystal sit and point beside each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BRIDGE_CUTOFF_A = 2.8
_BOND_CUTOFF_A = 3.0
_MAX_CONFIGURATIONS = 1024
_MATCH = 0.01
_ALIKE = 0.02
_FINGERPRINT_A = 7.0
_SMEARING_A = 0.25
_N_PLACES = 8
_N_IMAGES = 2
_REPULSION_A = 0.35
_TIE = 0.02
_SIGNS = {1: "+", -1: "-", 0: ""}


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of octahedra in a cell: atoms and how far each lies from the first centre.

    Attributes
    ----------
    centres, bridges, others
        Site indices of its centres, bridging anions and terminal anions.
    offsets
        Fractional way from the first centre to each of them, continuous along the chain, in
        that order, shape (n_sites, 3).
    period
        Lattice vector along which it repeats, in cell vectors, shape (3,).
    """

    centres: tuple[int, ...]
    bridges: tuple[int, ...]
    others: tuple[int, ...]
    offsets: NDArray[np.float64]
    period: NDArray[np.int64]

    @property
    def sites(self) -> tuple[int, ...]:
        """All site indices, in the order of `offsets`."""
        return self.centres + self.bridges + self.others


@dataclass(frozen=True, slots=True)
class Registry:
    """One arrangement of the chains.

    Attributes
    ----------
    label
        Shift and polar direction of each chain, e.g. ``0+ 1/2-``.
    shifts
        Of each chain along itself, in periods of the M-M repeat.
    polarities
        Of each chain: 1 or -1 for M displaced along or against the chain; 0 for M kept as
        it is.
    structure
        The crystal, not relaxed.
    multiplicity
        Arrangements that are the same by symmetry.
    """

    label: str
    shifts: tuple[float, ...]
    polarities: tuple[int, ...]
    structure: Structure
    multiplicity: int


def find_chains(structure: Structure, former: str, bridging: str = "O") -> list[Chain]:
    """Find straight chains of centres that share bridging anions.

    Parameters
    ----------
    structure
        The crystal.
    former, bridging
        Symbols of the centres and of the anions between them.

    Raises
    ------
    InputError
        If there is no such chain, or a network or ring instead of chains.
    """
    first, second, images, distance = structure.get_neighbor_list(_BOND_CUTOFF_A)
    symbols = np.array([site.specie.symbol for site in structure])
    bonded = (symbols[first] == former) & (
        (symbols[second] != bridging) | (distance <= _BRIDGE_CUTOFF_A)
    )
    bonded &= np.isin(symbols[second], [bridging, *_terminal(structure)])
    bonds: dict[int, list[tuple[int, NDArray[np.int64]]]] = {}
    for a, b, image in zip(first[bonded], second[bonded], images[bonded], strict=True):
        bonds.setdefault(int(a), []).append((int(b), image.astype(np.int64)))
        if symbols[b] == bridging:
            bonds.setdefault(int(b), []).append((int(a), -image.astype(np.int64)))
    chains: list[Chain] = []
    seen: set[int] = set()
    for start in np.flatnonzero(symbols == former).tolist():
        if start not in seen:
            chain = _follow(structure, start, bonds, (former, bridging))
            seen.update(chain.centres)
            chains.append(chain)
    if not chains:
        raise InputError(
            f"there are no chains of {former} and {bridging}",
            given=structure.composition.reduced_formula,
            allowed=f"crystals of {former} bridged by {bridging} along one direction",
        )
    return chains


def _terminal(structure: Structure) -> list[str]:
    return [e.symbol for e in structure.elements if e.is_halogen]


def _follow(
    structure: Structure,
    start: int,
    bonds: dict[int, list[tuple[int, NDArray[np.int64]]]],
    kinds: tuple[str, str],
) -> Chain:
    """Walk from a centre over all bonds; images met twice tell the period."""
    place = {start: np.zeros(3, dtype=np.int64)}
    waiting = [start]
    periods: list[NDArray[np.int64]] = []
    while waiting:
        here = waiting.pop()
        for other, image in bonds.get(here, []):
            there = place[here] + image
            if other not in place:
                place[other] = there
                waiting.append(other)
            elif (there != place[other]).any():
                periods.append(there - place[other])
    if not periods or np.linalg.matrix_rank(np.array(periods)) != 1:
        raise InputError(
            f"the {kinds[0]} do not form chains along one direction",
            given=f"{kinds[0]} at site {start} repeats along "
            f"{np.linalg.matrix_rank(np.array(periods)) if periods else 0} directions",
            allowed="1",
            remedy="start from a crystal of corner-sharing chains",
        )
    period = min(periods, key=lambda vector: int(np.abs(vector).sum()))
    symbols = {site: structure[site].specie.symbol for site in place}
    centres = tuple(sorted(site for site in place if symbols[site] == kinds[0]))
    bridges = tuple(sorted(site for site in place if symbols[site] == kinds[1]))
    others = tuple(sorted(set(place) - set(centres) - set(bridges)))
    origin = structure[centres[0]].frac_coords + place[centres[0]]
    offsets = [
        structure[site].frac_coords + place[site] - origin for site in centres + bridges + others
    ]
    sign = np.sign(period[np.abs(period).argmax()])
    return Chain(centres, bridges, others, np.array(offsets), period * sign)


def chain_registries(
    structure: Structure,
    former: str,
    *,
    bridging: str = "O",
    shifts: Sequence[float] = (0.0, 0.5),
    off_centre_a: float | None = 0.2,
) -> list[Registry]:
    """Enumerate the arrangements of the chains that differ by symmetry.

    Each chain is shifted along itself by a part of its M-M repeat, M, bridging and terminal
    anions together, and its M are displaced from the middle of their bridges along or against
    the chain (the polar directions of M-O...M). The first chain is not shifted: shifts are
    relative. Every other ion slides along the chains to where the repulsion of the anions,
    a sum of exp(-r / 0.35 A), is least. Arrangements of chains that a symmetry turns into
    each other are kept once (pymatgen's StructureMatcher, without the other ions).

    Parameters
    ----------
    structure
        The crystal.
    former, bridging
        Symbols of the centres and of the anions between them.
    shifts
        Shifts to try, in M-M repeats.
    off_centre_a
        Displacement of M from the middle, A; ``None`` leaves M where it is and enumerates
        shifts alone.

    Returns
    -------
    list
        Registries in the order of enumeration; the first one has no chain shifted.

    Raises
    ------
    InputError
        If the crystal has no chains, or too many arrangements.
    """
    chains = find_chains(structure, former, bridging)
    directions = (0,) if off_centre_a is None else (1, -1)
    n_all = len(shifts) ** (len(chains) - 1) * len(directions) ** len(chains)
    if not 1 <= n_all <= _MAX_CONFIGURATIONS:
        raise InputError(
            "that number of chain arrangements cannot be enumerated",
            given=f"{n_all} arrangements of {len(chains)} chains",
            allowed=f"1 to {_MAX_CONFIGURATIONS}",
            remedy="start from the primitive cell, or take fewer shifts or one polar direction",
        )
    kept: list[Registry] = []
    frameworks: list[tuple[Structure, NDArray[np.float64]]] = []
    held = [site for chain in chains for site in chain.sites]
    for moved in product((0.0,), *[shifts] * (len(chains) - 1)):
        for polar in product(directions, repeat=len(chains)):
            crystal = _arranged(structure, chains, moved, polar, off_centre_a or 0.0)
            framework = Structure.from_sites([crystal[site] for site in sorted(held)])
            mark = _fingerprint(framework)
            number = _same(framework, mark, frameworks)
            if number is None:
                kept.append(Registry(_label(moved, polar), moved, polar, crystal, 1))
                frameworks.append((framework, mark))
            else:
                known = kept[number]
                kept[number] = replace(known, multiplicity=known.multiplicity + 1)
    return kept


def _same(
    crystal: Structure,
    mark: NDArray[np.float64],
    known: Sequence[tuple[Structure, NDArray[np.float64]]],
) -> int | None:
    """Return which of the known frameworks this one is, after a look at their distances."""
    matcher = StructureMatcher(
        ltol=_MATCH, stol=_MATCH, angle_tol=1.0, primitive_cell=False, scale=False
    )
    for number, (other, other_mark) in enumerate(known):
        alike = np.abs(mark - other_mark).sum() < _ALIKE * mark.sum()
        if alike and matcher.fit(other, crystal):
            return number
    return None


def _fingerprint(crystal: Structure) -> NDArray[np.float64]:
    """Return a smooth histogram of distances, which no symmetry changes."""
    first, second, _, distance = crystal.get_neighbor_list(_FINGERPRINT_A)
    number = np.array([site.specie.Z for site in crystal], dtype=np.float64)
    weight = number[first] * number[second]
    grid = np.arange(1.0, _FINGERPRINT_A - _SMEARING_A, _SMEARING_A)
    smeared = np.exp(-0.5 * ((distance[:, None] - grid) / _SMEARING_A) ** 2)
    mark: NDArray[np.float64] = weight @ smeared
    return mark


def _arranged(
    structure: Structure,
    chains: Sequence[Chain],
    moved: Sequence[float],
    polar: Sequence[int],
    off_centre_a: float,
) -> Structure:
    coordinates = np.array(structure.frac_coords)
    for chain, shift, direction in zip(chains, moved, polar, strict=True):
        if direction:
            coordinates[list(chain.centres)] += _to_side(
                chain, structure.lattice.matrix, direction * off_centre_a
            )
        coordinates[list(chain.sites)] += shift * chain.period / len(chain.centres)
    held = [site for chain in chains for site in chain.sites]
    for ion in sorted(set(range(len(structure))) - set(held)):
        coordinates[ion] += _slide(structure, coordinates, ion, chains)
    return Structure(structure.lattice, structure.species, coordinates, to_unit_cell=True)


def _slide(
    structure: Structure, coordinates: NDArray[np.float64], ion: int, chains: Sequence[Chain]
) -> NDArray[np.float64]:
    """Return the step along the chains to where the anions repel an ion least."""
    anions = [site for chain in chains for site in chain.bridges + chain.others]
    period = chains[0].period / len(chains[0].centres)
    steps = np.arange(_N_PLACES)[:, None] / _N_PLACES * period
    way = coordinates[anions] - coordinates[ion] - steps[:, None]
    way -= np.rint(way)
    images = np.array(list(product(range(-_N_IMAGES, _N_IMAGES + 1), repeat=3)))
    vectors = (way[:, :, None] + images) @ structure.lattice.matrix
    repulsion = np.exp(-np.linalg.norm(vectors, axis=-1) / _REPULSION_A).sum(axis=(1, 2))
    best = int(np.argmax(repulsion <= repulsion.min() * (1.0 + _TIE)))
    step: NDArray[np.float64] = steps[best]
    return step


def _to_side(chain: Chain, cell: NDArray[np.float64], off_centre_a: float) -> NDArray[np.float64]:
    """Return the fractional steps that bring centres off the middle of their bridges."""
    length = float(np.linalg.norm(chain.period @ cell))
    along = chain.offsets @ cell @ (chain.period @ cell) / length
    n = len(chain.centres)
    way = (along[n : n + len(chain.bridges), None] - along[None, :n]) % length
    middle = 0.5 * (way.min(axis=0) + way.max(axis=0) - length)
    steps: NDArray[np.float64] = (middle + off_centre_a)[:, None] / length * chain.period
    return steps


def _label(moved: Sequence[float], polar: Sequence[int]) -> str:
    return " ".join(
        f"{Fraction(shift).limit_denominator(12)}{_SIGNS[direction]}"
        for shift, direction in zip(moved, polar, strict=True)
    )
