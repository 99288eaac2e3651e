"""Sections of the hull through the components of a sweep: along a line, in a triangle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import ConvexHull, QhullError

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
from .reactions import formula_units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Composition

_SAME = 1e-6
_ON_HULL_EV = 1e-5
_N_TERNARY = 3


@dataclass(frozen=True, slots=True)
class SectionPoint:
    """The most stable mixture of phases at one composition of a section.

    Attributes
    ----------
    fractions
        Mole fraction of each component, by formula; they sum to 1.
    energy_ev_per_atom
        Energy of the mixture relative to the unmixed components: 0 or negative.
    products
        Phases in formula units per mole of components.
    is_vertex
        Whether the set of phases changes here.
    """

    fractions: dict[str, float]
    energy_ev_per_atom: float
    products: tuple[Product, ...]
    is_vertex: bool


@dataclass(frozen=True, slots=True)
class SectionPhase:
    """A phase whose composition lies in the section.

    Attributes
    ----------
    entry
        The phase.
    fractions
        Mole fraction of each component that makes it up.
    energy_ev_per_atom
        Relative to the unmixed components.
    energy_above_hull_ev_per_atom
        Above the hull of all phases, those outside of the section too.
    """

    entry: HullEntry
    fractions: dict[str, float]
    energy_ev_per_atom: float
    energy_above_hull_ev_per_atom: float


@dataclass(frozen=True, slots=True)
class HullSection:
    """A section of the hull.

    Attributes
    ----------
    components
        Formulas that fractions refer to.
    component_energies_ev_per_atom
        Energy of the lowest reference phase of each.
    points
        Along a line, from start to stop; empty for a triangle.
    phases
        Phases in the section, the components among them.
    tie_lines
        Pairs of phase ids that coexist within the section, by its own phases alone.
    """

    components: tuple[str, ...]
    component_energies_ev_per_atom: dict[str, float]
    points: tuple[SectionPoint, ...]
    phases: tuple[SectionPhase, ...]
    tie_lines: tuple[tuple[str, str], ...]

    def fractions_of(self, formula: str) -> dict[str, float] | None:
        """Return the mole fractions of the components that make `formula`, None if none do."""
        return component_fractions(composition_of(formula), self.components)

    def mixing_energy_ev_per_atom(self, formula: str, energy_ev_per_atom: float) -> float:
        """Return an energy relative to the unmixed components.

        Raises
        ------
        AnalysisError
            If the components cannot make `formula`.
        """
        fractions = self.fractions_of(formula)
        if fractions is None:
            raise AnalysisError(
                "the components of this section cannot make the composition",
                given=formula,
                allowed=f"mixtures of {', '.join(self.components)}",
                remedy="take the section of its own components",
            )
        return energy_ev_per_atom - _unmixed(fractions, self.component_energies_ev_per_atom)


def component_fractions(
    composition: Composition, components: Sequence[str]
) -> dict[str, float] | None:
    """Return the mole fractions of `components` that make `composition`; None if none do."""
    units = formula_units(composition, components)
    if units is None:
        return None
    total = sum(units.values())
    return {formula: n / total for formula, n in units.items()}


def line_section(
    start: Mapping[str, float],
    stop: Mapping[str, float],
    entries: Sequence[HullEntry],
    *,
    level: str,
    include_hypothetical: bool = False,
    n_points: int = 41,
) -> HullSection:
    """Follow the hull from one mixture of components to another.

    Parameters
    ----------
    start, stop
        Formula units by component; ``{"NaTaCl6": 1}`` and ``{"Na2O": 1}`` give the whole
        pseudo-binary.
    entries
        Phases at `level`; all of them compete, whether they lie on the line or not.
    level
        Level of theory.
    include_hypothetical
        Whether hypothetical phases compete.
    n_points
        Points spaced evenly in mole fraction; those where the phases change are added.

    Raises
    ------
    AnalysisError
        If both ends are one composition, a component has no reference phase, or the phases
        allow no hull.
    """
    ends = [_normalised(start), _normalised(stop)]
    components = tuple(sorted({*ends[0], *ends[1]}))
    one, other = (total_composition(end) for end in ends)
    if one.fractional_composition.almost_equals(other.fractional_composition, rtol=0, atol=_SAME):
        raise AnalysisError(
            "a line through the hull needs two different ends",
            given=f"{dict(start)} and {dict(stop)}",
            remedy="give two values of the sweep variable",
        )
    hull, energies = _hull_of(components, entries, level, include_hypothetical)
    kinks = [
        _position(composition, one, other)
        for composition in hull.diagram.get_critical_compositions(one, other)
    ]
    points = []
    for position in _merged([*np.linspace(0.0, 1.0, n_points).tolist(), *kinks]):
        amounts = {
            f: (1 - position) * ends[0].get(f, 0.0) + position * ends[1].get(f, 0.0)
            for f in components
        }
        mixture = total_composition(amounts)
        points.append(
            SectionPoint(
                fractions=amounts,
                energy_ev_per_atom=hull.energy_ev_per_atom(mixture) - _unmixed(amounts, energies),
                products=hull.products(mixture),
                is_vertex=any(abs(position - kink) < _SAME for kink in kinks),
            )
        )
    on_line = [
        phase
        for phase in _phases(hull, components, energies)
        if _is_between(phase.fractions, points[0].fractions, points[-1].fractions)
    ]
    return HullSection(components, energies, tuple(points), tuple(on_line), ())


def ternary_section(
    components: Sequence[str],
    entries: Sequence[HullEntry],
    *,
    level: str,
    include_hypothetical: bool = False,
) -> HullSection:
    """Find the phases within the triangle of three components, and which of them coexist.

    Tie lines are those of the lower hull of the phases within the triangle. Where phases
    outside of it are more stable, the true mixture is another: the energies above the hull,
    which count all phases, tell.

    Parameters
    ----------
    components
        Three formulas.
    entries, level, include_hypothetical
        As for `line_section`.

    Raises
    ------
    AnalysisError
        If there are not three independent components, one has no reference phase, or the
        phases allow no hull.
    """
    names = tuple(components)
    vectors = [composition_of(formula).fractional_composition for formula in names]
    elements = sorted({symbol for vector in vectors for symbol in symbols_of(vector)})
    matrix = np.array([[float(vector[symbol]) for symbol in elements] for vector in vectors])
    if len(names) != _N_TERNARY or np.linalg.matrix_rank(matrix, tol=_SAME) < _N_TERNARY:
        raise AnalysisError(
            "a triangle needs three components of which none is made of the others",
            given=", ".join(names),
            remedy="name the three components of the sweep",
        )
    hull, energies = _hull_of(names, entries, level, include_hypothetical)
    phases = _phases(hull, names, energies)
    return HullSection(names, energies, (), tuple(phases), tuple(_tie_lines(phases, names)))


def _hull_of(
    components: Sequence[str],
    entries: Sequence[HullEntry],
    level: str,
    include_hypothetical: bool,  # noqa: FBT001  (passed on)
) -> tuple[CompetingPhases, dict[str, float]]:
    elements = {symbol for f in components for symbol in symbols_of(composition_of(f))}
    hull = CompetingPhases(
        entries, elements, level=level, include_hypothetical=include_hypothetical
    )
    return hull, {f: lowest_reference(f, entries).energy_ev_per_atom for f in components}


def _normalised(amounts: Mapping[str, float]) -> dict[str, float]:
    total = sum(amounts.values())
    if not total > 0 or min(amounts.values()) < 0:
        raise AnalysisError(
            "an end of a section needs components in amounts of 0 or more",
            given=dict(amounts),
            remedy="give formula units by component",
        )
    return {formula: n / total for formula, n in amounts.items() if n > 0}


def _unmixed(fractions: Mapping[str, float], energies: Mapping[str, float]) -> float:
    """Return the energy per atom of the components side by side."""
    atoms = {f: n * float(composition_of(f).num_atoms) for f, n in fractions.items()}
    return sum(n * energies[f] for f, n in atoms.items()) / sum(atoms.values())


def _position(composition: Composition, one: Composition, other: Composition) -> float:
    """Return t of ``(1 - t) one + t other``, whose atomic fractions are those given."""
    share = composition.fractional_composition
    elements = sorted(symbols_of(one + other))
    a, b, f = (np.array([float(c[symbol]) for symbol in elements]) for c in (one, other, share))
    direction = (b - a) - (b.sum() - a.sum()) * f
    return float(direction @ (a.sum() * f - a) / (direction @ direction))


def _merged(positions: Sequence[float]) -> list[float]:
    kept: list[float] = []
    for position in sorted(min(max(p, 0.0), 1.0) for p in positions):
        if not kept or position - kept[-1] > _SAME:
            kept.append(position)
    return kept


def _phases(
    hull: CompetingPhases, components: Sequence[str], energies: Mapping[str, float]
) -> list[SectionPhase]:
    phases = []
    for pd_entry, entry in zip(hull.pd_entries, hull.entries, strict=True):
        fractions = component_fractions(pd_entry.composition, components)
        if fractions is not None:
            phases.append(
                SectionPhase(
                    entry,
                    fractions,
                    entry.energy_ev_per_atom - _unmixed(fractions, energies),
                    float(hull.diagram.get_e_above_hull(pd_entry)),
                )
            )
    return phases


def _is_between(
    fractions: Mapping[str, float], start: Mapping[str, float], stop: Mapping[str, float]
) -> bool:
    a, b, f = (np.array([point[c] for c in sorted(start)]) for point in (start, stop, fractions))
    position = float((f - a) @ (b - a) / ((b - a) @ (b - a)))
    near = bool(np.abs(a + position * (b - a) - f).max() < _SAME)
    return near and -_SAME < position < 1 + _SAME


def _tie_lines(phases: Sequence[SectionPhase], components: Sequence[str]) -> list[tuple[str, str]]:
    """Return the edges of the lower hull of energies per mole of components."""
    lowest: dict[tuple[float, ...], SectionPhase] = {}
    for phase in sorted(phases, key=lambda p: p.energy_ev_per_atom):
        lowest.setdefault(tuple(round(phase.fractions[c], 6) for c in components), phase)
    known = list(lowest.values())
    xy = np.array([[p.fractions[c] for c in components[1:]] for p in known])
    molar = np.array([p.energy_ev_per_atom * _atoms(p.fractions) for p in known])
    if len(known) == _N_TERNARY:
        return _edges([tuple(range(len(known)))], known)
    depth = max(1.0, float(np.ptp(molar)))
    above = np.append(xy.mean(axis=0), molar.max() + depth)
    try:
        hull = ConvexHull(np.vstack([np.column_stack([xy, molar]), above]))
    except QhullError:  # all on a line: no facet
        return []
    facets = [
        tuple(int(i) for i in simplex)
        for simplex, equation in zip(hull.simplices, hull.equations, strict=True)
        if equation[-2] < -_ON_HULL_EV and len(known) not in simplex
    ]
    return _edges(facets, known)


def _atoms(fractions: Mapping[str, float]) -> float:
    return sum(n * float(composition_of(f).num_atoms) for f, n in fractions.items())


def _edges(
    facets: Sequence[tuple[int, ...]], phases: Sequence[SectionPhase]
) -> list[tuple[str, str]]:
    pairs = {(min(i, j), max(i, j)) for facet in facets for i in facet for j in facet if i != j}
    return [(phases[i].entry.phase_id, phases[j].entry.phase_id) for i, j in sorted(pairs)]
