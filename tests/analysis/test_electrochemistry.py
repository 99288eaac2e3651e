"""Electrochemical windows: by hand, by linear programming, and with pymatgen as the judge."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_entries import LEVEL, energy_of, entry, library, lowest_energy
from pymatgen.analysis.phase_diagram import GrandPotentialPhaseDiagram, PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element
from scipy.optimize import linprog

from haloflow.analysis.electrochemistry import stability_window
from haloflow.errors import AnalysisError
from haloflow.quantity import Quantity
from haloflow.systems.families import list_families
from haloflow.systems.phases import get_phase, phases_within

BY_HAND = [
    entry("Na", "Na", -1.0),
    entry("Cl2", "Cl2", -2.0),
    entry("Ta", "Ta", -10.0),
    entry("NaCl", "NaCl", -3.5),
    entry("TaCl5", "TaCl5", -4.0),
]


def test_a_compound_that_gives_off_its_metal_by_itself_is_oxidised_at_0_v():
    entries = [entry("Na", "Na", -1.0), entry("Cl", "Cl2", -2.0), entry("Ta", "Ta", -3.0)]
    alone = window("NaCl", -1.4, entries[:2])
    assert alone.oxidation_limit_v == alone.reduction_limit_v == Quantity(0.0)
    assert alone.is_metastable
    salt = [*entries, entry("TaCl", "TaCl", -4.0), entry("NaTaCl", "NaTaCl", -5.0)]
    assert window("Na2TaCl", -2.0, salt).oxidation_limit_v == Quantity(0.0)


def window(formula="NaTaCl6", energy=-4.0, entries=BY_HAND, **options):
    return stability_window(formula, energy, entries, level=LEVEL, **options)


def named(products):
    return {p.formula: pytest.approx(p.amount) for p in products}


def test_sodium_chloride_by_hand():
    """NaCl -> Na + Cl2/2 costs 7 - 1 - 2 = 4 eV; NaCl is stable against Na."""
    found = window("Na3Cl3", -3.5, error_ev_per_atom=0.03)
    assert found.formula == "NaCl"
    assert found.oxidation_limit_v.value == pytest.approx(4.0)
    assert found.oxidation_limit_v.sd == pytest.approx(2 * 0.03)
    assert found.oxidation_limit_v.lower == pytest.approx(4.0 - 1.96 * 0.06)
    assert found.reduction_limit_v.value == 0.0
    assert found.reduction_limit_v.sd is None
    assert named(found.oxidation_products) == {"Cl2": 0.5}
    assert found.reduction_products == ()
    assert [state.mobile_per_formula for state in found.states] == pytest.approx([1.0, 0.0])
    assert found.states[1].upper_v is None


def test_a_phase_below_its_hull_widens_the_window_by_hand():
    """NaTaCl6 = -32: to TaCl5 + Cl2/2 + Na -26 - 1; with 5 Na (-5) to Ta + 6 NaCl (-52)."""
    found = window(energy=-4.0, error_ev_per_atom=0.03)
    assert not found.is_metastable
    assert found.oxidation_limit_v.value == pytest.approx(5.0)
    assert found.reduction_limit_v.value == pytest.approx(3.0)
    assert named(found.oxidation_products) == {"TaCl5": 1.0, "Cl2": 0.5}
    assert named(found.reduction_products) == {"NaCl": 6.0, "Ta": 1.0}
    assert found.oxidation_limit_v.sd == pytest.approx(0.03 * np.hypot(8, 6))
    assert found.reduction_limit_v.sd == pytest.approx(0.03 * np.hypot(8, 12) / 5)


def test_above_the_hull_the_window_is_that_of_the_products_by_hand():
    """NaCl + TaCl5: the chloride goes at 4 V, TaCl5 + 5 Na -> Ta + 5 NaCl (-45) at 3.2 V."""
    found = window(energy=-3.8)
    assert found.is_metastable
    assert found.oxidation_limit_v.value == pytest.approx(4.0)
    assert found.reduction_limit_v.value == pytest.approx(3.2)
    assert found.oxidation_limit_v.sd is None


def test_at_the_hull_the_two_windows_meet():
    above, below = window(energy=-3.875 + 1e-9), window(energy=-3.875 - 1e-6)
    for name in ("oxidation_limit_v", "reduction_limit_v"):
        ends = [getattr(one, name).value for one in (above, below)]
        assert ends[0] == pytest.approx(ends[1], abs=1e-4)


def test_a_mixture_that_gives_and_takes_at_one_voltage_has_no_width():
    """Na2TaCl8 is 2 NaCl + TaCl5 + Cl2/2: chlorine takes Na up where the chloride gives it."""
    found = window("Na2TaCl8", -3.0)
    assert found.oxidation_limit_v.value == pytest.approx(4.0)
    assert found.reduction_limit_v.value == pytest.approx(4.0)
    assert named(found.reduction_products) == {"NaCl": 3.0, "TaCl5": 1.0}


@pytest.mark.parametrize("formula", ["NaCl2", "Na2Cl3", "NaCl3"])
def test_a_phase_on_a_tie_line_makes_no_step(formula):
    """x NaCl + y Cl2 at exactly the energy of that mixture."""
    made_of = Composition(formula)
    energy = (-7.0 * made_of["Na"] - 2.0 * (made_of["Cl"] - made_of["Na"])) / made_of.num_atoms
    found = window("NaCl", -3.5, [*BY_HAND, entry("tie", formula, energy)])
    assert [state.lower_v for state in found.states] == pytest.approx([0.0, 4.0])
    assert named(found.oxidation_products) == {"Cl2": 0.5}


def test_coplanar_facets_make_no_step():
    """NaTaCl6 at the energy of NaCl + TaCl5: the line to TaCl5 + 3/2 Cl2 crosses its edge."""
    found = window("NaTaCl8", -2.0, [*BY_HAND, entry("edge", "NaTaCl6", -3.875)])
    assert [state.lower_v for state in found.states] == pytest.approx([0.0, 3.2, 4.0])
    assert [s.mobile_per_formula for s in found.states] == pytest.approx([8.0, 3.0, 0.0])


def test_other_ions_and_hypothetical_phases_only_if_asked():
    potassium = [replace(e, formula=e.formula.replace("Na", "K")) for e in BY_HAND]
    found = window("KTaCl6", -4.0, potassium, mobile="K")
    assert found.oxidation_limit_v.value == pytest.approx(5.0)
    rumour = [*BY_HAND, entry("h", "Na2TaCl7", -5.0, "hypothetical")]
    assert window(entries=rumour) == window()
    assert window(entries=rumour, include_hypothetical=True) != window()


def diagram(elements, extra=()):
    phases = [PDEntry(p.formula, lowest_total(p.id)) for p in phases_within(elements)]
    return PhaseDiagram([*phases, *extra])


def lowest_total(phase_id):
    return energy_of(phase_id) * get_phase(phase_id).composition.num_atoms


SYSTEMS = {
    "Ta": ("NaCl", "TaCl5", "Na2O", "TaOCl3", "Na2O2"),
    "Hf": ("NaCl", "HfCl4", "Na2O2", "HfO2"),
    "S": ("NaCl", "TaCl5", "Na2S", "TaS2"),
    "Y": ("NaCl", "YCl3", "ZrCl4"),
}
MIXTURES = st.sampled_from(sorted(SYSTEMS)).flatmap(
    lambda key: st.tuples(
        st.just(SYSTEMS[key]),
        st.lists(
            st.integers(0, 4), min_size=len(SYSTEMS[key]) - 1, max_size=len(SYSTEMS[key]) - 1
        ).filter(any),
    )
)


def mixed(mixture):
    parts, amounts = mixture
    sodium = Composition("NaCl")
    rest = zip(parts[1:], amounts, strict=True)
    return sum((Composition(f) * n for f, n in rest), sodium).reduced_composition


@settings(max_examples=25, deadline=None)
@given(mixture=MIXTURES)
def test_pymatgens_profile_has_the_same_voltages_and_products(mixture):
    whole = mixed(mixture)
    found = window(whole.reduced_formula, 0.0, library())
    elements = {el.symbol for el in whole.elements}
    own = {p.id for p in phases_within(elements) if _same(p.composition, whole)}
    judge = PhaseDiagram(
        [PDEntry(p.formula, lowest_total(p.id)) for p in phases_within(elements) if p.id not in own]
    )
    metal = judge.el_refs[Element("Na")].energy_per_atom
    profile = judge.get_element_profile(Element("Na"), whole)
    voltages = [metal - step["chempot"] for step in profile]
    held = [whole["Na"] + step["evolution"] for step in profile]
    assert [s.lower_v for s in found.states] == pytest.approx(voltages, abs=1e-6)
    assert [s.mobile_per_formula for s in found.states] == pytest.approx(held, abs=1e-4)
    for state, step in zip(found.states, profile, strict=True):
        names = {entry.composition.reduced_formula for entry in step["entries"]}
        assert {p.formula for p in state.products} <= names


def _same(one, other):
    return one.reduced_formula == other.reduced_formula


@settings(max_examples=10, deadline=None)
@given(mixture=MIXTURES)
def test_the_grand_potential_diagram_has_the_same_phases_inside_each_state(mixture):
    whole = mixed(mixture)
    found = window(whole.reduced_formula, 0.0, library())
    elements = {el.symbol for el in whole.elements}
    entries = [
        PDEntry(p.formula, lowest_total(p.id))
        for p in phases_within(elements)
        if not _same(p.composition, whole)
    ]
    metal = energy_of("Na_bcc")
    host = Composition({el: n for el, n in whole.items() if el.symbol != "Na"})
    for state in found.states:
        upper = state.lower_v + 0.5 if state.upper_v is None else state.upper_v
        voltage = 0.5 * (state.lower_v + upper)
        if upper - state.lower_v < 1e-4:
            continue
        grand = GrandPotentialPhaseDiagram(entries, {Element("Na"): metal - voltage})
        judged = {
            e.original_entry.composition.reduced_formula
            for e, share in grand.get_decomposition(host).items()
            if share > 1e-6
        }
        assert {p.formula for p in state.products} == judged


@settings(max_examples=10, deadline=None)
@given(mixture=MIXTURES, shifts=st.tuples(*[st.floats(-5, 5)] * 4), offset=st.floats(0.01, 0.5))
def test_limits_are_slopes_of_the_energy_by_linear_programming(mixture, shifts, offset):
    whole = mixed(mixture)
    elements = sorted(el.symbol for el in whole.elements)
    zero = dict(zip(elements, [*shifts, 0.0], strict=False))

    def moved(formula, energy):
        composition = Composition(formula)
        return energy + sum(composition.get_atomic_fraction(el) * zero[el] for el in elements)

    entries = [
        replace(e, energy_ev_per_atom=moved(e.formula, e.energy_ev_per_atom))
        for e in library()
        if {el.symbol for el in Composition(e.formula).elements} <= set(elements)
    ]
    used = [e for e in entries if e.role == "reference" and not _same(_comp(e), whole)]

    def energy(n_mobile):
        target = [n_mobile if el == "Na" else whole[el] for el in elements]
        matrix = [[_comp(e)[el] for e in used] for el in elements]
        costs = [e.energy_ev_per_atom * _comp(e).num_atoms for e in used]
        return linprog(costs, A_eq=matrix, b_eq=target, bounds=(0, None)).fun

    found = window(whole.reduced_formula, 100.0, entries)
    metal = next(e.energy_ev_per_atom for e in used if e.phase_id == "Na_bcc")
    step, n = 1e-3, whole["Na"]
    given_off = metal + (energy(n - step) - energy(n)) / step
    taken_up = metal + (energy(n) - energy(n + step)) / step
    assert found.oxidation_limit_v.value == pytest.approx(given_off, abs=1e-5)
    assert found.reduction_limit_v.value == pytest.approx(taken_up, abs=1e-5)
    low = energy(n) / whole.num_atoms - offset
    stable = window(whole.reduced_formula, low, entries)
    assert stable.oxidation_limit_v.value >= found.oxidation_limit_v.value - 1e-6
    assert stable.reduction_limit_v.value <= found.reduction_limit_v.value + 1e-6


def _comp(one):
    return Composition(one.formula)


@pytest.mark.parametrize("formula", ["NaTaCl6", "Na2HfCl6", "Na9YZr3Cl24"])
def test_the_error_of_the_limits_is_what_errors_of_the_energies_make(formula):
    """Small Gaussian errors on all compounds, none on the elements; 300 draws."""
    small, rng = 1e-4, np.random.default_rng(5)
    known = [e for e in library() if {*_comp(e).elements} <= {*Composition(formula).elements}]
    expected = window(formula, lowest_energy(formula), known, error_ev_per_atom=small)
    limits = []
    for _ in range(300):
        drawn = [
            e
            if len(_comp(e)) == 1
            else replace(e, energy_ev_per_atom=e.energy_ev_per_atom + small * rng.normal())
            for e in known
        ]
        own = lowest_energy(formula) + small * rng.normal()
        found = window(formula, own, drawn)
        limits.append([found.reduction_limit_v.value, found.oxidation_limit_v.value])
    spread = np.std(limits, axis=0)
    told = [expected.reduction_limit_v.sd, expected.oxidation_limit_v.sd]
    assert spread == pytest.approx(told, rel=0.2)


def crystals_and_components():
    rows = {}
    for family in list_families():
        for crystal in family.crystals:
            rows[get_phase(crystal.phase_id).composition.reduced_formula] = crystal.phase_id
        for former in family.formers or (None,):
            for rule in family.components:
                part = rule.component(former)
                rows.setdefault(part.composition.reduced_formula, part.phase_id)
    return sorted(formula for formula in rows if "Na" in _elements(formula))


def _elements(formula):
    return {el.symbol for el in Composition(formula).elements}


@pytest.mark.parametrize("formula", crystals_and_components())
def test_every_familys_crystal_and_component_has_a_window(formula):
    found = window(formula, lowest_energy(formula), library(), error_ev_per_atom=0.03)
    reduction, oxidation = found.reduction_limit_v.value, found.oxidation_limit_v.value
    assert 0.0 <= reduction <= oxidation < 5.0
    assert 0 < found.oxidation_limit_v.sd < 1.0
    assert found.oxidation_products
    assert bool(found.reduction_products) == (reduction > 0)
    held = [state.mobile_per_formula for state in found.states]
    assert held == sorted(held, reverse=True)
    assert all(one.upper_v == other.lower_v for one, other in pairwise(found.states))
    whole = Composition(found.formula)
    for state in found.states:
        parts = sum((Composition(p.formula) * p.amount for p in state.products), Composition())
        for element in whole.elements:
            n = state.mobile_per_formula if element.symbol == "Na" else whole[element]
            assert parts[element] == pytest.approx(n, abs=1e-5)


def test_a_window_needs_the_mobile_ion_and_a_host():
    text = "a window needs a compound of the mobile ion with other elements"
    with pytest.raises(AnalysisError, match=f"{text}. Given: TaCl5, mobile Na"):
        window("TaCl5", -4.0)
    with pytest.raises(AnalysisError, match=f"{text}. Given: Na, mobile Na"):
        window("Na4", -1.0)


def test_levels_do_not_mix_and_every_element_needs_a_phase():
    with pytest.raises(AnalysisError, match="different levels of theory"):
        window(entries=[*BY_HAND, entry("NaCl_pbe", "NaCl", -3.0, level="pbe")])
    with pytest.raises(AnalysisError, match="no elemental reference for Ta"):
        window(entries=[e for e in BY_HAND if e.phase_id != "Ta"])
    with pytest.raises(AnalysisError, match="a formula cannot be read"):
        window("Na(Cl")


@pytest.mark.parametrize("energy_ev_per_atom", [-1.0, 0.5])
def test_a_hull_without_any_compound_gives_a_window_too(energy_ev_per_atom):
    elements = [entry(name, name, 0.0) for name in ("Na", "Ta", "Cl2")]
    found = stability_window("NaTaCl6", energy_ev_per_atom, elements, level=LEVEL)
    assert found.reduction_limit_v.value == 0.0
    stable = energy_ev_per_atom < 0
    assert found.oxidation_limit_v.value == pytest.approx(8.0 if stable else 0.0)
    assert {p.formula for p in found.oxidation_products} == {"Ta", "Cl2"}
    assert found.is_metastable is not stable
