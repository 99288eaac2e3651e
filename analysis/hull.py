"""Stability of a candidate against competing phases at one level of theory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import AnalysisError
from .competition import (
    CompetingPhases,
    HullEntry,
    Product,
    composition_of,
    lowest_reference,
    symbols_of,
    total_composition,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Composition

__all__ = ["HullAnalysis", "HullEntry", "HullPoint", "Product", "hull_analysis", "reaction"]

_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class HullPoint:
    """A phase of the hull as it is plotted.

    Attributes
    ----------
    entry
        The phase.
    formation_energy_ev_per_atom
        From the elements.
    energy_above_hull_ev_per_atom
        Above the hull of all phases used; 0 on it.
    """

    entry: HullEntry
    formation_energy_ev_per_atom: float
    energy_above_hull_ev_per_atom: float


@dataclass(frozen=True, slots=True)
class HullAnalysis:
    """Where a candidate lies against its competing phases.

    Attributes
    ----------
    formula, level
        Of the candidate.
    energy_ev_per_atom, formation_energy_ev_per_atom
        Total energy and that of formation from the elements.
    energy_above_hull_ev_per_atom
        Against the competing phases alone, without the candidate's own composition, so it is
        negative for a candidate more stable than all of them.
    decomposition
        The competing phases at the candidate's composition, fractions of atoms.
    reaction_energy_ev_per_atom
        Of forming it from `components`; ``None`` where none were given.
    components
        What the sweep mixed, with the phases whose energies were taken.
    energy_above_crystal_ev_per_atom
        Above the crystal that was named; ``None`` without one.
    oxidation_states
        As given.
    roles
        Roles of the phases that span the hull.
    points
        Every phase used.
    """

    formula: str
    level: str
    energy_ev_per_atom: float
    formation_energy_ev_per_atom: float
    energy_above_hull_ev_per_atom: float
    decomposition: tuple[Product, ...]
    reaction_energy_ev_per_atom: float | None
    components: tuple[Product, ...]
    energy_above_crystal_ev_per_atom: float | None
    oxidation_states: dict[str, list[float]]
    roles: tuple[str, ...]
    points: tuple[HullPoint, ...]


def hull_analysis(
    formula: str,
    energy_ev_per_atom: float,
    entries: Sequence[HullEntry],
    *,
    level: str,
    components: Mapping[str, float] | None = None,
    oxidation_states: Mapping[str, Sequence[float]] | None = None,
    include_hypothetical: bool = False,
    crystal_energy_ev_per_atom: float | None = None,
) -> HullAnalysis:
    """Compare a candidate with the convex hull of its competing phases.

    The hull is that of the `reference` phases within the candidate's elements, of the
    `hypothetical` ones too if asked for; never of a `target`, never of the candidate's own
    composition (Phase diagrams: Ong et al., Chem. Mater. 20, 1798 (2008)).

    Parameters
    ----------
    formula
        Composition of the candidate, for any number of atoms.
    energy_ev_per_atom
        Its total energy at `level`.
    entries
        Phases, all at the same level.
    level
        Level of theory of the candidate's energy.
    components
        Formula to number of formula units, summing up to the candidate's composition at any
        scale; each takes the lowest energy among the `reference` phases of its composition.
    oxidation_states
        Explicit oxidation states by element, passed through.
    include_hypothetical
        Whether hypothetical phases compete.
    crystal_energy_ev_per_atom
        Energy of the candidate's crystal at `level`.

    Raises
    ------
    AnalysisError
        If levels of theory are mixed, an element has no phase of its own, or components do
        not sum up to the candidate or have no phase.
    """
    candidate = composition_of(formula)
    hull = CompetingPhases(
        entries,
        symbols_of(candidate),
        level=level,
        include_hypothetical=include_hypothetical,
        without=candidate,
    )
    mixed, reaction_energy = (
        reaction(formula, energy_ev_per_atom, entries, components) if components else ((), None)
    )
    elemental = {e.symbol: hull.diagram.el_refs[e].energy_per_atom for e in candidate.elements}
    return HullAnalysis(
        formula=candidate.reduced_formula,
        level=level,
        energy_ev_per_atom=energy_ev_per_atom,
        formation_energy_ev_per_atom=_formation(candidate, energy_ev_per_atom, elemental),
        energy_above_hull_ev_per_atom=energy_ev_per_atom - hull.energy_ev_per_atom(candidate),
        decomposition=tuple(
            Product(entry.phase_id, composition_of(entry.formula).reduced_formula, share)
            for entry, share in sorted(hull.mixture(candidate).values(), key=lambda p: -p[1])
        ),
        reaction_energy_ev_per_atom=reaction_energy,
        components=mixed,
        energy_above_crystal_ev_per_atom=None
        if crystal_energy_ev_per_atom is None
        else energy_ev_per_atom - crystal_energy_ev_per_atom,
        oxidation_states={k: list(v) for k, v in (oxidation_states or {}).items()},
        roles=hull.roles,
        points=tuple(
            HullPoint(
                entry,
                _formation(pd_entry.composition, entry.energy_ev_per_atom, elemental),
                float(hull.diagram.get_e_above_hull(pd_entry)),
            )
            for pd_entry, entry in zip(hull.pd_entries, hull.entries, strict=True)
        ),
    )


def _formation(
    composition: Composition, energy_ev_per_atom: float, elemental: Mapping[str, float]
) -> float:
    reference = sum(
        composition.get_atomic_fraction(symbol) * energy for symbol, energy in elemental.items()
    )
    return float(energy_ev_per_atom - reference)


def reaction(
    formula: str,
    energy_ev_per_atom: float,
    entries: Sequence[HullEntry],
    components: Mapping[str, float],
) -> tuple[tuple[Product, ...], float]:
    """Return what a candidate is made from and the energy (eV/atom) of that reaction.

    Parameters
    ----------
    formula, energy_ev_per_atom, entries, components
        As for `hull_analysis`.

    Returns
    -------
    tuple
        The components in formula units for `formula` as it is scaled, with the phases whose
        energies were taken, and the energy of the candidate less theirs.

    Raises
    ------
    AnalysisError
        If components do not sum up to the candidate or have no `reference` phase.
    """
    candidate = composition_of(formula)
    amounts = {formula: amount for formula, amount in components.items() if amount}
    total = total_composition(amounts)
    if not total.fractional_composition.almost_equals(
        candidate.fractional_composition, rtol=0.0, atol=_TOLERANCE
    ):
        raise AnalysisError(
            "the components do not sum up to the candidate",
            given=f"{total.formula} for {candidate.formula}",
            remedy="check the formula units of the components",
        )
    scale = candidate.num_atoms / total.num_atoms
    products, energy = [], 0.0
    for part, amount in amounts.items():
        entry = lowest_reference(part, entries)
        units = amount * scale
        products.append(Product(entry.phase_id, part, units))
        energy += units * entry.energy_ev_per_atom * composition_of(part).num_atoms
    return tuple(products), energy_ev_per_atom - energy / candidate.num_atoms
