from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.rdf import (
    coordination,
    first_maximum_a,
    first_minimum_a,
    partial_rdf,
    partial_rdfs,
)
from haloflow.errors import AnalysisError


def gas(seed, n_frames, n_a, n_b, cell):
    fractional = np.random.default_rng(seed).uniform(size=(n_frames, n_a + n_b, 3))
    return fractional @ cell, ["Na"] * n_a + ["Cl"] * n_b


def test_an_ideal_gas_has_no_structure(triclinic):
    positions, species = gas(0, 400, 20, 30, triclinic)
    found = partial_rdfs(
        positions, triclinic, species, [("Na", "Cl"), ("Na", "Na")], r_max_a=4.5, n_bins=9
    )
    np.testing.assert_allclose(found["Na", "Cl"].g[2:], 1.0, atol=0.04)
    np.testing.assert_allclose(found["Na", "Na"].g[2:], 1.0 - 1.0 / 20, atol=0.05)


def test_partial_functions_are_symmetric_and_beyond_half_the_box(triclinic):
    positions, species = gas(1, 20, 20, 30, triclinic)
    found = partial_rdfs(
        positions, triclinic, species, [("Na", "Cl"), ("Cl", "Na")], r_max_a=15.0, n_bins=30
    )
    np.testing.assert_allclose(found["Na", "Cl"].g, found["Cl", "Na"].g)
    np.testing.assert_allclose(found["Na", "Cl"].g[10:], 1.0, atol=0.05)


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 1, 3)])
def test_shells_of_rock_salt(nacl, repeats):
    positions, cell, species = nacl(repeats)
    found = partial_rdfs(
        positions, cell, species, [("Na", "Cl"), ("Na", "Na")], r_max_a=6.0, n_bins=300
    )
    unlike, like = found["Na", "Cl"], found["Na", "Na"]
    assert first_maximum_a(unlike) == pytest.approx(5.64 / 2, abs=0.02)
    assert first_minimum_a(unlike) == pytest.approx((0.5 + 0.75**0.5) * 5.64 / 2, abs=0.3)
    assert coordination(unlike, first_minimum_a(unlike)) == pytest.approx(6.0)
    assert coordination(unlike, 5.5) == pytest.approx(6.0 + 8.0)
    assert first_maximum_a(like) == pytest.approx(5.64 / 2**0.5, abs=0.02)
    assert coordination(like, 4.5) == pytest.approx(12.0)
    assert coordination(like, 0.0) == 0.0


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.floats(-20.0, 20.0))
def test_wrapping_order_and_supercells_change_nothing(seed, shift, triclinic):
    positions, species = gas(seed, 2, 6, 9, triclinic)
    reference = partial_rdf(positions, triclinic, species, ("Na", "Cl"), n_bins=40)
    rng = np.random.default_rng(seed)
    order = rng.permutation(15)
    images = rng.integers(-2, 3, (2, 15, 3)) @ triclinic
    moved = (positions + images + shift)[:, order]
    changed = partial_rdf(moved, triclinic, np.array(species)[order], ("Na", "Cl"), n_bins=40)
    doubled = partial_rdf(
        np.concatenate([positions, positions + triclinic[1]], axis=1),
        triclinic * [[1.0], [2.0], [1.0]],
        species * 2,
        ("Na", "Cl"),
        n_bins=40,
    )
    np.testing.assert_allclose(changed.g, reference.g, atol=1e-6)
    np.testing.assert_allclose(doubled.g, reference.g, atol=1e-6)


def test_thermal_rattle_keeps_the_shell(nacl):
    positions, cell, species = nacl((2, 2, 2), rattle_a=0.15, n_frames=20)
    found = partial_rdf(positions, cell, species, ("Na", "Cl"))
    assert first_maximum_a(found) == pytest.approx(2.82, abs=0.1)
    assert coordination(found, first_minimum_a(found)) == pytest.approx(6.0, abs=0.05)


def test_no_pair_in_range_has_no_shell(nacl):
    positions, cell, species = nacl((1, 1, 1))
    found = partial_rdf(positions, cell, species, ("Na", "Cl"), r_max_a=2.0)
    assert first_maximum_a(found) is None
    assert first_minimum_a(found) is None


def test_bad_requests_are_refused(nacl):
    positions, cell, species = nacl((1, 1, 1))
    with pytest.raises(AnalysisError, match=r"does not occur .* Given: Br\. Allowed: Cl, Na"):
        partial_rdf(positions, cell, species, ("Na", "Br"))
    with pytest.raises(AnalysisError, match=r"species do not fit the positions.*7 symbols for 8"):
        partial_rdf(positions, cell, species[:-1], ("Na", "Cl"))
    with pytest.raises(AnalysisError, match=r"needs a range, bins and frames.*r_max_a=0"):
        partial_rdf(positions, cell, species, ("Na", "Cl"), r_max_a=0.0)
    with pytest.raises(AnalysisError, match=r"cutoff lies outside .* Given: 9 A\. Allowed: 0 to 8"):
        coordination(partial_rdf(positions, cell, species, ("Na", "Cl")), 9)
