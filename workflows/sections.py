"""Sweeps on the hull: candidates that share components, and the section through these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pymatgen.core import Composition

from ..analysis.competition import HullEntry as Entry
from ..analysis.competition import Product as SectionProduct
from ..analysis.hull_section import (
    HullSection,
    SectionPhase,
    component_fractions,
    line_section,
    ternary_section,
)
from ..analysis.reactions import HomogeneousPoint
from ..analysis.segregation import segregation as analyse_segregation
from ..errors import AnalysisError
from ..stores.documents import HullDocument
from .collect import CandidateResults

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "HullSection", "SectionCandidate", "SectionPhase", "SectionProduct", "SweepSection",
    "sweep_sections",
]  # fmt: skip

_N_TERNARY = 3
_SAME = 1e-6
ResultsT = TypeVar("ResultsT", bound=CandidateResults)
_Sample = tuple[ResultsT, HullDocument]


@dataclass(frozen=True)
class SectionCandidate(Generic[ResultsT]):
    """A computed sample of a candidate in the section of its sweep.

    Attributes
    ----------
    view, document
        The candidate and the hull of this sample.
    fractions
        Mole fraction of each component.
    mixing_energy_ev_per_atom
        Relative to the unmixed components.
    homogeneous_gain_ev_per_atom, homogeneous_amount
        Most that is gained by losing salt to a glass of this sweep that has less of it, and
        the salt lost per formula unit; None where there is no such glass.
    """

    view: ResultsT
    document: HullDocument
    fractions: dict[str, float]
    mixing_energy_ev_per_atom: float
    homogeneous_gain_ev_per_atom: float | None
    homogeneous_amount: float | None


@dataclass(frozen=True)
class SweepSection(Generic[ResultsT]):
    """Candidates of the same components at one level of theory.

    Attributes
    ----------
    components
        Formulas; the lightest, whose fraction is the axis of plots, comes last.
    line
        The hull from the first to the last composition, the whole range of a pseudo-binary.
    triangle
        The section through three components; None for two.
    candidates
        In the order of the axis.
    """

    family: str
    level: str
    components: tuple[str, ...]
    line: HullSection
    triangle: HullSection | None
    candidates: tuple[SectionCandidate[ResultsT], ...]

    @property
    def axis(self) -> str:
        """Formula of the component whose mole fraction is the axis."""
        return self.components[-1]


def sweep_sections(
    views: Sequence[ResultsT], *, segregation: bool = True
) -> list[SweepSection[ResultsT]]:
    """Return a section for each set of components with two compositions or more.

    Parameters
    ----------
    views
        Candidates with their hulls.
    segregation
        Look for what glasses gain by losing salt to each other; its time grows with the
        square of their number.
    """
    samples = [(view, hull) for view in views for hull in view.of_kind(HullDocument).values()]
    keys = dict.fromkeys(
        (view.summary.family, hull.level, frozenset(p.formula for p in hull.reaction_components))
        for view, hull in samples
    )
    sections = (
        _section(
            family,
            level,
            components,
            _members(samples, family, level, components),
            segregation=segregation,
        )
        for family, level, components in keys
        if len(components) > 1
    )
    return [section for section in sections if section is not None]


def _members(
    samples: Iterable[_Sample[ResultsT]], family: str, level: str, components: frozenset[str]
) -> list[_Sample[ResultsT]]:
    """Return the samples of these components, and those that are one of them by itself."""
    single = {Composition(formula).reduced_formula for formula in components}
    return [
        (view, hull)
        for view, hull in samples
        if (view.summary.family, hull.level) == (family, level)
        and (
            frozenset(p.formula for p in hull.reaction_components) == components
            or (
                not hull.reaction_components and Composition(hull.formula).reduced_formula in single
            )
        )
    ]


def _section(
    family: str,
    level: str,
    components: frozenset[str],
    samples: list[_Sample[ResultsT]],
    *,
    segregation: bool,
) -> SweepSection[ResultsT] | None:
    order = sorted(components, key=lambda f: (-Composition(f).weight, f))
    placed = [
        (sample, fractions)
        for sample in samples
        if (fractions := component_fractions(Composition(sample[1].formula), order)) is not None
    ]
    placed.sort(key=lambda pair: pair[1][order[-1]])
    if not placed or placed[-1][1][order[-1]] - placed[0][1][order[-1]] < _SAME:
        return None
    entries = _entries(samples)
    wide = any("hypothetical" in hull.roles for _, hull in samples)
    is_triangle = len(order) == _N_TERNARY
    ends = (placed[0][1], placed[-1][1]) if len(order) > 2 else ({order[0]: 1.0}, {order[1]: 1.0})  # noqa: PLR2004  (a pseudo-binary)
    try:
        line = line_section(*ends, entries, level=level, include_hypothetical=wide)
        triangle = (
            ternary_section(order, entries, level=level, include_hypothetical=wide)
            if is_triangle
            else None
        )
    except AnalysisError:  # a component has no reference phase at this level
        return None
    glasses = [
        HomogeneousPoint(hull.formula, hull.energy_ev_per_atom)
        for view, hull in samples
        if segregation and view.summary.phase == "glass"
    ]
    candidates = tuple(
        _candidate(sample, fractions, line, entries, glasses) for sample, fractions in placed
    )
    return SweepSection(family, level, tuple(order), line, triangle, candidates)


def _entries(samples: Iterable[_Sample[ResultsT]]) -> list[Entry]:
    known: dict[str, Entry] = {}
    for _, hull in samples:
        for entry in hull.entries:
            known.setdefault(
                entry.phase_id,
                Entry(
                    entry.phase_id,
                    entry.formula,
                    entry.energy_ev_per_atom,
                    entry.role,
                    hull.level,
                ),
            )
    return list(known.values())


def _candidate(
    sample: _Sample[ResultsT],
    fractions: dict[str, float],
    line: HullSection,
    entries: Sequence[Entry],
    glasses: Sequence[HomogeneousPoint],
) -> SectionCandidate[ResultsT]:
    view, hull = sample
    gain = amount = None
    if glasses and hull.segregation is not None and view.summary.phase == "glass":
        found = analyse_segregation(
            hull.formula,
            hull.energy_ev_per_atom,
            entries,
            level=hull.level,
            salt=hull.segregation.salt,
            homogeneous=glasses,
        )
        gain, amount = found.homogeneous_driving_force_ev_per_atom, found.homogeneous_amount
    return SectionCandidate(
        view,
        hull,
        fractions,
        line.mixing_energy_ev_per_atom(hull.formula, hull.energy_ev_per_atom),
        gain,
        amount,
    )
