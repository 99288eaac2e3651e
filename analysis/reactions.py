"""Energies of reactions, of mixing, and of homogeneous mixtures between known ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .competition import composition_of, total_composition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Composition

_BALANCE = 1e-6
_FEASIBLE = 1e-7


@dataclass(frozen=True, slots=True)
class Reaction:
    """A balanced reaction and its energy.

    Attributes
    ----------
    reactants, products
        Formula to formula units.
    energy_ev
        Energy of products less that of reactants, for the amounts as written; negative for a
        reaction that runs by itself at 0 K.
    n_atoms
        Atoms on either side.
    """

    reactants: dict[str, float]
    products: dict[str, float]
    energy_ev: float
    n_atoms: float

    @property
    def energy_ev_per_atom(self) -> float:
        """Energy over the number of atoms of either side."""
        return self.energy_ev / self.n_atoms


@dataclass(frozen=True, slots=True)
class HomogeneousPoint:
    """A homogeneous sample, e.g. a glass of a sweep.

    Attributes
    ----------
    formula
        Composition, at any scale.
    energy_ev_per_atom
        Total energy.
    """

    formula: str
    energy_ev_per_atom: float


def reaction(
    reactants: Mapping[str, float],
    products: Mapping[str, float],
    energies_ev_per_atom: Mapping[str, float],
) -> Reaction:
    """Return the energy of ``reactants -> products``.

    Parameters
    ----------
    reactants, products
        Formula to formula units (0 or more).
    energies_ev_per_atom
        Total energy by formula, all at one level of theory.

    Raises
    ------
    AnalysisError
        If the sides do not balance, an amount is negative, or an energy is missing.
    """
    least = min([*reactants.values(), *products.values()], default=-1.0)
    if least < 0 or not any(reactants.values()) or not any(products.values()):
        raise AnalysisError(
            "a reaction needs something on both sides, in amounts of 0 or more",
            given=f"{dict(reactants)} -> {dict(products)}",
            remedy="write what is used up on the left",
        )
    before, after = total_composition(reactants), total_composition(products)
    if not before.almost_equals(after, rtol=0.0, atol=_BALANCE * float(before.num_atoms)):
        raise AnalysisError(
            "the two sides of a reaction do not balance",
            given=f"{before.formula} -> {after.formula}",
            remedy="check the formula units",
        )
    missing = sorted({*reactants, *products} - set(energies_ev_per_atom))
    if missing:
        raise AnalysisError(
            "a reaction needs the energy of each of its compounds",
            given=f"none for {', '.join(missing)}",
            remedy="add them at the same level of theory",
        )
    energy = sum(
        sign * n * energies_ev_per_atom[formula] * float(composition_of(formula).num_atoms)
        for sign, side in ((-1.0, reactants), (1.0, products))
        for formula, n in side.items()
    )
    return Reaction(dict(reactants), dict(products), float(energy), float(before.num_atoms))


def formula_units(composition: Composition, components: Sequence[str]) -> dict[str, float] | None:
    """Return the formula units of `components` that make `composition`; None if they cannot.

    The components must be independent of each other; amounts are 0 or more.
    """
    solved = _combination(composition, [composition_of(f) for f in components])
    return None if solved is None else dict(zip(components, solved.tolist(), strict=True))


def mixing_energy_ev_per_atom(
    composition: Composition,
    energy_ev_per_atom: float,
    components: Mapping[str, float],
) -> float:
    """Return the energy of `composition` relative to its unmixed components.

    Parameters
    ----------
    composition, energy_ev_per_atom
        What is mixed.
    components
        Formula to total energy in eV/atom.

    Raises
    ------
    AnalysisError
        If the components cannot make it.
    """
    units = formula_units(composition, list(components))
    if units is None:
        raise AnalysisError(
            "the components cannot make this composition",
            given=composition.formula,
            allowed=f"mixtures of {', '.join(components)}",
            remedy="give the components that were mixed",
        )
    unmixed = sum(
        n * components[formula] * float(composition_of(formula).num_atoms)
        for formula, n in units.items()
    )
    return energy_ev_per_atom - unmixed / float(composition.num_atoms)


def homogeneous_energy_ev(
    composition: Composition, points: Sequence[HomogeneousPoint]
) -> float | None:
    """Interpolate the energy of a homogeneous mixture linearly between known ones.

    Of all combinations of `points` that make `composition` the lowest is taken, so this is
    the lower hull of the points; a homogeneous phase with an energy of mixing of its own
    lies above or below it.

    Returns
    -------
    float or None
        Energy in eV of `composition` as it is scaled; None where it is not between the points.
    """
    if not points:
        return None
    made_of = [composition_of(point.formula) for point in points]
    energies = np.array(
        [p.energy_ev_per_atom * float(c.num_atoms) for p, c in zip(points, made_of, strict=True)]
    )
    weights = _combination(composition, made_of, energies)
    return None if weights is None else float(weights @ energies)


def _combination(
    composition: Composition,
    parts: Sequence[Composition],
    costs: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """Return amounts >= 0 of `parts` that sum up to `composition` at the least cost."""
    elements = sorted({el.symbol for part in (composition, *parts) for el in part.elements})
    matrix = np.array([[float(part[symbol]) for part in parts] for symbol in elements])
    target = np.array([float(composition[symbol]) for symbol in elements])
    scale = target.sum()
    objective = np.zeros(len(parts)) if costs is None else costs
    from scipy.optimize import linprog  # noqa: PLC0415  (dear to import, and makers all do)

    solution = linprog(objective, A_eq=matrix, b_eq=target / scale, bounds=(0, None))
    if solution.status != 0 or np.abs(matrix @ solution.x - target / scale).max() > _FEASIBLE:
        return None
    amounts: NDArray[np.float64] = solution.x * scale
    return amounts
