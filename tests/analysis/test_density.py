from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.density import (
    density_grid,
    free_energy,
    free_energy_histogram,
    plane_of,
    projected_density,
)
from haloflow.analysis.host_paths import HostPaths
from haloflow.errors import AnalysisError
from haloflow.units import BOLTZMANN_EV_PER_K

KT_600 = 600.0 * BOLTZMANN_EV_PER_K


def random_paths(cell, n_frames=200, n_ions=5, seed=0):
    rng = np.random.default_rng(seed)
    return HostPaths(rng.normal(0.4, 0.9, (n_frames, n_ions, 3)).astype(np.float32), cell)


def test_counts_are_those_of_a_histogram(triclinic):
    paths = random_paths(triclinic)
    grid = density_grid(paths, spacing_a=0.8, n_blocks=4)
    folded = (paths.fractional.astype(np.float64) % 1.0).reshape(-1, 3)
    expected, _ = np.histogramdd(folded, bins=grid.shape, range=[(0, 1)] * 3)
    assert np.abs(grid.counts - expected).sum() <= 2  # float32 on an edge
    assert np.array_equal(grid.block_counts.sum(axis=(1, 2, 3)), [250] * 4)
    edges = np.linalg.norm(triclinic, axis=1) / grid.shape
    assert (edges <= 0.8).all()
    assert (edges > 0.7).all()


@given(seed=st.integers(0, 50), n_cells=st.integers(-3, 3))
@settings(max_examples=8, deadline=None)
def test_images_and_names_of_ions_do_not_matter(triclinic, seed, n_cells):
    paths = random_paths(triclinic, seed=seed)
    moved = HostPaths(np.ascontiguousarray(paths.fractional[:, ::-1] % 1) + n_cells, paths.cell)
    one, other = (density_grid(p, spacing_a=0.5).counts for p in (paths, moved))
    assert np.abs(one - other).sum() <= 6  # float32 on an edge


def test_gemdat_counts_the_same_density():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        from gemdat import Trajectory
        from gemdat.volume import trajectory_to_volume
    from pymatgen.core import Element

    cell = np.diag([6.1, 7.1, 8.1])  # 12, 14 and 16 voxels in GEMDAT
    rng = np.random.default_rng(1)
    fractions = rng.random((400, 6, 3))
    theirs = trajectory_to_volume(
        Trajectory(
            species=[Element("Na")] * 6,
            coords=fractions,
            lattice=cell,
            time_step=1e-13,
            metadata={"temperature": 600.0},
        ),
        resolution=0.5,
    )
    ours = density_grid(HostPaths(fractions.astype(np.float32), cell), spacing_a=0.51)
    assert ours.shape == theirs.data.shape
    assert np.abs(ours.counts - theirs.data).sum() <= 4  # float32 on an edge


def test_density_integrates_to_the_number_of_ions(triclinic):
    grid = density_grid(random_paths(triclinic), spacing_a=0.7)
    assert grid.density_per_a3.sum() * grid.voxel_volume_a3 == pytest.approx(5.0)
    for axis in range(3):
        plane = projected_density(grid, axis)
        area = np.abs(np.linalg.det(plane.axes_a)) / plane.values.size
        assert plane.values.sum() * area == pytest.approx(5.0)
        spanning = np.delete(triclinic, axis, axis=0)
        assert np.allclose(plane.axes_a @ plane.axes_a.T, spanning @ spanning.T)
        layers = [
            plane_of(grid.density_per_a3, triclinic, axis, (i + 0.5) / n).values
            for i, n in enumerate([grid.shape[axis]] * grid.shape[axis])
        ]
        depth = np.linalg.norm(triclinic[axis]) / grid.shape[axis]
        height = np.abs(np.linalg.det(triclinic)) / np.linalg.norm(np.cross(*spanning))
        tilt = height / np.linalg.norm(triclinic[axis])
        assert np.allclose(np.sum(layers, axis=0) * depth * tilt, plane.values)


def boltzmann(rng, n_frames, n_ions, depth_ev=0.2, kt_ev=KT_600):
    """Ions in V = depth/2 (1 - cos 2 pi x) along a; flat along b and c."""
    u = np.linspace(0.0, 1.0, 4001)
    weight = np.exp(-depth_ev / 2 * (1 - np.cos(2 * np.pi * u)) / kt_ev)
    cumulative = np.append(0.0, np.cumsum(0.5 * (weight[1:] + weight[:-1])))
    x = np.interp(rng.random((n_frames, n_ions)), cumulative / cumulative[-1], u)
    return np.stack([x, *rng.random((2, n_frames, n_ions))], axis=-1).astype(np.float32)


