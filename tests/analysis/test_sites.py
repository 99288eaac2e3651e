from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.density import DensityGrid, density_grid
from haloflow.analysis.host_paths import HostPaths
from haloflow.analysis.sites import find_sites
from haloflow.errors import AnalysisError

CELL = np.array([[9.0, 0.0, 0.0], [2.0, 8.0, 0.0], [-1.0, 1.5, 10.0]])
PLACES = np.array([[0.02, 0.1, 0.2], [0.5, 0.97, 0.4], [0.3, 0.55, 0.8], [0.75, 0.4, 0.03]])


def dwelling(share=(0.4, 0.3, 0.2, 0.1), n_frames=4000, n_ions=4, seed=0, rattle_a=0.35):
    """Ions on four places with given shares of the time."""
    rng = np.random.default_rng(seed)
    place = PLACES[rng.choice(4, size=(n_frames, n_ions), p=share)]
    noise = rng.normal(0.0, rattle_a, place.shape) @ np.linalg.inv(CELL)
    return HostPaths((place + noise).astype(np.float32), CELL)


def matched(sites):
    """Return the site at each place, and how far off it is in A."""
    apart = sites.fractional[None] - PLACES[:, None]
    distance = np.linalg.norm((apart - np.rint(apart)) @ CELL, axis=2)
    return distance.argmin(axis=1), distance.min(axis=1)


def test_sites_lie_where_the_ions_dwell():
    sites = find_sites(density_grid(dwelling(), spacing_a=0.4))
    site, error = matched(sites)
    assert sorted(site) == [0, 1, 2, 3]
    assert error.max() < 0.05
    assert np.allclose(sites.occupancy[site], [1.6, 1.2, 0.8, 0.4], atol=0.1)
    assert sites.occupancy.sum() == pytest.approx(4.0, abs=0.05)
    assert np.allclose(sites.positions_a, sites.fractional @ CELL)
    assert (sites.depth_kt > 3.0).all()


def test_cores_lie_within_basins_and_hold_most_of_the_time():
    paths = dwelling()
    sites = find_sites(density_grid(paths, spacing_a=0.4))
    core = sites.core >= 0
    assert (sites.core[core] == sites.basin[core]).all()
    assert core.sum() < (sites.basin >= 0).sum()
    voxel = ((paths.fractional % 1.0) * sites.core.shape).astype(int) % sites.core.shape
    inside = sites.core[tuple(np.moveaxis(voxel, -1, 0))] >= 0
    assert 0.7 < inside.mean() < 0.99


def test_the_origin_of_the_grid_does_not_matter():
    grid = density_grid(dwelling(), spacing_a=0.4)
    sites = find_sites(grid)
    rolled = DensityGrid(
        np.roll(grid.block_counts, (4, 11, 7), axis=(1, 2, 3)), CELL, grid.n_mobile, grid.n_frames
    )
    other = find_sites(rolled)
    assert np.allclose(np.sort(other.occupancy), np.sort(sites.occupancy))
    shift = np.array([4, 11, 7]) / grid.shape
    moved = (sites.fractional + shift) % 1.0
    apart = moved[:, None] - other.fractional
    assert np.abs(apart - np.rint(apart)).max(axis=2).min(axis=1).max() < 1e-9


def test_a_supercell_has_its_multiple_of_sites():
    grid = density_grid(dwelling(), spacing_a=0.4)
    doubled = DensityGrid(
        np.tile(grid.block_counts, (1, 1, 2, 1)), CELL * [[1], [2], [1]], 8, grid.n_frames
    )
    sites, twice = find_sites(grid), find_sites(doubled)
    assert twice.n_sites == 2 * sites.n_sites
    assert np.allclose(np.sort(twice.occupancy), np.sort(np.repeat(sites.occupancy, 2)))


def test_a_shallow_dip_is_no_site_of_its_own():
    """Two Gaussians so near that their sum has one peak, or two with a dip of 0.6 kT."""
    rng = np.random.default_rng(2)
    for separation, dip_kt, n_sites in ((0.8, 0.4, 1), (1.6, 0.4, 2), (1.25, 1.5, 1)):
        side = rng.choice([-0.5, 0.5], size=(8000, 4))
        places = rng.normal(0.0, 0.4, (8000, 4, 3)) + 5.0
        places[..., 0] += side * separation
        paths = HostPaths((places / 10.0).astype(np.float32), 10.0 * np.eye(3))
        sites = find_sites(density_grid(paths, spacing_a=0.4), prominence_kt=dip_kt)
        assert sites.n_sites == n_sites, separation


def test_bad_input_is_refused():
    grid = density_grid(dwelling(n_frames=100), spacing_a=0.4)
    with pytest.raises(AnalysisError, match="no site is occupied often enough"):
        find_sites(grid, min_occupancy=4.1)
    with pytest.raises(AnalysisError, match="sites need a smoothing and a prominence"):
        find_sites(grid, smoothing_a=-0.1)
    with pytest.raises(AnalysisError, match="sites need a smoothing and a prominence"):
        find_sites(grid, prominence_kt=0.0)
