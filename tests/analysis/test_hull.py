from __future__ import annotations

from importlib.resources import files

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.hull import HullEntry, hull_analysis
from haloflow.errors import AnalysisError

LEVEL = "r2scan"
STORED = "chgnet-0.4.2-r2scan"


def entry(phase_id, formula, energy, role="reference", level=LEVEL):
    return HullEntry(phase_id, formula, energy, role, level)


ELEMENTS = [entry("Na", "Na", -1.0), entry("Cl2", "Cl2", -2.0), entry("Ta", "Ta", -10.0)]
BINARIES = [entry("NaCl", "NaCl", -3.5), entry("TaCl5", "TaCl5", -4.0)]
PHASES = [*ELEMENTS, *BINARIES]


def analyse(formula="NaTaCl6", energy=-4.0, entries=PHASES, **options):
    return hull_analysis(formula, energy, entries, level=LEVEL, **options)


def test_a_ternary_between_two_binaries_by_hand():
    """NaCl (2 atoms) + TaCl5 (6 atoms): hull at (2 * -3.5 + 6 * -4.0) / 8 = -3.875 eV/atom."""
    found = analyse(oxidation_states={"Na": [1], "Ta": [5], "Cl": [-1]})
    assert found.energy_above_hull_ev_per_atom == pytest.approx(-0.125)
    shares = {p.phase_id: p.amount for p in found.decomposition}
    assert shares == pytest.approx({"TaCl5": 0.75, "NaCl": 0.25})
    elements = (-1.0 - 10.0 - 6 * 2.0) / 8
    assert found.formation_energy_ev_per_atom == pytest.approx(-4.0 - elements)
    assert found.oxidation_states == {"Na": [1], "Ta": [5], "Cl": [-1]}
    assert found.reaction_energy_ev_per_atom is None
    assert found.energy_above_crystal_ev_per_atom is None
    nacl = next(p for p in found.points if p.entry.phase_id == "NaCl")
    assert nacl.formation_energy_ev_per_atom == pytest.approx(-3.5 + 1.5)
    assert nacl.energy_above_hull_ev_per_atom == pytest.approx(0.0, abs=1e-9)


def test_an_unstable_phase_lies_above_its_hull():
    found = analyse(energy=-3.8)
    assert found.energy_above_hull_ev_per_atom == pytest.approx(0.075)
    high = analyse(entries=[*PHASES, entry("Na3Cl", "Na3Cl", -1.0)])
    point = next(p for p in high.points if p.entry.phase_id == "Na3Cl")
    assert point.energy_above_hull_ev_per_atom == pytest.approx((2 * 3.5 + 2 * 1.0) / 4 - 1.0)


def test_the_candidate_does_not_compete_with_itself():
    own = [entry("crystal", "Na2Ta2Cl12", -9.0), entry("target", "NaTaCl6", -9.0, "target")]
    assert analyse(entries=[*PHASES, *own]) == analyse()


def test_targets_never_compete_and_hypothetical_phases_only_if_asked():
    others = [entry("t", "Na2TaCl7", -9.0, "target"), entry("h", "NaTa2Cl11", -9.0, "hypothetical")]
    entries = [*PHASES, *others]
    assert analyse(entries=entries).energy_above_hull_ev_per_atom == pytest.approx(-0.125)
    asked = analyse(entries=entries, include_hypothetical=True)
    assert asked.roles == ("reference", "hypothetical")
    assert asked.energy_above_hull_ev_per_atom > 0.0
    assert {p.phase_id for p in asked.decomposition} == {"h", "NaCl"}


def test_phases_of_other_elements_are_left_out():
    entries = [*PHASES, entry("NaBr", "NaBr", -90.0)]
    assert analyse(entries=entries) == analyse()


def test_the_reaction_is_that_of_the_sweeps_own_components():
    """2 NaCl + 2 TaCl5 -> 2 NaTaCl6; the lowest NaCl counts."""
    entries = [*PHASES, entry("NaCl_B2", "Na4Cl4", -3.4), entry("NaCl_h", "NaCl", -9, "target")]
    found = analyse(entries=entries, components={"NaCl": 2, "TaCl5": 2.0, "Na": 0.0})
    assert found.reaction_energy_ev_per_atom == pytest.approx(-0.125)
    amounts = {p.phase_id: p.amount for p in found.components}
    assert amounts == pytest.approx({"NaCl": 1.0, "TaCl5": 1.0})


