"""Energies of reaction and mixing, by hand and by invariance."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_entries import energy_of
from pymatgen.core import Composition

from haloflow.analysis.reactions import (
    HomogeneousPoint,
    formula_units,
    homogeneous_energy_ev,
    mixing_energy_ev_per_atom,
    reaction,
)
from haloflow.errors import AnalysisError

ENERGIES = {"NaCl": -3.5, "TaCl5": -4.0, "NaTaCl6": -4.0, "Na": -1.0, "Cl2": -2.0}


def test_a_reaction_by_hand():
    """2 NaCl (-14) + 2 TaCl5 (-48) -> 2 NaTaCl6 (-64): -2 eV over 16 atoms."""
    found = reaction({"NaCl": 2, "TaCl5": 2}, {"NaTaCl6": 2}, ENERGIES)
    assert found.energy_ev == pytest.approx(-2.0)
    assert found.n_atoms == 16
    assert found.energy_ev_per_atom == pytest.approx(-0.125)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.1, 9), zero=st.tuples(st.floats(-5, 5), st.floats(-5, 5)))
def test_scale_direction_and_zero_of_energy(scale, zero):
    shift = dict(zip(("Na", "Cl"), zero, strict=True))
    moved = {
        f: e + sum(Composition(f).get_atomic_fraction(el) * z for el, z in shift.items())
        for f, e in ENERGIES.items()
    }
    forth = reaction({"Na": scale, "Cl2": scale / 2}, {"NaCl": scale}, moved)
    back = reaction({"NaCl": scale}, {"Na": scale, "Cl2": scale / 2}, moved)
    assert forth.energy_ev == pytest.approx(-4.0 * scale)
    assert back.energy_ev_per_atom == pytest.approx(2.0)


def test_the_milled_glass_is_what_the_published_reaction_makes():
    """Na2O + NaTaCl6 -> NaTaO(x)Cl(6-2x) + 2x NaCl + (1-x) Na2O at x = 1, stored crystals."""
    known = {
        "Na2O": energy_of("Na2O_antiCaF2"),
        "NaTaCl6": energy_of("NaTaCl6_P21c"),
        "NaTaOCl4": energy_of("NaTaOCl4_Cm"),
        "NaCl": energy_of("NaCl_B1"),
    }
    found = reaction({"Na2O": 1, "NaTaCl6": 1}, {"NaTaOCl4": 1, "NaCl": 2}, known)
    assert found.n_atoms == 11
    by_hand = 7 * known["NaTaOCl4"] + 4 * known["NaCl"] - 3 * known["Na2O"] - 8 * known["NaTaCl6"]
    assert found.energy_ev == pytest.approx(by_hand)
    assert -6.0 < found.energy_ev < -3.0


def test_components_are_found_again():
    units = formula_units(Composition("Na12Hf5Cl20O12"), ["Na2O2", "HfCl4"])
    assert units == pytest.approx({"Na2O2": 6.0, "HfCl4": 5.0})
    assert formula_units(Composition("Na2HfCl4O"), ["Na2O2", "HfCl4"]) is None
    assert formula_units(Composition("NaHfCl5"), ["HfCl4", "HfCl3"]) is None


def test_mixing_energy_by_hand():
    components = {"NaCl": -3.5, "TaCl5": -4.0}
    assert mixing_energy_ev_per_atom(Composition("Na2Ta2Cl12"), -4.0, components) == pytest.approx(
        -0.125
    )
    with pytest.raises(
        AnalysisError,
        match=r"the components cannot make this composition\. Given: Ta1 Cl3 O1\. "
        r"Allowed: mixtures of NaCl, TaCl5",
    ):
        mixing_energy_ev_per_atom(Composition("TaOCl3"), -4.0, components)


def test_homogeneous_energies_are_interpolated_along_the_line():
    ends = [HomogeneousPoint("NaTaCl6", -4.0), HomogeneousPoint("NaTaOCl4", -5.0)]
    middle = Composition("Na2Ta2OCl10")
    assert homogeneous_energy_ev(middle, ends) == pytest.approx(-32.0 - 35.0)
    assert homogeneous_energy_ev(Composition("NaTaOCl4") * 3, ends) == pytest.approx(-105.0)
    assert homogeneous_energy_ev(Composition("NaTaO2Cl2"), ends) is None
    assert homogeneous_energy_ev(middle, []) is None


def test_of_several_ways_to_interpolate_the_lowest_counts():
    points = [
        HomogeneousPoint("NaCl", -3.5),
        HomogeneousPoint("TaCl5", -4.0),
        HomogeneousPoint("NaTaCl6", -4.0),
    ]
    assert homogeneous_energy_ev(Composition("Na2TaCl7"), points) == pytest.approx(-32.0 - 7.0)
    above = [*points[:2], HomogeneousPoint("NaTaCl6", -3.0)]
    assert homogeneous_energy_ev(Composition("Na2TaCl7"), above) == pytest.approx(-24.0 - 14.0)


@pytest.mark.parametrize(
    ("reactants", "products", "message"),
    [
        (
            {"NaCl": 1},
            {"NaTaCl6": 1},
            (
                "the two sides of a reaction do not balance. Given: Na1 Cl1 -> Na1 Ta1 Cl6. "
                "What to do: check the formula units."
            ),
        ),
        (
            {"NaCl": 1},
            {"NaCl": 2, "Na": -1, "Cl2": -0.5},
            (
                "a reaction needs something on both sides, in amounts of 0 or more. "
                "Given: {'NaCl': 1} -> {'NaCl': 2, 'Na': -1, 'Cl2': -0.5}. "
                "What to do: write what is used up on the left."
            ),
        ),
        (
            {"KCl": 1},
            {"KCl": 1},
            (
                "a reaction needs the energy of each of its compounds. Given: none for KCl. "
                "What to do: add them at the same level of theory."
            ),
        ),
    ],
)
def test_reactions_that_cannot_be(reactants, products, message):
    with pytest.raises(AnalysisError, match=re.escape(message)):
        reaction(reactants, products, ENERGIES)
    with pytest.raises(AnalysisError, match="something on both sides"):
        reaction({}, {}, ENERGIES)
