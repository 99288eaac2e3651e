"""Phases that compete at one level of theory, and the hull that they span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymatgen.core import Composition

from ..errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram

_REFERENCE = "reference"
_HYPOTHETICAL = "hypothetical"
_TRACE = 1e-6


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
class Product:
    """An amount of one phase.

    Attributes
    ----------
    phase_id, formula
        The phase.
    amount
        Fraction of atoms among decomposition products; formula units of the phase per formula
        unit of the candidate elsewhere (reactions, windows, segregation).
    """

    phase_id: str
    formula: str
    amount: float


class CompetingPhases:
    """The hull of the phases that may compete within a set of elements.

    Parameters
    ----------
    entries
        Phases, all at `level`.
    elements
        Symbols; phases that hold others are left out.
    level
        Level of theory.
    include_hypothetical
        Whether hypothetical phases compete; targets never do.
    without
        Composition that does not compete, e.g. the candidate's own.

    Raises
    ------
    AnalysisError
        If levels of theory are mixed, or an element has no phase of its own.
    """

    def __init__(
        self,
        entries: Sequence[HullEntry],
        elements: Iterable[str],
        *,
        level: str,
        include_hypothetical: bool = False,
        without: Composition | None = None,
    ) -> None:
        require_level(entries, level)
        self.roles = (_REFERENCE, _HYPOTHETICAL) if include_hypothetical else (_REFERENCE,)
        allowed = set(elements)
        own = None if without is None else without.reduced_formula
        self.entries = [
            entry
            for entry in entries
            if entry.role in self.roles
            and (made_of := composition_of(entry.formula)).reduced_formula != own
            and {element.symbol for element in made_of.elements} <= allowed
        ]
        self.diagram, self.pd_entries = _phase_diagram(self.entries, allowed)
        self._by_pd_entry = {
            id(pd_entry): entry
            for pd_entry, entry in zip(self.pd_entries, self.entries, strict=True)
        }

    def energy_ev_per_atom(self, composition: Composition) -> float:
        """Return the energy of the most stable mixture of phases at `composition`."""
        return float(self.diagram.get_hull_energy_per_atom(composition))

    def mixture(self, composition: Composition) -> dict[str, tuple[HullEntry, float]]:
        """Return phase id to phase and fraction of atoms in the most stable mixture."""
        shares = {}
        for pd_entry, share in self.diagram.get_decomposition(composition).items():
            entry = self._by_pd_entry[id(pd_entry)]
            if share > _TRACE:
                shares[entry.phase_id] = (entry, float(share))
        return shares

    def products(self, composition: Composition) -> tuple[Product, ...]:
        """Return the most stable mixture in formula units, for `composition` as it is scaled."""
        total = float(composition.num_atoms)
        parts = sorted(self.mixture(composition).values(), key=lambda part: -part[1])
        products = []
        for entry, share in parts:
            formula = composition_of(entry.formula).reduced_formula
            units = share * total / float(composition_of(formula).num_atoms)
            products.append(Product(entry.phase_id, formula, units))
        return tuple(products)


def composition_of(formula: str) -> Composition:
    """Read a formula; an unreadable one raises AnalysisError."""
    try:
        composition = Composition(formula)
    except ValueError as error:
        raise AnalysisError("a formula cannot be read", given=formula) from error
    if not composition.num_atoms:
        raise AnalysisError("a formula cannot be read", given=repr(formula))
    return composition


def symbols_of(composition: Composition) -> set[str]:
    """Return the symbols of the elements of `composition`."""
    return {element.symbol for element in composition.elements}


def total_composition(amounts: Mapping[str, float]) -> Composition:
    """Return the atoms in `amounts` (formula to formula units)."""
    return sum((composition_of(f) * n for f, n in amounts.items()), Composition())


def require_level(entries: Sequence[HullEntry], level: str) -> None:
    """Raise AnalysisError if an entry is of another level of theory."""
    foreign = [f"{entry.phase_id} ({entry.level})" for entry in entries if entry.level != level]
    if foreign:
        raise AnalysisError(
            "energies of different levels of theory cannot share a hull",
            given=f"{len(foreign)} phases at other levels: {', '.join(foreign[:3])}",
            allowed=f"the candidate's level, {level}",
            remedy="compute the phases at that level",
        )


def lowest_reference(formula: str, entries: Iterable[HullEntry]) -> HullEntry:
    """Return the reference phase of this composition with the lowest energy.

    Raises
    ------
    AnalysisError
        If there is none.
    """
    reduced = composition_of(formula).reduced_formula
    phases = [
        entry
        for entry in entries
        if entry.role == _REFERENCE and composition_of(entry.formula).reduced_formula == reduced
    ]
    if not phases:
        raise AnalysisError(
            "a component has no reference phase, so its reaction energy is not defined",
            given=formula,
            remedy="add a phase of this composition to the entries",
        )
    return min(phases, key=lambda entry: entry.energy_ev_per_atom)


def _phase_diagram(
    competing: Sequence[HullEntry], elements: set[str]
) -> tuple[PhaseDiagram, list[PDEntry]]:
    from pymatgen.analysis.phase_diagram import (  # noqa: PLC0415  (imports matplotlib)
        PDEntry,
        PhaseDiagram,
    )

    pd_entries = []
    for entry in competing:
        composition = composition_of(entry.formula)
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