def test_free_energy_is_the_potential_within_its_errors():
    paths = HostPaths(boltzmann(np.random.default_rng(4), 20_000, 5), np.diag([6.0, 1.0, 1.0]))
    landscape = free_energy(density_grid(paths, spacing_a=0.5), 600.0)
    x = (np.arange(12 * 200) + 0.5) / (12 * 200)
    potential = 0.1 * (1 - np.cos(2 * np.pi * x))
    exact = -KT_600 * np.log(np.exp(-potential / KT_600).reshape(12, 200).mean(axis=1))
    offset = landscape.free_energy_ev - exact[:, None, None]
    weight = 1.0 / landscape.sd_ev**2
    z = (offset - np.average(offset, weights=weight)) / landscape.sd_ev
    assert landscape.visited.all()
    assert 0.6 < z.std() < 1.4
    assert landscape.free_energy_ev.min() == 0.0
    share = np.exp(-(landscape.free_energy_ev + landscape.zero_ev) / KT_600)
    assert share.sum() == pytest.approx(1.0)


def test_errors_know_that_frames_are_correlated():
    fresh = boltzmann(np.random.default_rng(5), 2000, 5)
    cell = np.diag([6.0, 1.0, 1.0])
    independent = free_energy(density_grid(HostPaths(fresh, cell), spacing_a=0.5), 600.0)
    stale = HostPaths(np.repeat(fresh, 9, axis=0), cell)
    repeated = free_energy(density_grid(stale, spacing_a=0.5), 600.0)
    ratio = repeated.sd_ev / independent.sd_ev
    assert np.isfinite(ratio).all()
    assert 0.8 < np.median(ratio) < 1.3  # nine times the counts, and no more known


def test_unvisited_voxels_are_lower_bounds():
    """Of voxels in which 3 or more ions are expected, at most 5 % may look empty by chance."""
    rng = np.random.default_rng(6)
    paths = HostPaths(boltzmann(rng, 1500, 4, depth_ev=0.5), np.diag([6.0, 3.0, 3.0]))
    landscape = free_energy(density_grid(paths, spacing_a=0.3), 600.0)
    empty = ~landscape.visited
    assert empty.any()
    assert (landscape.free_energy_ev[empty] == landscape.lower_bound_ev).all()
    assert np.isinf(landscape.sd_ev[empty]).all()
    x = (np.arange(20 * 200) + 0.5) / (20 * 200)
    weight = np.exp(-0.25 * (1 - np.cos(2 * np.pi * x)) / KT_600).reshape(20, 200).sum(axis=1)
    exact = -KT_600 * np.log(weight / weight.sum() / 100.0)
    likely = exact < landscape.lower_bound_ev + landscape.zero_ev
    assert likely.sum() >= 5
    assert empty[likely].mean() < 0.05


def test_histogram_covers_the_visited_voxels(triclinic):
    landscape = free_energy(density_grid(random_paths(triclinic), spacing_a=0.7), 600.0)
    centres, share = free_energy_histogram(landscape, bin_width_ev=0.01)
    assert share.sum() * 0.01 == pytest.approx(1.0)
    mean = landscape.free_energy_ev[landscape.visited].mean()
    assert (centres * share).sum() * 0.01 == pytest.approx(mean, abs=0.005)


def test_bad_input_is_refused(triclinic):
    paths = random_paths(triclinic)
    grid = density_grid(paths)
    with pytest.raises(AnalysisError, match="spacing of the density grid is out of range"):
        density_grid(paths, spacing_a=5.0)
    with pytest.raises(AnalysisError, match="cannot be cut into that many blocks"):
        density_grid(paths, n_blocks=201)
    with pytest.raises(AnalysisError, match="density grid is too large"):
        density_grid(HostPaths(paths.fractional, 10 * triclinic), spacing_a=0.2)
    with pytest.raises(AnalysisError, match="temperature_k must be positive"):
        free_energy(grid, 0.0)
    with pytest.raises(AnalysisError, match="there is no such cell vector"):
        projected_density(grid, 3)
    with pytest.raises(AnalysisError, match="there is no such cell vector"):
        plane_of(grid.density_per_a3, triclinic, -1, 0.0)
    with pytest.raises(AnalysisError, match="bin_width_ev must be positive"):
        free_energy_histogram(free_energy(grid, 300.0), bin_width_ev=0.0)
