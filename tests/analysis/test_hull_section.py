"""Sections of the hull: by hand, and against pymatgen's own compound phase diagram."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_entries import LEVEL, energy_of, entry, library
from pymatgen.analysis.phase_diagram import CompoundPhaseDiagram, PDEntry
from pymatgen.core import Composition

from haloflow.analysis.hull import hull_analysis
from haloflow.analysis.hull_section import line_section, ternary_section
from haloflow.errors import AnalysisError

BY_HAND = [
    entry("Na", "Na", -1.0),
    entry("Cl2", "Cl2", -2.0),
    entry("Ta", "Ta", -10.0),
    entry("NaCl", "NaCl", -3.5),
    entry("NaCl_high", "Na4Cl4", -3.4),
    entry("TaCl5", "TaCl5", -4.0),
    entry("half", "NaTaCl6", -4.0),
]
PAIRS = [
    ("NaTaCl6", "Na2O"),
    ("TaCl5", "Na2O"),
    ("HfCl4", "Na2O2"),
    ("ZrCl4", "Na2O2"),
    ("TaCl5", "Na2O2"),
    ("TaCl5", "Na2S"),
]


def test_a_pseudo_binary_by_hand():
    """Half NaCl + half TaCl5 is NaTaCl6 / 2: -16 eV against -15.5 unmixed, over 4 atoms."""
    found = line_section({"TaCl5": 2}, {"NaCl": 3}, BY_HAND, level=LEVEL, n_points=5)
    assert found.components == ("NaCl", "TaCl5")
    assert [p.fractions["NaCl"] for p in found.points] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    energies = [p.energy_ev_per_atom for p in found.points]
    assert energies == pytest.approx([0.0, -0.25 / 5, -0.5 / 4, -0.25 / 3, 0.0], abs=1e-12)
    assert [p.is_vertex for p in found.points] == [True, False, True, False, True]
    quarter = {p.phase_id: p.amount for p in found.points[1].products}
    assert quarter == pytest.approx({"half": 0.25, "TaCl5": 0.5})
    assert {p.entry.phase_id for p in found.phases} == {"NaCl", "NaCl_high", "TaCl5", "half"}
    high = next(p for p in found.phases if p.entry.phase_id == "NaCl_high")
    assert high.energy_above_hull_ev_per_atom == pytest.approx(0.1)
    assert found.mixing_energy_ev_per_atom("Na2Ta2Cl12", -3.9) == pytest.approx(-0.025)
    assert found.fractions_of("Na2TaCl7") == pytest.approx({"NaCl": 2 / 3, "TaCl5": 1 / 3})


def test_a_part_of_the_line_has_the_phases_of_that_part():
    found = line_section({"TaCl5": 1}, {"NaCl": 1, "TaCl5": 3}, BY_HAND, level=LEVEL, n_points=3)
    assert [p.fractions["NaCl"] for p in found.points] == pytest.approx([0, 0.125, 0.25])
    assert {p.entry.phase_id for p in found.phases} == {"TaCl5"}


@settings(max_examples=20, deadline=None)
@given(pair=st.sampled_from(PAIRS), fraction=st.floats(0.02, 0.98))
def test_the_line_is_the_hull_of_all_phases(pair, fraction):
    heavy, light = pair
    found = line_section(
        {heavy: 1 - fraction, light: fraction}, {light: 1.0}, library(), level=LEVEL, n_points=2
    )
    start = found.points[0]
    whole = Composition(heavy) * (1 - fraction) + Composition(light) * fraction
    rest = sum((Composition(p.formula) * p.amount for p in start.products), Composition())
    assert rest.almost_equals(whole, rtol=0, atol=1e-4)
    unmixed = sum(
        n * Composition(f).num_atoms * found.component_energies_ev_per_atom[f]
        for f, n in start.fractions.items()
    )
    phases = sum(
        p.amount * Composition(p.formula).num_atoms * energy_of(p.phase_id) for p in start.products
    )
    expected = (phases - unmixed) / whole.num_atoms
    assert start.energy_ev_per_atom == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("heavy", "light"), PAIRS)
def test_between_vertices_molar_energies_are_straight_and_the_whole_is_convex(heavy, light):
    found = line_section({heavy: 1}, {light: 1}, library(), level=LEVEL)
    sizes = {f: Composition(f).num_atoms for f in (heavy, light)}
    molar = [
        p.energy_ev_per_atom * sum(n * sizes[f] for f, n in p.fractions.items())
        for p in found.points
    ]
    xs = [p.fractions[light] for p in found.points]
    bends = []
    for i in range(1, len(xs) - 1):
        left = (molar[i] - molar[i - 1]) / (xs[i] - xs[i - 1])
        right = (molar[i + 1] - molar[i]) / (xs[i + 1] - xs[i])
        bends.append(right - left)
        assert found.points[i].is_vertex or right - left == pytest.approx(0.0, abs=1e-5)
    assert min(bends) > -1e-5
    assert max(bends) > 0.01
    assert molar[0] == pytest.approx(0.0, abs=1e-9)
    assert molar[-1] == pytest.approx(0.0, abs=1e-9)


TRIANGLES = [("NaCl", "YCl3", "ZrCl4"), ("NaCl", "Na2O", "TaCl5"), ("NaCl", "HfCl4", "YCl3")]


@pytest.mark.parametrize("components", TRIANGLES)
def test_pymatgens_compound_diagram_has_the_same_stable_phases_and_tie_lines(components):
    found = ternary_section(components, library(), level=LEVEL)
    inside = {p.entry.phase_id for p in found.phases}
    entries = [
        PDEntry(e.formula, e.energy_ev_per_atom * Composition(e.formula).num_atoms, name=e.phase_id)
        for e in library()
        if e.phase_id in inside
    ]
    judge = CompoundPhaseDiagram(entries, [Composition(f) for f in components])
    stable = {e.original_entry.name for e in judge.stable_entries}
    assert {i for pair in found.tie_lines for i in pair} == stable
    pairs = {
        frozenset(judge.qhull_entries[i].original_entry.name for i in (a, b))
        for facet in judge.facets
        for a in facet
        for b in facet
        if a != b
    }
    assert {frozenset(pair) for pair in found.tie_lines} == pairs


def test_phases_of_the_triangle_know_the_hull_of_all():
    found = ternary_section(("NaCl", "YCl3", "ZrCl4"), library(), level=LEVEL)
    by_id = {p.entry.phase_id: p for p in found.phases}
    assert by_id["Na3YCl6_P21n"].fractions == pytest.approx(
        {"NaCl": 0.75, "YCl3": 0.25, "ZrCl4": 0.0}
    )
    assert by_id["Na3YCl6_P21n"].energy_ev_per_atom < 0
    assert by_id["Na3YCl6_R-3"].energy_above_hull_ev_per_atom > 0
    assert found.points == ()
    formula, energy = "Na9YZr3Cl24", energy_of("Na2.25Y0.25Zr0.75Cl6_ordered")
    components = {"NaCl": 9, "YCl3": 1, "ZrCl4": 3}
    judged = hull_analysis(formula, energy, library(), level=LEVEL, components=components)
    mixing = found.mixing_energy_ev_per_atom(formula, energy)
    assert mixing == pytest.approx(judged.reaction_energy_ev_per_atom)


def test_three_components_without_a_compound_make_one_triangle():
    plain = [e for e in BY_HAND if e.phase_id not in {"half", "NaCl_high"}]
    extra = [entry("O2", "O2", -5.0), entry("Na2O", "Na2O", -4.0)]
    found = ternary_section(("NaCl", "TaCl5", "Na2O"), [*plain, *extra], level=LEVEL)
    assert {frozenset(pair) for pair in found.tie_lines} == {
        frozenset(pair) for pair in (("NaCl", "TaCl5"), ("NaCl", "Na2O"), ("TaCl5", "Na2O"))
    }


def refused(message):
    return pytest.raises(AnalysisError, match=re.escape(message))


def test_sections_that_cannot_be():
    with refused("a line through the hull needs two different ends. Given: {'NaCl': 1} and"):
        line_section({"NaCl": 1}, {"NaCl": 2}, BY_HAND, level=LEVEL)
    with refused("an end of a section needs components in amounts of 0 or more. Given: {}"):
        line_section({}, {"NaCl": 2}, BY_HAND, level=LEVEL)
    with refused("an end of a section needs components in amounts of 0 or more. Given: {'Na"):
        line_section({"NaCl": 2, "TaCl5": -1}, {"NaCl": 2}, BY_HAND, level=LEVEL)
    with refused("a component has no reference phase"):
        line_section({"NaTa2Cl11": 1}, {"NaCl": 2}, BY_HAND, level=LEVEL)
    with refused("a triangle needs three components of which none is made of the others"):
        ternary_section(("NaCl", "TaCl5", "NaTaCl6"), BY_HAND, level=LEVEL)
    with refused("a triangle needs three components"):
        ternary_section(("NaCl", "TaCl5"), BY_HAND, level=LEVEL)
    section = line_section({"TaCl5": 1}, {"NaCl": 1}, BY_HAND, level=LEVEL)
    with refused(
        "the components of this section cannot make the composition. Given: TaCl4. "
        "Allowed: mixtures of NaCl, TaCl5. What to do: take the section of its own components."
    ):
        section.mixing_energy_ev_per_atom("TaCl4", -4.0)