def test_an_end_member_reacts_with_nothing():
    found = analyse("Na2Cl2", -3.3, components={"NaCl": 1.0}, crystal_energy_ev_per_atom=-3.5)
    assert found.reaction_energy_ev_per_atom == pytest.approx(0.2)
    assert found.energy_above_crystal_ev_per_atom == pytest.approx(0.2)
    assert found.energy_above_hull_ev_per_atom == pytest.approx(-3.3 + 1.5)


@settings(max_examples=15, deadline=None)
@given(scale=st.integers(1, 7), offset=st.floats(-5, 5), order=st.permutations(PHASES))
def test_scale_of_formulae_order_and_zero_of_energy_do_not_matter(scale, offset, order):
    moved = [entry(e.phase_id, e.formula, e.energy_ev_per_atom + offset) for e in order]
    found = analyse(
        f"Na{scale}Ta{scale}Cl{6 * scale}",
        -4.0 + offset,
        moved,
        components={"NaCl": scale / 7, "TaCl5": scale / 7},
    )
    assert found.formula == analyse().formula
    assert found.energy_above_hull_ev_per_atom == pytest.approx(-0.125)
    assert found.reaction_energy_ev_per_atom == pytest.approx(-0.125)


def stored_phases():
    text = (files("haloflow.systems.data") / "phases.yaml").read_text(encoding="utf-8")
    return [
        entry(p["id"], p["formula"], p["energy_per_atom_ev"][STORED], p["role"], STORED)
        for p in yaml.safe_load(text)
        if STORED in p["energy_per_atom_ev"]
    ]


@pytest.mark.parametrize(
    ("phase_id", "mev"), [("NaTaOCl4_Cmc21", -22.0), ("NaNbOCl4_Cmc21", -28.0)]
)
def test_stored_phases_give_the_known_hull_of_the_oxychlorides(phase_id, mev):
    phases = stored_phases()
    crystal = next(p for p in phases if p.phase_id == phase_id)
    found = hull_analysis(crystal.formula, crystal.energy_ev_per_atom, phases, level=STORED)
    assert found.energy_above_hull_ev_per_atom * 1e3 == pytest.approx(mev, abs=1.5)
    assert sum(p.amount for p in found.decomposition) == pytest.approx(1.0)
    assert "NaCl_B1" in {p.phase_id for p in found.decomposition}
    assert {p.entry.role for p in found.points} == {"reference"}


def test_levels_of_theory_do_not_mix():
    entries = [*PHASES, entry("NaCl_pbe", "NaCl", -3.0, level="pbe")]
    with pytest.raises(
        AnalysisError,
        match=r"different levels .* Given: 1 phases at other levels: NaCl_pbe \(pbe\)\. "
        r"Allowed: the candidate's level, r2scan\.",
    ):
        analyse(entries=entries)


def test_every_element_needs_a_phase():
    with pytest.raises(AnalysisError, match="no elemental reference for Cl, Ta"):
        analyse(entries=[ELEMENTS[0], *BINARIES])
    with pytest.raises(AnalysisError, match=r"no elemental reference for Ta"):
        analyse(entries=[*ELEMENTS[:2], *BINARIES, entry("Ta", "Ta", -10.0, "target")])


def test_components_must_make_the_candidate():
    with pytest.raises(AnalysisError, match=r"do not sum up .*: Na1 Ta2 Cl11 for Na1 Ta1 Cl6"):
        analyse(components={"NaCl": 1, "TaCl5": 2})
    with pytest.raises(AnalysisError, match=r"component has no reference phase.* Given: Na2TaCl7"):
        analyse(components={"Na2TaCl7": 0.5, "TaCl5": 0.5})


@pytest.mark.parametrize("formula", ["12", "", "Na(Cl"])
def test_formulae_must_be_readable(formula):
    with pytest.raises(AnalysisError, match="a formula cannot be read"):
        analyse(formula)
