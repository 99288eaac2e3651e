"""What is gained when a salt, NaCl above all, splits off a mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .competition import (
    CompetingPhases,
    HullEntry,
    Product,
    composition_of,
    lowest_reference,
    symbols_of,
)
from .reactions import HomogeneousPoint, homogeneous_energy_ev

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Composition

_TOLERANCE_EV = 1e-6
_SAME_AMOUNT = 1e-6


@dataclass(frozen=True, slots=True)
class SplitOff:
    """The candidate after an amount of salt has left it.

    Attributes
    ----------
    amount
        Formula units of salt per formula unit of the candidate.
    remainder
        Formula of the rest, at the scale of one formula unit of the candidate; empty when
        nothing is left.
    equilibrium_ev_per_atom
        Energy of the split with the rest in equilibrium (on the hull), relative to the
        candidate, per atom of the candidate; negative is gained.
    homogeneous_ev_per_atom
        The same with a rest that stays homogeneous, interpolated between samples; None where
        the rest does not lie between them.
    products
        Phases of the rest in equilibrium, formula units per formula unit of the candidate.
    """

    amount: float
    remainder: str
    equilibrium_ev_per_atom: float
    homogeneous_ev_per_atom: float | None
    products: tuple[Product, ...]


@dataclass(frozen=True, slots=True)
class Segregation:
    """Driving force for a salt to leave a candidate.

    Attributes
    ----------
    formula, salt
        Formula unit that amounts refer to, and the salt.
    n_atoms
        Atoms in that formula unit: energies per atom times this are per formula unit.
    largest_amount
        All the salt that the composition can give.
    equilibrium_amount
        Salt in the candidate's own equilibrium mixture of phases: what thermodynamics
        precipitates; 0 where the salt is none of the phases.
    driving_force_ev_per_atom
        Gained by the split into that equilibrium mixture with its salt; None where it holds
        none. It equals the energy above the hull.
    homogeneous_driving_force_ev_per_atom
        Most that is gained when the rest stays homogeneous, at `homogeneous_amount`; 0 at no
        salt when every split costs energy; None where no rest lies between samples.
    splits
        From no salt to all of it, kinks of the hull among them.
    """

    formula: str
    salt: str
    n_atoms: float
    largest_amount: float
    equilibrium_amount: float
    driving_force_ev_per_atom: float | None
    homogeneous_driving_force_ev_per_atom: float | None
    homogeneous_amount: float | None
    splits: tuple[SplitOff, ...]


def segregation(
    formula: str,
    energy_ev_per_atom: float,
    entries: Sequence[HullEntry],
    *,
    level: str,
    salt: str = "NaCl",
    include_hypothetical: bool = False,
    homogeneous: Sequence[HomogeneousPoint] = (),
    n_splits: int = 11,
) -> Segregation:
    """Split salt off a candidate, step by step: C -> y salt + (C - y salt).

    Gains are reckoned against the candidate's own energy, with two fates of the rest: it
    falls into the phases of the hull, or it stays homogeneous at an energy interpolated
    between `homogeneous` samples. The first is what thermodynamics allows, the second what
    a glass can do that loses salt and does not crystallise otherwise.

    Parameters
    ----------
    formula, energy_ev_per_atom
        The candidate.
    entries
        Phases at `level`; the lowest reference phase of the salt counts.
    level
        Level of theory.
    salt
        Formula of what leaves.
    include_hypothetical
        Whether hypothetical phases compete.
    homogeneous
        Other homogeneous samples at `level`; the candidate itself is added.
    n_splits
        Amounts between none and all of the salt.

    Raises
    ------
    AnalysisError
        If the candidate holds no such salt, is the salt, or the phases allow no hull.
    """
    unit = composition_of(composition_of(formula).reduced_formula)
    leaving = composition_of(salt)
    largest = min(float(unit[el] / n) for el, n in leaving.items())
    rest = unit - leaving * largest
    if largest <= 0 or not rest:
        raise AnalysisError(
            f"no {salt} can split off this candidate",
            given=unit.reduced_formula,
            allowed=f"compounds with {' and '.join(sorted(symbols_of(leaving)))} and more",
            remedy="name a salt that its ions make",
        )
    hull = CompetingPhases(
        entries,
        symbols_of(unit),
        level=level,
        include_hypothetical=include_hypothetical,
        without=unit,
    )
    samples = [*homogeneous, HomogeneousPoint(unit.reduced_formula, energy_ev_per_atom)]
    salt_ev = lowest_reference(salt, entries).energy_ev_per_atom * float(leaving.num_atoms)
    whole_ev = energy_ev_per_atom * float(unit.num_atoms)
    splits = []
    for amount in _amounts(hull, unit, leaving, largest, n_splits):
        left = unit - leaving * amount
        stays = homogeneous_energy_ev(left, samples) if amount else whole_ev
        equilibrium = hull.energy_ev_per_atom(left) * float(left.num_atoms)
        splits.append(
            SplitOff(
                amount=amount,
                remainder=left.formula,
                equilibrium_ev_per_atom=(amount * salt_ev + equilibrium - whole_ev)
                / float(unit.num_atoms),
                homogeneous_ev_per_atom=None
                if stays is None
                else (amount * salt_ev + stays - whole_ev) / float(unit.num_atoms),
                products=hull.products(left),
            )
        )
    return _summed_up(unit, salt, largest, splits)


def _summed_up(unit: Composition, salt: str, largest: float, splits: list[SplitOff]) -> Segregation:
    unsplit = splits[0].equilibrium_ev_per_atom
    free = [s for s in splits if s.equilibrium_ev_per_atom <= unsplit + _TOLERANCE_EV]
    stays = [
        (-s.homogeneous_ev_per_atom, s.amount)
        for s in splits
        if s.homogeneous_ev_per_atom is not None
    ]
    gain, amount = max(stays) if len(stays) > 1 else (None, None)
    return Segregation(
        formula=unit.reduced_formula,
        salt=salt,
        n_atoms=float(unit.num_atoms),
        largest_amount=largest,
        equilibrium_amount=free[-1].amount,
        driving_force_ev_per_atom=-unsplit if free[-1].amount else None,
        homogeneous_driving_force_ev_per_atom=gain,
        homogeneous_amount=amount,
        splits=tuple(splits),
    )


def _amounts(
    hull: CompetingPhases, unit: Composition, salt: Composition, largest: float, n_splits: int
) -> list[float]:
    """Return amounts of salt from none to all, with those where the phases of the rest change."""
    rest = unit - salt * largest
    kinks = [
        _amount_at(unit, salt, composition.fractional_composition)
        for composition in hull.diagram.get_critical_compositions(unit, rest)
    ]
    amounts: list[float] = []
    for amount in sorted([*np.linspace(0.0, largest, n_splits).tolist(), *kinks]):
        inside = -_SAME_AMOUNT * largest < amount < (1 + _SAME_AMOUNT) * largest
        if inside and (not amounts or amount - amounts[-1] > _SAME_AMOUNT * largest):
            amounts.append(min(max(amount, 0.0), largest))
    return amounts


def _amount_at(unit: Composition, salt: Composition, share: Composition) -> float:
    """Solve (unit - y salt) / (atoms of it) = share for y, by least squares."""
    elements = [el.symbol for el in unit.elements]
    c, s, f = (
        np.array([float(part[symbol]) for symbol in elements]) for part in (unit, salt, share)
    )
    direction = s - s.sum() * f
    return float(direction @ (c - c.sum() * f) / (direction @ direction))
