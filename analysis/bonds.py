"""Bonds by distance: counts, coordination numbers and the oxidation states of oxygen."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from ..errors import AnalysisError
from .blocks import N_BLOCKS, block_quantity
from .frames import as_frames, as_species, as_trajectory, frame_blocks, require_species
from .neighbours import Pairs, pairs_within

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from ..quantity import Quantity
    from .frames import FloatArray, IntArray

BOND_CUTOFFS_A: dict[tuple[str, str], float] = {
    ("Cl", "Cl"): 2.4,
    ("O", "O"): 1.7,
    ("Cl", "O"): 1.9,
    ("S", "S"): 2.4,
    ("Cl", "S"): 2.3,
}
"""Longest covalent bond between anions, A; ions of these pairs stay 2.7 A or more apart."""

ANIONS = ("Br", "Cl", "F", "I", "O", "S", "Se")
"""Elements that are anions where nothing else is said."""

_BOND_OVER_RADII = 1.2
_SHORT_RADIUS_CUTOFFS_A = {("F", "F"): 1.7, ("F", "O"): 1.7}

PEROXIDE_RANGE_A = (1.35, 1.7)
DIOXYGEN_MAX_A = 1.25


def bond_cutoffs_a(anions: Collection[str]) -> dict[tuple[str, str], float]:
    """Return the longest covalent bond of each pair of `anions`, A.

    Pairs that :data:`BOND_CUTOFFS_A` does not name, such as Br-Br, get 1.2 times the sum of
    the covalent radii (Cordero et al., Dalton Trans. 2008, 2832), which lies between the bond
    (Br2 2.28 A, I2 2.67 A) and the contact of two ions (3.5 A or more). Those of fluorine with
    itself and oxygen are longer than their radii say (F2 1.41 A): 1.7 A.

    Raises
    ------
    AnalysisError
        For a symbol that is no element.
    """
    if unknown := sorted(set(anions) - set(atomic_numbers)):
        raise AnalysisError("an anion is no element", given=unknown, allowed="chemical symbols")
    known = BOND_CUTOFFS_A | _SHORT_RADIUS_CUTOFFS_A
    return {
        (a, b): known.get((a, b)) or _BOND_OVER_RADII * (_radius_a(a) + _radius_a(b))
        for a, b in combinations_with_replacement(sorted(set(anions)), 2)
    }


def _radius_a(symbol: str) -> float:
    return float(covalent_radii[atomic_numbers[symbol]])


@dataclass(frozen=True, slots=True)
class OxygenStates:
    """Oxidation states of the oxygen atoms of one structure.

    Attributes
    ----------
    indices
        Oxygen atoms, shape (n_oxygen,).
    oxidation_state
        -2 oxide, -1 peroxide, -0.5 superoxide, 0 dioxygen, same shape.
    nearest_oxygen_a
        Distance to the nearest oxygen within bonding range, else infinite, same shape.
    n_oxide, n_peroxide, n_superoxide
        Counts; O2 and superoxide together make the last.
    peroxide_fraction
        Peroxide among all oxygen; 0 where there is none.
    """

    indices: IntArray
    oxidation_state: FloatArray
    nearest_oxygen_a: FloatArray
    n_oxide: int
    n_peroxide: int
    n_superoxide: int
    peroxide_fraction: float


def _one_structure(
    positions: ArrayLike, cell: ArrayLike, species: Sequence[str], cutoff_a: float
) -> tuple[Pairs, NDArray[np.str_]]:
    frames, boxes = as_frames(positions, cell)
    if len(frames) != 1:
        raise AnalysisError(
            "bonds are counted in one structure at a time", given=f"{len(frames)} frames"
        )
    symbols = as_species(species, frames.shape[1])
    return pairs_within(frames[0], boxes[0], cutoff_a), symbols


def count_bonds(
    positions: ArrayLike,
    cell: ArrayLike,
    species: Sequence[str],
    cutoffs_a: Mapping[tuple[str, str], float] | None = None,
) -> dict[str, int]:
    """Count bonds of each pair of species in a periodic structure.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_atoms, 3).
    cell
        Row vectors, A, shape (3, 3).
    species
        Element symbols, shape (n_atoms,).
    cutoffs_a
        Longest bond of each pair, A, in either order; default :data:`BOND_CUTOFFS_A`.

    Returns
    -------
    dict
        Number of bonds, keyed ``"Cl-Cl"`` in the order of `cutoffs_a`; 0 where a species does
        not occur.

    Raises
    ------
    AnalysisError
        For arrays that do not fit or a cutoff that is not positive.
    """
    cutoffs = _checked(BOND_CUTOFFS_A if cutoffs_a is None else cutoffs_a)
    longest = max(cutoffs.values(), default=1.0)
    pairs, symbols = _one_structure(positions, cell, species, longest)
    first, second = symbols[pairs.first], symbols[pairs.second]
    counts = {}
    for (a, b), cutoff in cutoffs.items():
        bonded = (first == a) & (second == b) & (pairs.distance_a <= cutoff)
        counts[f"{a}-{b}"] = int(bonded.sum()) // (2 if a == b else 1)
    return counts


@dataclass(frozen=True, slots=True)
class BondSeries:
    """Bonds between anions over the frames of a run.

    Attributes
    ----------
    counts
        Bonds in each frame, keyed ``"O-O"``, shape (n_frames,).
    mean
        Mean number of bonds with the error of block means, same keys.
    """

    counts: dict[str, IntArray]
    mean: dict[str, Quantity]


def bond_series(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    cutoffs_a: Mapping[tuple[str, str], float] | None = None,
    *,
    n_blocks: int = N_BLOCKS,
) -> BondSeries:
    """Count bonds of each pair of species in every frame of a run.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3); a memory map is read in blocks.
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    species, cutoffs_a
        As in :func:`count_bonds`.
    n_blocks
        Contiguous blocks of frames for the errors.

    Raises
    ------
    AnalysisError
        For arrays that do not fit, no frames, or a cutoff that is not positive.
    """
    from .images import contacts_within, to_fractions  # noqa: PLC0415  (compiled code)

    frames, boxes = as_trajectory(positions, cells)
    symbols = as_species(species, frames.shape[1])
    cutoffs = _checked(BOND_CUTOFFS_A if cutoffs_a is None else cutoffs_a)
    counts = {f"{a}-{b}": np.zeros(len(frames), dtype=np.int64) for a, b in cutoffs}
    for start, block, cells_of_block in frame_blocks(frames, boxes):
        fractions = to_fractions(block, cells_of_block)
        sets = {name: np.ascontiguousarray(fractions[:, symbols == name]) for name in set(symbols)}
        for (a, b), cutoff in cutoffs.items():
            if a in sets and b in sets:
                other = None if a == b else sets[b]
                found = contacts_within(sets[a], other, cells_of_block, cutoff)
                number = np.bincount(found.frame, minlength=len(block))
                counts[f"{a}-{b}"][start : start + len(block)] = number
    mean = {pair: block_quantity(row, n_blocks, least=0.0) for pair, row in counts.items()}
    return BondSeries(counts, mean)


def _checked(cutoffs_a: Mapping[tuple[str, str], float]) -> Mapping[tuple[str, str], float]:
    if not all(cutoff > 0 for cutoff in cutoffs_a.values()):
        raise AnalysisError(
            "a bond cutoff must be positive", given=dict(cutoffs_a), allowed="angstrom above 0"
        )
    return cutoffs_a


def coordination_numbers(
    positions: ArrayLike,
    cell: ArrayLike,
    species: Sequence[str],
    *,
    centre: str,
    ligands: Sequence[str],
    cutoff_a: float,
) -> IntArray:
    """Return the number of ligands within a cutoff of each centre.

    Parameters
    ----------
    positions, cell, species
        One structure, as in :func:`count_bonds`.
    centre, ligands
        Symbols of the central species and of those that count.
    cutoff_a
        Longest bond, A.

    Returns
    -------
    IntArray
        Shape (n_centres,), in the order of the atoms.
    """
    pairs, symbols = _one_structure(positions, cell, species, cutoff_a)
    require_species([centre], symbols)
    kept = np.isin(symbols[pairs.second], list(ligands))
    numbers = np.bincount(pairs.first[kept], minlength=len(symbols))
    of_centres: IntArray = numbers[symbols == centre].astype(np.int64)
    return of_centres


def assign_oxygen_states(
    positions: ArrayLike, cell: ArrayLike, species: Sequence[str]
) -> OxygenStates:
    """Assign each oxygen its oxidation state from its shortest O-O distance.

    A peroxide's bond is 1.49 A long (1.35 to 1.7 A counts), a superoxide's 1.28 to 1.35 A and
    that of O2 1.21 A; an oxygen without such a partner is an oxide.

    Parameters
    ----------
    positions, cell, species
        One structure, as in :func:`count_bonds`.
    """
    pairs, symbols = _one_structure(positions, cell, species, PEROXIDE_RANGE_A[1])
    oxygen = symbols == "O"
    nearest = np.full(len(symbols), np.inf)
    kept = oxygen[pairs.first] & oxygen[pairs.second]
    np.minimum.at(nearest, pairs.first[kept], pairs.distance_a[kept])
    distance = nearest[oxygen]
    state = np.select(
        [distance < DIOXYGEN_MAX_A, distance < PEROXIDE_RANGE_A[0], np.isfinite(distance)],
        [0.0, -0.5, -1.0],
        default=-2.0,
    )
    n_peroxide = int((state == -1.0).sum())
    return OxygenStates(
        indices=np.flatnonzero(oxygen).astype(np.int64),
        oxidation_state=state.astype(np.float64),
        nearest_oxygen_a=distance,
        n_oxide=int((state == -2.0).sum()),  # noqa: PLR2004  (the state assigned above)
        n_peroxide=n_peroxide,
        n_superoxide=int((state > -1.0).sum()),
        peroxide_fraction=n_peroxide / len(state) if len(state) else 0.0,
    )
