from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Species

from haloflow.analysis.free_volume import IONIC_RADII_A, free_volume, insertion_radii
from haloflow.errors import AnalysisError

EDGE_A = 5.2
OFF_GRID = np.array([0.137, 0.211, 0.083])
"""Keeps surfaces off the grid points, which would count them all alike."""


def spheres(lattice):
    """Return touching spheres: centres, primitive cell and radius."""
    cells = {
        "sc": (np.eye(3), 0.5),
        "fcc": (np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2, 8**-0.5),
        "bcc": (np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2, 3**0.5 / 4),
    }
    cell, radius = cells[lattice]
    return OFF_GRID[None] * EDGE_A, cell * EDGE_A, radius * EDGE_A


@pytest.mark.parametrize(
    ("lattice", "filled", "hole"),
    [
        ("sc", np.pi / 6, 3**0.5 - 1),
        ("fcc", np.pi / 18**0.5, 2**0.5 - 1),
        ("bcc", np.pi * 3**0.5 / 8, (5 / 3) ** 0.5 - 1),
    ],
)
def test_packed_spheres_leave_their_known_room(lattice, filled, hole):
    centres, cell, radius = spheres(lattice)
    field = insertion_radii(centres, cell, np.array([radius]), 0.05, 3.0)
    assert (field > 0).mean() == pytest.approx(1.0 - filled, abs=0.004)
    assert field.max() == pytest.approx(hole * radius, abs=0.05)
    assert field.max() <= hole * radius + 1e-9


def test_insertion_of_a_probe_excludes_a_larger_sphere():
    species = ["Na", "Cl", "Cl"]
    positions = np.array([[9.0, 9.0, 9.0], [3.1, 3.2, 3.3], [9.2, 3.1, 3.4]])
    found = free_volume(positions, np.eye(3) * 12.0, species, voxel_a=0.15, largest_probe_a=1.1)
    reach = IONIC_RADII_A["Cl"] + found.probe_radius_a
    expected = 1.0 - 2 * 4 / 3 * np.pi * reach**3 / 12.0**3
    np.testing.assert_allclose(found.insertable_fraction, expected, atol=0.002)
    assert found.free_fraction.value == pytest.approx(expected[0], abs=0.002)
    assert found.free_a3_per_mobile.value == pytest.approx(expected[0] * 12.0**3, rel=0.002)
    sodium = 1.0 - 2 * 4 / 3 * np.pi * (1.81 + 1.02) ** 3 / 12.0**3
    assert found.mobile_fraction.value == pytest.approx(sodium, abs=0.002)
    assert found.mobile_a3_per_mobile.value == pytest.approx(sodium * 12.0**3, rel=0.003)
    assert (np.diff(found.insertable_fraction) <= 0).all()


def test_every_image_counts_in_a_small_cell():
    centres, cell, radius = spheres("fcc")
    repeats = np.array([2, 1, 3])
    shifts = np.stack(np.meshgrid(*[np.arange(n) for n in repeats], indexing="ij"), -1)
    many = (shifts.reshape(-1, 1, 3) @ cell + centres).reshape(-1, 3)
    voxel_a = np.linalg.norm(cell[0]) / 18
    small = insertion_radii(centres, cell, np.array([radius]), voxel_a, 4.0)
    large = insertion_radii(many, cell * repeats[:, None], np.full(6, radius), voxel_a, 4.0)
    assert small.shape == (18, 18, 18)
    np.testing.assert_allclose(large, np.tile(small, repeats), atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_field_is_the_distance_to_the_nearest_surface(seed, triclinic):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-1.0, 2.0, (5, 3)) @ triclinic
    radius = rng.uniform(0.5, 2.0, 5)
    field = insertion_radii(positions, triclinic, radius, 1.1, 2.0)
    grid = np.stack(np.meshgrid(*[np.arange(n) / n for n in field.shape], indexing="ij"), -1)
    images = np.stack(np.meshgrid(*[np.arange(-3, 5)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    fractional = (positions @ np.linalg.inv(triclinic)) % 1.0 + images - 0.5
    away = (fractional @ triclinic)[None] - ((grid.reshape(-1, 3) - 0.5) @ triclinic)[:, None, None]
    surface = (np.linalg.norm(away, axis=-1) - radius).min(axis=(1, 2))
    np.testing.assert_allclose(field.ravel(), np.minimum(surface, 2.0), atol=1e-9)


def test_moves_and_order_change_little_and_errors_come_from_the_frames(nacl):
    positions, cell, species = nacl((2, 2, 2), rattle_a=0.2, n_frames=12)
    found = free_volume(positions, cell, species)
    rng = np.random.default_rng(0)
    order = rng.permutation(64)
    moved = (positions + rng.normal(size=3))[:, order]
    again = free_volume(moved, cell, np.array(species)[order])
    assert again.free_fraction.value == pytest.approx(found.free_fraction.value, abs=0.003)
    still = free_volume(positions[:1], cell, species)
    assert still.free_fraction.sd is None
    assert 0 < found.free_fraction.sd < 0.01
    assert found.free_fraction.lower < found.free_fraction.value < found.free_fraction.upper
    assert np.isnan(still.insertable_fraction_sd).all()


def test_radii_are_those_of_shannon():
    states = {
        "Na": 1,
        "O": -2,
        "S": -2,
        "F": -1,
        "Cl": -1,
        "Br": -1,
        "I": -1,
        "Y": 3,
        "Zr": 4,
        "Hf": 4,
        "Nb": 5,
        "Ta": 5,
    }
    assert set(states) == set(IONIC_RADII_A)
    for symbol, state in states.items():
        radius = Species(symbol, state).get_shannon_radius("VI", radius_type="ionic")
        assert IONIC_RADII_A[symbol] == pytest.approx(radius)


def test_bad_requests_are_refused(nacl):
    positions, cell, species = nacl((1, 1, 1))
    with pytest.raises(AnalysisError, match="does not occur in the structure"):
        free_volume(positions, cell, species, mobile="Li")
    with pytest.raises(AnalysisError, match=r"a species has no radius\. Given: Cl"):
        free_volume(positions, cell, species, radii_a={"Na": 1.0})
    with pytest.raises(AnalysisError, match=r"probes and voxels need sizes.*voxel_a=0"):
        free_volume(positions, cell, species, voxel_a=0)
    with pytest.raises(AnalysisError, match=r"probes beyond Na's 1\.02 A"):
        free_volume(positions, cell, species, largest_probe_a=1.0)
    with pytest.raises(AnalysisError, match=r"no framework .*only Na"):
        free_volume(positions[:, :4], cell, species[:4])
