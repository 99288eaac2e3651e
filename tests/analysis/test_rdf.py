from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.rdf import (
    coordination,
    coordination_quantity,
    first_maximum_a,
    first_minimum_a,
    pair_distributions,
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
def test_wrapping_order_turning_and_supercells_change_nothing(seed, shift, triclinic):
    positions, species = gas(seed, 2, 6, 9, triclinic)
    reference = partial_rdf(positions, triclinic, species, ("Na", "Cl"), n_bins=40)
    rng = np.random.default_rng(seed)
    order = rng.permutation(15)
    images = rng.integers(-2, 3, (2, 15, 3)) @ triclinic
    moved = (positions + images + shift)[:, order]
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    changed = partial_rdf(
        moved @ turn, triclinic @ turn, np.array(species)[order], ("Na", "Cl"), n_bins=40
    )
    doubled = partial_rdf(
        np.concatenate([positions, positions + triclinic[1]], axis=1),
        triclinic * [[1.0], [2.0], [1.0]],
        species * 2,
        ("Na", "Cl"),
        n_bins=40,
    )
    np.testing.assert_allclose(changed.g, reference.g, atol=1e-6)
    np.testing.assert_allclose(doubled.g, reference.g, atol=1e-6)


def test_running_coordination_climbs_in_the_steps_of_the_shells(nacl):
    positions, cell, species = nacl((2, 2, 2))
    edge = cell[0, 0] / 2
    found = pair_distributions(positions, cell, species, r_max_a=1.3 * edge, n_bins=260)
    cl_around_na, na_around_na = found.around("Na", "Cl"), found.around("Na", "Na")
    for rdf, shells in ((cl_around_na, {0.4: 0, 0.6: 6, 0.8: 6, 1.0: 14, 1.2: 38}),
                        (na_around_na, {0.6: 0, 0.8: 12, 1.1: 18, 1.28: 42})):  # fmt: skip
        for place, number in shells.items():
            n = np.interp(place * edge, rdf.r_a, rdf.coordination_at_r)
            assert n == pytest.approx(number, abs=1e-9)
        assert (np.diff(rdf.coordination_at_r) >= 0).all()


def test_running_coordination_of_a_gas_is_the_volume_of_the_sphere(triclinic):
    positions, species = gas(2, 300, 20, 30, triclinic)
    rdf = partial_rdf(positions, triclinic, species, ("Na", "Cl"), r_max_a=6.0, n_bins=12)
    density = 30 / abs(np.linalg.det(triclinic))
    volume = 4 / 3 * np.pi * rdf.r_a**3
    np.testing.assert_allclose(rdf.coordination_at_r[4:], density * volume[4:], rtol=0.05)


def test_thermal_rattle_keeps_the_shell(nacl):
    positions, cell, species = nacl((2, 2, 2), rattle_a=0.15, n_frames=20)
    found = partial_rdf(positions, cell, species, ("Na", "Cl"))
    assert first_maximum_a(found) == pytest.approx(2.82, abs=0.1)
    assert coordination(found, first_minimum_a(found)) == pytest.approx(6.0, abs=0.05)


def test_block_errors_are_those_of_counting(triclinic):
    positions, species = gas(5, 400, 20, 30, triclinic)
    found = pair_distributions(positions, triclinic, species, r_max_a=4.5, n_bins=9, n_blocks=20)
    rdf = found.around("Na", "Cl")
    shell = 4.0 / 3.0 * np.pi * np.diff(np.linspace(0, 4.5, 10) ** 3)
    expected = 1.0 / np.sqrt(400 * 20 * 30 * shell / np.linalg.det(triclinic))
    assert np.mean(rdf.g_sd / expected) == pytest.approx(1.0, abs=0.2)
    np.testing.assert_allclose(rdf.g_blocks.mean(axis=0), rdf.g, rtol=1e-12)
    number = coordination_quantity(rdf, 4.5)
    assert number.value == pytest.approx(coordination(rdf, 4.5))
    assert number.lower < 30 * shell.sum() / np.linalg.det(triclinic) < number.upper
    assert number.sd == pytest.approx(rdf.running_coordination_sd[-1])
    one = pair_distributions(positions[0], triclinic, species)
    assert np.isnan(one.around("Na", "Cl").g_sd).all()
    assert coordination_quantity(one.around("Na", "Cl"), 4.0).note == "one frame or block: no error"


def test_the_total_does_not_know_species(nacl):
    positions, cell, species = nacl((2, 2, 2), rattle_a=0.1, n_frames=3)
    found = pair_distributions(positions, cell, species)
    alike = pair_distributions(positions, cell, ["Na"] * len(species))
    total = found.total()
    np.testing.assert_allclose(total.g, alike.around("Na", "Na").g)
    np.testing.assert_allclose(total.g_sd, alike.around("Na", "Na").g_sd)
    only = found.total({"Na": 1.0, "Cl": 0.0})
    np.testing.assert_allclose(only.g, found.around("Na", "Na").g)
    assert found.density_per_a3 == pytest.approx(8 / 5.64**3)


def test_breathing_cells_count_with_their_own_density(nacl):
    positions, cell, species = nacl((2, 2, 2), n_frames=2)
    stretched = np.stack([cell, 1.1 * cell])
    frames = np.stack([positions[0], 1.1 * positions[1]])
    found = partial_rdf(frames, stretched, species, ("Na", "Cl"), r_max_a=6.0, n_bins=300)
    one = [
        partial_rdf(frame, box, species, ("Na", "Cl"), r_max_a=6.0, n_bins=300)
        for frame, box in zip(frames, stretched, strict=True)
    ]
    np.testing.assert_allclose(
        found.running_coordination, (one[0].running_coordination + one[1].running_coordination) / 2
    )
    np.testing.assert_allclose(found.g_blocks, [one[0].g, one[1].g])


def test_a_memory_map_is_read_in_blocks(tmp_path, triclinic, monkeypatch):
    positions, species = gas(6, 30, 20, 30, triclinic)
    np.save(tmp_path / "positions.npy", positions)
    stored = np.load(tmp_path / "positions.npy", mmap_mode="r")
    whole = pair_distributions(positions, triclinic, species, n_blocks=4)
    monkeypatch.setattr("haloflow.analysis.frames.frame_blocks.__defaults__", (450,))
    found = pair_distributions(stored, triclinic, species, n_blocks=4)
    np.testing.assert_allclose(found.total().g, whole.total().g, rtol=1e-12)
    np.testing.assert_allclose(found.total().g_sd, whole.total().g_sd, rtol=1e-9)


def test_short_and_long_bonds_of_an_off_centre_metal_are_one_shell():
    rng = np.random.default_rng(0)
    cell = np.diag([4.0, 9.0, 9.0])
    positions = np.array([[0.0, 4, 4], [1.8, 4, 4]]) + rng.normal(0, 0.03, (200, 2, 3))
    rdf = partial_rdf(positions, cell, ["Nb", "O"], ("Nb", "O"), r_max_a=5.0, n_bins=100)
    assert coordination(rdf, first_minimum_a(rdf)) == pytest.approx(1.0)
    assert coordination(rdf, first_minimum_a(rdf, split_a=0.6)) == pytest.approx(2.0)


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
    found = pair_distributions(positions, cell, species)
    with pytest.raises(AnalysisError, match=r"a weight for each species\. Given: none for Cl"):
        found.total({"Na": 1.0})
    with pytest.raises(AnalysisError, match=r"a weight for each species\. Given: zeros"):
        found.total({"Na": 0.0, "Cl": 0.0})
    with pytest.raises(AnalysisError, match="n_blocks=0, 1 frames"):
        pair_distributions(positions, cell, species, n_blocks=0)
    with pytest.raises(AnalysisError, match=r"cutoff lies outside .* Given: 9 A\. Allowed: 0 to 8"):
        coordination(partial_rdf(positions, cell, species, ("Na", "Cl")), 9)
