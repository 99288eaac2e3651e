"""Formulae as they are shown."""

import pytest
from pymatgen.core import Composition

from haloflow.systems.formulae import formula_of


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Na4Ta4Cl16O4", "NaTaOCl4"),
        ("Na2Ta2SCl10", "Na2Ta2SCl10"),
        ("Cl2", "Cl2"),
        ("O2", "O2"),
        ("Na2O2", "Na2O2"),
        ("Na9YZr3Cl24", "Na9YZr3Cl24"),
    ],
)
def test_halogens_come_last(given, shown):
    assert formula_of(Composition(given)) == shown


def test_amounts_are_kept():
    composition = Composition("Na12Hf5O12Cl20")
    assert Composition(formula_of(composition)) == composition
