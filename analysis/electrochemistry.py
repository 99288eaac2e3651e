"""The electrochemical window of a candidate against the metal of its mobile ion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from pymatgen.core import Composition, Element

from ..errors import AnalysisError
from ..quantity import TWO_SIDED_95, Quantity
from .competition import (
    CompetingPhases,
    HullEntry,
    Product,
    composition_of,
    symbols_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_CANDIDATE = "candidate"
_SAME_AMOUNT = 1e-6
"""Per atom of the candidate."""
_ON_HULL_EV = 1e-7


@dataclass(frozen=True, slots=True)
class RedoxState:
    """What the candidate becomes between two voltages, in equilibrium.

    Attributes
    ----------
    mobile_per_formula
        Mobile ions per formula unit of the candidate that it then holds.
    lower_v, upper_v
        Where it stands, against the metal of the mobile ion; no upper end for what holds no
        mobile ion any more.
    products
        Phases in formula units per formula unit of the candidate.
    """

    mobile_per_formula: float
    lower_v: float
    upper_v: float | None
    products: tuple[Product, ...]


@dataclass(frozen=True, slots=True)
class StabilityWindow:
    """Between which voltages a candidate neither takes up nor gives off its mobile ion.

    Attributes
    ----------
    formula, mobile
        Formula unit that amounts refer to, and the mobile ion.
    reduction_limit_v
        Below it the mobile ion is taken up; 0 for what is stable against the metal.
    oxidation_limit_v
        Above it the mobile ion is given off.
    reduction_products, oxidation_products
        What forms just below and just above; none where nothing does.
    is_metastable
        Whether the window is that of the phases which the candidate decomposes into, since
        it lies above their hull.
    states
        All voltages from 0 upwards, the one richest in the mobile ion first.
    """

    formula: str
    mobile: str
    reduction_limit_v: Quantity
    oxidation_limit_v: Quantity
    reduction_products: tuple[Product, ...]
    oxidation_products: tuple[Product, ...]
    is_metastable: bool
    states: tuple[RedoxState, ...]


@dataclass(frozen=True, slots=True)
class _Vertex:
    """A kink of the hull along the content of the mobile ion, per formula unit."""

    mobile: float
    energy_ev: float
    products: tuple[Product, ...]


def stability_window(
    formula: str,
    energy_ev_per_atom: float,
    entries: Sequence[HullEntry],
    *,
    level: str,
    mobile: str = "Na",
    include_hypothetical: bool = False,
    error_ev_per_atom: float | None = None,
) -> StabilityWindow:
    """Find the voltages at which the candidate starts to exchange its mobile ion.

    In a reservoir of the mobile ion at voltage V, mu = mu(metal) - e V, the amounts of all
    other elements stay and the mixture of least grand potential E - mu n forms (Richards et
    al., Chem. Mater. 28, 266 (2016)). E(n), the hull at n mobile ions, is convex; the window
    lies between its slopes right and left of the candidate's n. A candidate below the hull
    of all others competes with its own energy and widens the window. One above it is taken
    as the phases that it decomposes into: what their mixture survives. Where that mixture
    gives and takes the ion at one and the same voltage, both limits are that voltage.

    Parameters
    ----------
    formula
        Composition of the candidate, for any number of atoms.
    energy_ev_per_atom
        Its total energy at `level`.
    entries
        Phases at `level`; the candidate's own composition does not compete.
    level
        Level of theory.
    mobile
        Symbol of the mobile ion, of charge +1.
    include_hypothetical
        Whether hypothetical phases compete.
    error_ev_per_atom
        Standard deviation of the formation energy of a compound, independent between
        compounds and zero for elements; to first order it gives the sd of the limits.

    Raises
    ------
    AnalysisError
        If the candidate holds no mobile ion or nothing else, levels are mixed, or an element
        has no phase.
    """
    unit = composition_of(composition_of(formula).reduced_formula)
    host = Composition({el: n for el, n in unit.items() if el.symbol != mobile})
    if mobile not in symbols_of(unit) or not host:
        raise AnalysisError(
            "a window needs a compound of the mobile ion with other elements",
            given=f"{unit.reduced_formula}, mobile {mobile}",
            remedy="name the ion that the candidate conducts",
        )
    hull, is_metastable = _hull_with_candidate(
        unit, energy_ev_per_atom, entries, level, include_hypothetical
    )
    metal_ev = float(hull.diagram.el_refs[Element(mobile)].energy_per_atom)
    vertices = _vertices(hull, host, mobile)
    steps = [
        (_voltage(rich, poor, metal_ev), _voltage_sd(rich, poor, error_ev_per_atom))
        for rich, poor in pairwise(vertices)
    ]
    richer = [i for i, vertex in enumerate(vertices) if vertex.mobile > unit[mobile] + _SAME_AMOUNT]
    poorer = [i for i, vertex in enumerate(vertices) if vertex.mobile < unit[mobile] - _SAME_AMOUNT]
    return StabilityWindow(
        formula=unit.reduced_formula,
        mobile=mobile,
        reduction_limit_v=_limit(*steps[richer[-1]]) if richer else Quantity(0.0),
        oxidation_limit_v=_limit(*steps[poorer[0] - 1]) if poorer[0] else Quantity(0.0),
        reduction_products=vertices[richer[-1]].products if richer else (),
        oxidation_products=vertices[poorer[0]].products,
        is_metastable=is_metastable,
        states=tuple(
            RedoxState(vertex.mobile, lower, upper, vertex.products)
            for vertex, lower, upper in zip(
                vertices,
                [0.0, *(voltage for voltage, _ in steps)],
                [*(voltage for voltage, _ in steps), None],
                strict=True,
            )
        ),
    )


def _hull_with_candidate(
    unit: Composition,
    energy_ev_per_atom: float,
    entries: Sequence[HullEntry],
    level: str,
    include_hypothetical: bool,  # noqa: FBT001  (passed on)
) -> tuple[CompetingPhases, bool]:
    """Return the hull with the candidate in it where it lies below, and whether it does not."""

    def hull_of(phases: Sequence[HullEntry], without: Composition | None) -> CompetingPhases:
        return CompetingPhases(
            phases,
            symbols_of(unit),
            level=level,
            include_hypothetical=include_hypothetical,
            without=without,
        )

    others = hull_of(entries, unit)
    if energy_ev_per_atom > others.energy_ev_per_atom(unit) - _ON_HULL_EV:
        return others, True
    formula = unit.reduced_formula
    own = HullEntry(_CANDIDATE, formula, energy_ev_per_atom, "reference", level)
    return hull_of([*others.entries, own], None), False


def _vertices(hull: CompetingPhases, host: Composition, mobile: str) -> list[_Vertex]:
    """Return the kinks of the hull from rich to poor in the mobile ion."""
    metal = Composition(mobile)
    found: list[_Vertex] = []
    for composition in hull.diagram.get_critical_compositions(metal, host):
        fraction = composition.get_atomic_fraction(mobile)
        if fraction > 1 - _SAME_AMOUNT:
            continue
        n = float(host.num_atoms * fraction / (1 - fraction))
        whole = host + metal * n
        energy = hull.energy_ev_per_atom(whole) * float(whole.num_atoms)
        if not found or found[-1].mobile - n > _SAME_AMOUNT * host.num_atoms:
            found.append(_Vertex(n, energy, hull.products(whole)))
    return found


def _voltage(rich: _Vertex, poor: _Vertex, metal_ev: float) -> float:
    """Return the voltage at which `rich` gives off mobile ions and becomes `poor`."""
    slope = (rich.energy_ev - poor.energy_ev) / (rich.mobile - poor.mobile)
    return metal_ev - slope


def _voltage_sd(rich: _Vertex, poor: _Vertex, error_ev_per_atom: float | None) -> float | None:
    if error_ev_per_atom is None:
        return None
    atoms: dict[str, float] = {}
    for sign, vertex in ((1.0, rich), (-1.0, poor)):
        for product in vertex.products:
            made_of = composition_of(product.formula)
            if len(made_of) > 1:
                change = sign * product.amount * float(made_of.num_atoms)
                atoms[product.phase_id] = atoms.get(product.phase_id, 0.0) + change
    return error_ev_per_atom * math.hypot(*atoms.values()) / (rich.mobile - poor.mobile)


def _limit(voltage_v: float, sd_v: float | None) -> Quantity:
    if sd_v is None:
        return Quantity(voltage_v)
    ends = (voltage_v - TWO_SIDED_95 * sd_v, voltage_v + TWO_SIDED_95 * sd_v)
    return Quantity(voltage_v, sd_v, *ends)
