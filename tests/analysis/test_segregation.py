"""Salt that leaves a candidate: by hand, against the hull, and along the families' sweeps."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_entries import LEVEL, energy_of, entry, library
from pymatgen.core import Composition

from haloflow.analysis.exchange import salt_exchange
from haloflow.analysis.hull import hull_analysis
from haloflow.analysis.reactions import HomogeneousPoint, reaction
from haloflow.analysis.segregation import segregation
from haloflow.errors import AnalysisError
from haloflow.systems.families import get_family

BY_HAND = [
    entry("Na", "Na", -1.0),
    entry("Cl2", "Cl2", -2.0),
    entry("Ta", "Ta", -10.0),
    entry("NaCl", "NaCl", -3.5),
    entry("TaCl5", "TaCl5", -4.0),
]


def split(formula="NaTaCl6", energy=-3.8, entries=BY_HAND, **options):
    return segregation(formula, energy, entries, level=LEVEL, **options)


def test_a_chloride_falls_apart_by_hand():
    """NaTaCl6 = -30.4; NaCl + TaCl5 = -31: 0.6 eV, 0.075 eV/atom, are gained."""
    found = split("Na2Ta2Cl12")
    assert (found.formula, found.n_atoms) == ("NaTaCl6", 8.0)
    assert found.largest_amount == found.equilibrium_amount == pytest.approx(1.0)
    assert found.driving_force_ev_per_atom == pytest.approx(0.075)
    assert found.splits[0].amount == 0.0
    assert all(s.equilibrium_ev_per_atom == pytest.approx(-0.075) for s in found.splits)
    last = found.splits[-1]
    assert last.remainder == "Ta1 Cl5"
    assert {p.formula: p.amount for p in last.products} == pytest.approx({"TaCl5": 1.0})
    assert found.homogeneous_driving_force_ev_per_atom is None


def test_salt_that_costs_stays_by_hand():
    """Na2TaCl7 (-39) is 2/3 Na3TaCl8 + 1/3 TaCl5 (-40); 2 NaCl + TaCl5 is at -38."""
    rich = [*BY_HAND, entry("rich", "Na3TaCl8", -4.0)]
    found = split("Na2TaCl7", -3.9, rich)
    assert found.equilibrium_amount == 0.0
    assert found.driving_force_ev_per_atom is None
    start, last = found.splits[0], found.splits[-1]
    assert start.equilibrium_ev_per_atom == pytest.approx(-0.1)
    assert last.equilibrium_ev_per_atom == pytest.approx(0.1)
    costs = [s.equilibrium_ev_per_atom for s in found.splits]
    assert costs == sorted(costs)


def test_a_homogeneous_rest_by_hand():
    """Na2TaCl7 (-38) -> NaCl (-7) + NaTaCl6 glass (-31.6): 0.6 eV gained; TaCl5 is no glass."""
    glass = [HomogeneousPoint("NaTaCl6", -3.95)]
    found = split("Na2TaCl7", -3.8, homogeneous=glass)
    assert found.homogeneous_driving_force_ev_per_atom == pytest.approx(0.06)
    assert found.homogeneous_amount == pytest.approx(1.0)
    unknown = [s for s in found.splits if s.homogeneous_ev_per_atom is None]
    assert [s.amount > 1.0 for s in unknown] == [True] * len(unknown)
    worse = split("Na2TaCl7", -3.8, homogeneous=[HomogeneousPoint("NaTaCl6", -3.8)])
    assert worse.homogeneous_driving_force_ev_per_atom == pytest.approx(0.0, abs=1e-9)
    assert worse.homogeneous_amount == 0.0
    halfway = next(s for s in worse.splits if s.amount == pytest.approx(1.0))
    assert halfway.homogeneous_ev_per_atom == pytest.approx(0.06)


def test_phases_change_at_a_kink_that_is_among_the_splits():
    found = split("Na4Ta2OCl12", -10.0, library(), n_splits=3)
    assert found.largest_amount == pytest.approx(4.0)
    assert found.equilibrium_amount == pytest.approx(2.5)
    assert 2.5 in [pytest.approx(s.amount) for s in found.splits]


FAMILIES = st.sampled_from(
    [
        ("na2o-natacl6", "NaTaCl6", 0.1, 2.0),
        ("na2o-natacl6", "TaCl5", 0.1, 2.0),
        ("na2o2-mcly", "Hf", 0.3, 2.0),
        ("na2o2-mcly", "Zr", 0.3, 2.0),
        ("na2o2-mcly", "Ta", 0.3, 2.0),
        ("tacl5-na2s", "Ta", 0.1, 2.0),
        ("nayzrcl", None, 0.0, 2.0),
    ]
)


def whole(family, x):
    composition = get_family(family[0]).mixture(x, former=family[1]).composition
    return Composition(composition.get_integer_formula_and_factor()[0])


@settings(max_examples=25, deadline=None)
@given(family=FAMILIES, tenths=st.integers(0, 10), above=st.floats(-0.1, 0.2))
def test_along_every_sweep_the_gain_is_that_of_the_hull(family, tenths, above):
    x = family[2] + (family[3] - family[2]) * tenths / 10
    formula = whole(family, round(x, 2)).formula.replace(" ", "")
    at = hull_analysis(formula, 0.0, library(), level=LEVEL)
    energy = -at.energy_above_hull_ev_per_atom + above
    found = split(formula, energy, library())
    costs = [s.equilibrium_ev_per_atom for s in found.splits]
    assert costs[0] == pytest.approx(-above, abs=1e-9)
    assert min(costs) == pytest.approx(-above, abs=2e-6)
    assert max(one - other for one, other in pairwise(costs)) < 2e-6
    if found.equilibrium_amount:
        assert found.driving_force_ev_per_atom == pytest.approx(above, abs=1e-9)
    if found.equilibrium_amount < 1e-9:
        assert "NaCl_B1" not in {p.phase_id for p in at.decomposition}
    else:
        shares = {p.phase_id: p.amount for p in at.decomposition}
        n_atoms = found.n_atoms
        in_hull = shares.get("NaCl_B1", 0.0) * n_atoms / 2
        assert found.equilibrium_amount >= in_hull - 1e-6
    for s in found.splits:
        rest = sum((Composition(p.formula) * p.amount for p in s.products), Composition())
        total = rest + Composition("NaCl") * s.amount
        assert total.almost_equals(Composition(found.formula), rtol=0, atol=1e-4)


def test_the_sulfide_glasses_precipitate_salt_from_half_a_sulfide_on():
    """Published: x >= 0.75 shows NaCl; the hull has some from 0.5 on and none at 0.25."""
    amounts = {}
    for x in (0.25, 0.5, 0.75, 1.0):
        composition = whole(("tacl5-na2s", "Ta"), x)
        found = split(composition.formula.replace(" ", ""), 0.0, library())
        amounts[x] = found.equilibrium_amount / composition["Ta"]
    assert amounts[0.25] == 0.0
    assert 0 < amounts[0.5] < amounts[0.75] < amounts[1.0]


@pytest.mark.parametrize(
    ("formula", "salt"), [("TaCl5", "NaCl"), ("NaCl", "NaCl"), ("Na2S", "NaCl"), ("NaCl", "KCl")]
)
def test_there_must_be_salt_and_more(formula, salt):
    message = f"no {salt} can split off this candidate. Given: {formula}. Allowed: compounds with"
    with pytest.raises(AnalysisError, match=message):
        split(formula, -4.0, salt=salt)


def test_the_salt_needs_a_phase():
    with pytest.raises(AnalysisError, match=r"no reference phase.* Given: NaCl"):
        split(entries=[e for e in BY_HAND if e.phase_id != "NaCl"])


def test_the_exchange_of_oxide_for_chloride_by_hand():
    """Na2O + NaTaCl6 -> NaTaO(x)Cl(6-2x) + 2x NaCl + (1-x) Na2O, x = 1 as a plain reaction."""
    glasses = [
        HomogeneousPoint("NaTaCl6", energy_of("NaTaCl6_P21c")),
        HomogeneousPoint("NaTaOCl4", energy_of("NaTaOCl4_Cm")),
    ]
    steps = salt_exchange("NaTaCl6", "Na2O", library(), level=LEVEL, homogeneous=glasses)
    assert [s.extent for s in steps] == pytest.approx([i / 10 for i in range(11)])
    energies = {
        "Na2O": energy_of("Na2O_antiCaF2"),
        "NaTaCl6": glasses[0].energy_ev_per_atom,
        "NaTaOCl4": glasses[1].energy_ev_per_atom,
        "NaCl": energy_of("NaCl_B1"),
    }
    whole_way = reaction({"Na2O": 1, "NaTaCl6": 1}, {"NaTaOCl4": 1, "NaCl": 2}, energies)
    assert steps[0].homogeneous_ev == pytest.approx(0.0, abs=1e-9)
    assert steps[0].equilibrium_ev == pytest.approx(0.0, abs=1e-9)
    assert steps[-1].homogeneous_ev == pytest.approx(whole_way.energy_ev)
    assert steps[3].homogeneous_ev == pytest.approx(0.3 * whole_way.energy_ev)
    decomposed = hull_analysis("NaTaOCl4", energies["NaTaOCl4"], library(), level=LEVEL)
    gap = steps[-1].homogeneous_ev - steps[-1].equilibrium_ev
    assert gap == pytest.approx(7 * decomposed.energy_above_hull_ev_per_atom)


def test_the_other_families_exchange_too():
    """Na2O2 and Na2S leave NaCl in HfCl4 and TaCl5; without samples only the hull is known."""
    for host, donor in (("HfCl4", "Na2O2"), ("TaCl5", "Na2S")):
        steps = salt_exchange(host, donor, library(), level=LEVEL, extents=[0.0, 0.5, 1.0])
        assert [s.homogeneous_ev for s in steps] == [None] * 3
        gains = [s.equilibrium_ev for s in steps]
        assert gains[0] == pytest.approx(0.0, abs=1e-9)
        assert gains[2] < gains[1] < -0.5


def test_exchanges_that_cannot_be():
    with pytest.raises(AnalysisError, match=r"NaCl and TaCl5 cannot make NaCl\."):
        salt_exchange("TaCl5", "NaCl", library(), level=LEVEL)
    with pytest.raises(AnalysisError, match=r"Na2O and Ta2O5 cannot make NaCl\."):
        salt_exchange("Ta2O5", "Na2O", library(), level=LEVEL)
    with pytest.raises(AnalysisError, match=r"out of range. Given: 3\.5\. Allowed: 0 to 3 Na2O"):
        salt_exchange("NaTaCl6", "Na2O", library(), level=LEVEL, extents=[3.5])
    with pytest.raises(AnalysisError, match=r"no reference phase.* Given: NaTaOCl4"):
        salt_exchange("NaTaOCl4", "Na2O", library(), level=LEVEL)
