"""The barrier out of a site: of a known potential, and of one that was hardly seen."""

from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.density import density_grid, free_energy
from haloflow.analysis.host_paths import HostPaths
from haloflow.analysis.sites import find_sites
from haloflow.makers.barriers import local_barrier
from haloflow.quantity import Status
from haloflow.units import BOLTZMANN_EV_PER_K

KT_600 = 600.0 * BOLTZMANN_EV_PER_K
LOWEST_EV = 0.2


def wells(n_frames, depths_ev, n_ions=50, seed=0):
    """Ions at 600 K in V = sum_i depth_i / 2 (1 - cos 4 pi x_i): eight wells in a 6 A cube."""
    rng = np.random.default_rng(seed)
    u = np.linspace(0.0, 1.0, 2001)
    fractions = np.empty((n_frames, n_ions, 3), dtype=np.float32)
    for axis, depth in enumerate(depths_ev):
        weight = np.exp(-depth / 2 * (1 - np.cos(4 * np.pi * u)) / KT_600)
        share = np.append(0.0, np.cumsum(0.5 * (weight[1:] + weight[:-1])))
        fractions[..., axis] = np.interp(rng.random((n_frames, n_ions)), share / share[-1], u)
    return density_grid(HostPaths(fractions, 6.0 * np.eye(3)), spacing_a=0.5)


def test_it_is_the_lowest_pass_of_the_potential():
    grid = wells(6000, (LOWEST_EV, 0.25, 0.3))
    sites = find_sites(grid)
    assert sites.n_sites == 8
    found = local_barrier(grid, sites, free_energy(grid, 600.0))
    u = (np.arange(12 * 200) + 0.5) / (12 * 200)
    weight = np.exp(-LOWEST_EV / 2 * (1 - np.cos(4 * np.pi * u)) / KT_600)
    voxels = weight.reshape(12, 200).mean(axis=1)
    assert found.value == pytest.approx(KT_600 * np.log(voxels.max() / voxels.min()), abs=0.01)
    assert found.lower < found.value < found.upper
    assert found.status is Status.OK


def test_passes_that_were_hardly_seen_have_no_lower_end():
    grid = wells(150, (0.35, 0.4, 0.4))
    found = local_barrier(grid, find_sites(grid), free_energy(grid, 600.0))
    assert found.status is Status.UNCONVERGED
    assert found.lower is None


def test_a_single_site_has_no_way_to_another():
    cell = HostPaths(np.full((50, 4, 3), 0.5, dtype=np.float32), 6.0 * np.eye(3))
    grid = density_grid(cell, spacing_a=0.5)
    assert local_barrier(grid, find_sites(grid), free_energy(grid, 600.0)) is None
