"""Stability of a candidate against competing phases at one level of theory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymatgen.core import Composition

from ..errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram

_REFERENCE = "reference"
_HYPOTHETICAL = "hypothetical"
_TOLERANCE = 1e-4
_TRACE = 1e-8


@dataclass(frozen=True, slots=True)
class HullEntry:
    """A phase that may compete with a candidate.

    Attributes
    ----------
    phase_id, formula
        Name and chemical formula.
    energy_ev_per_atom
        Total energy.
    role
        ``reference``, ``hypothetical`` or ``target``.
    level
        Level of theory of the energy.
    """

    phase_id: str
    formula: str
    energy_ev_per_atom: float
    role: str
    level: str


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
class Product:
    """An amount of one phase.

    Attributes
    ----------
    phase_id, formula
        The phase.
    amount
        Fraction of atoms among decomposition products; formula units of the phase per formula
        unit of the candidate as given, among components.
    """

    phase_id: str
    formula: str
    amount: float


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
    candidate = _composition(formula)
    _require_level(entries, level)
    elements = {element.symbol for element in candidate.elements}
    roles = (_REFERENCE, _HYPOTHETICAL) if include_hypothetical else (_REFERENCE,)
    competing = [
        entry
        for entry in entries
        if entry.role in roles
        and (composition := _composition(entry.formula)).reduced_formula
        != candidate.reduced_formula
        and {element.symbol for element in composition.elements} <= elements
    ]
    diagram = _phase_diagram(competing, elements)
    phases = {id(pd_entry): entry for pd_entry, entry in zip(diagram[1], competing, strict=True)}
    pd = diagram[0]
    products, hull_energy = pd.get_decomp_and_hull_energy_per_atom(candidate)
    mixed, reaction_energy = _reaction(candidate, energy_ev_per_atom, entries, components)
    elemental = {e.symbol: pd.el_refs[e].energy_per_atom for e in candidate.elements}
    return HullAnalysis(
        formula=candidate.reduced_formula,
        level=level,
        energy_ev_per_atom=energy_ev_per_atom,
        formation_energy_ev_per_atom=_formation(candidate, energy_ev_per_atom, elemental),
        energy_above_hull_ev_per_atom=energy_ev_per_atom - float(hull_energy),
        decomposition=tuple(
            Product(phases[id(entry)].phase_id, entry.composition.reduced_formula, float(share))
            for entry, share in sorted(products.items(), key=lambda item: -item[1])
            if share > _TRACE
        ),
        reaction_energy_ev_per_atom=reaction_energy,
        components=mixed,
        energy_above_crystal_ev_per_atom=None
        if crystal_energy_ev_per_atom is None
        else energy_ev_per_atom - crystal_energy_ev_per_atom,
        oxidation_states={k: list(v) for k, v in (oxidation_states or {}).items()},
        roles=roles,
        points=tuple(
            HullPoint(
                entry,
                _formation(pd_entry.composition, entry.energy_ev_per_atom, elemental),
                float(pd.get_e_above_hull(pd_entry)),
            )
            for pd_entry, entry in zip(diagram[1], competing, strict=True)
        ),
    )


def _composition(formula: str) -> Composition:
    try:
        composition = Composition(formula)
    except ValueError as error:
        raise AnalysisError("a formula cannot be read", given=formula) from error
    if not composition.num_atoms:
        raise AnalysisError("a formula cannot be read", given=repr(formula))
    return composition


def _require_level(entries: Sequence[HullEntry], level: str) -> None:
    foreign = [f"{entry.phase_id} ({entry.level})" for entry in entries if entry.level != level]
    if foreign:
        raise AnalysisError(
            "energies of different levels of theory cannot share a hull",
            given=f"{len(foreign)} phases at other levels: {', '.join(foreign[:3])}",
            allowed=f"the candidate's level, {level}",
            remedy="compute the phases at that level",
        )


def _phase_diagram(
    competing: Sequence[HullEntry], elements: set[str]
) -> tuple[PhaseDiagram, list[PDEntry]]:
    from pymatgen.analysis.phase_diagram import (  # noqa: PLC0415  (imports matplotlib)
        PDEntry,
        PhaseDiagram,
    )

    pd_entries = []
    for entry in competing:
        composition = _composition(entry.formula)
        energy = entry.energy_ev_per_atom * composition.num_atoms
        pd_entries.append(PDEntry(composition, energy, name=entry.phase_id))
    missing = elements - {
        entry.composition.elements[0].symbol for entry in pd_entries if entry.is_element
    }
    if missing:
        raise AnalysisError(
            "a hull needs a phase of every element",
            given=f"no elemental reference for {', '.join(sorted(missing))}",
            remedy="add the elements' phases to the entries",
        )
    return PhaseDiagram(pd_entries), pd_entries


def _formation(
    composition: Composition, energy_ev_per_atom: float, elemental: Mapping[str, float]
) -> float:
    reference = sum(
        composition.get_atomic_fraction(symbol) * energy for symbol, energy in elemental.items()
    )
    return float(energy_ev_per_atom - reference)


def _reaction(
    candidate: Composition,
    energy_ev_per_atom: float,
    entries: Sequence[HullEntry],
    components: Mapping[str, float] | None,
) -> tuple[tuple[Product, ...], float | None]:
    """Return the components per formula unit of the candidate and the energy of reaction."""
    if not components:
        return (), None
    amounts = {formula: amount for formula, amount in components.items() if amount}
    total = sum((_composition(f) * n for f, n in amounts.items()), Composition())
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
    for formula, amount in amounts.items():
        entry = _lowest(formula, entries)
        units = amount * scale
        products.append(Product(entry.phase_id, formula, units))
        energy += units * entry.energy_ev_per_atom * _composition(formula).num_atoms
    return tuple(products), energy_ev_per_atom - energy / candidate.num_atoms


def _lowest(formula: str, entries: Sequence[HullEntry]) -> HullEntry:
    reduced = _composition(formula).reduced_formula
    phases = [
        entry
        for entry in entries
        if entry.role == _REFERENCE and _composition(entry.formula).reduced_formula == reduced
    ]
    if not phases:
        raise AnalysisError(
            "a component has no reference phase, so its reaction energy is not defined",
            given=formula,
            remedy="add a phase of this composition to the entries",
        )
    return min(phases, key=lambda entry: entry.energy_ev_per_atom)
