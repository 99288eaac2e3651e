from __future__ import annotations

import warnings

import numpy as np
import pytest

from haloflow.analysis.density import density_grid
from haloflow.analysis.hops import find_hops, hop_length_histogram
from haloflow.analysis.host_paths import HostPaths
from haloflow.analysis.sites import find_sites
from haloflow.errors import AnalysisError
from haloflow.quantity import Status

EDGE_A = 3.0
N_CELLS = 5
CELL = N_CELLS * EDGE_A * np.eye(3)
FRAME_PS = 0.1
RATE_PER_PS = 0.2
WATSON = 1.516386  # times a simple cubic walk comes back to its start, the start included


def lattice_walk(seed, *, rate=RATE_PER_PS, n_frames=6000, n_ions=24, rattle_a=0.25):
    """Continuous paths of random hops on a simple cubic lattice, and the sites by frame."""
    rng = np.random.default_rng(seed)
    hops = rng.random((n_frames, n_ions)) < rate * FRAME_PS
    axis = rng.integers(3, size=hops.shape)
    sign = rng.choice([-1, 1], size=hops.shape)
    steps = np.eye(3, dtype=int)[axis] * (sign * hops)[..., None]
    start = rng.integers(N_CELLS, size=(n_ions, 3))
    steps[0] = 0
    hops[0] = False
    place = start + np.cumsum(steps, axis=0)
    positions = (place + 0.5) * EDGE_A + rng.normal(0.0, rattle_a, place.shape)
    return HostPaths((positions / (N_CELLS * EDGE_A)).astype(np.float32), CELL), place, hops


@pytest.fixture(scope="module")
def walked():
    paths, place, hops = lattice_walk(0)
    sites = find_sites(density_grid(paths, spacing_a=0.4))
    return paths, sites, find_hops(paths, sites, frame_ps=FRAME_PS), place, hops


def test_every_hop_of_a_lattice_walk_is_found(walked):
    _, sites, found, place, hops = walked
    assert sites.n_sites == N_CELLS**3
    assert found.n_hops == pytest.approx(hops.sum(), rel=0.02)  # two within a frame or two
    assert found.transitions.sum() == found.n_hops
    assert (np.diff(found.frame) >= 0).all()
    assert found.core_share > 0.9
    expected = (place[-1] - place[0]) * EDGE_A
    total = np.zeros_like(expected)
    np.add.at(total, found.ion, found.vector_a)
    last_hop = np.abs(total - expected).max(axis=1)
    assert np.median(last_hop) < 0.3
    assert (last_hop < 0.4).mean() > 0.9  # others left their last core in the last frames


def test_times_are_those_of_the_walk(walked):
    _, _, found, _, _ = walked
    residence = found.residence_time_ps
    assert residence.status is Status.OK
    assert residence.lower <= 1.0 / RATE_PER_PS * 1.02
    assert residence.upper >= 1.0 / RATE_PER_PS
    assert np.nanmean(found.dwell_ps) == pytest.approx(1.0 / RATE_PER_PS, rel=0.06)
    memory = found.correlation_time_ps
    assert memory.status is Status.OK
    assert memory.value == pytest.approx(WATSON / RATE_PER_PS, rel=0.08)
    assert memory.lower <= WATSON / RATE_PER_PS * 1.03
    assert memory.upper >= WATSON / RATE_PER_PS * 0.97
    assert found.memory[0] == 1.0
    diffusivity = found.jump_diffusivity_cm2_s
    true = RATE_PER_PS * EDGE_A**2 / 6.0 * 1e-4
    assert diffusivity.value == pytest.approx(true, rel=0.05)
    assert found.returned.mean() == pytest.approx(1.0 / 6.0, abs=0.02)


def test_intervals_cover_the_truth():
    residence, memory = [], []
    for seed in range(1, 13):
        paths, _, _ = lattice_walk(seed, n_frames=2000, n_ions=12)
        found = find_hops(paths, find_sites(density_grid(paths, spacing_a=0.5)), frame_ps=FRAME_PS)
        true = 1.0 / RATE_PER_PS
        residence.append(found.residence_time_ps.lower <= true <= found.residence_time_ps.upper)
        memory.append(
            found.correlation_time_ps.lower <= WATSON * true <= found.correlation_time_ps.upper
        )
    assert np.mean(residence) >= 0.75
    assert np.mean(memory) >= 0.7


def test_hop_lengths_are_the_lattice_constant(walked):
    centres, share, error = hop_length_histogram(walked[2], bin_width_a=0.25)
    assert share.sum() * 0.25 == pytest.approx(1.0)
    near = np.abs(centres - EDGE_A) < 0.3
    assert share[near].sum() * 0.25 > 0.95
    assert (error[share > 0] > 0).all()
    vectors = walked[2].vector_a
    single = walked[2].length_a < 1.2 * EDGE_A
    along = np.abs(vectors[single]).max(axis=1)
    assert np.allclose(along, EDGE_A, atol=0.3)


def test_site_analysis_counts_the_same_transitions():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from site_analysis.builders import create_trajectory_with_spherical_sites
    from pymatgen.core import Structure

    paths, _, _ = lattice_walk(7, n_frames=300, n_ions=12)
    sites = find_sites(density_grid(paths, spacing_a=0.4), min_occupancy=1e-6)
    ours = find_hops(paths, sites, frame_ps=FRAME_PS)
    frames = [Structure(CELL, ["Na"] * 12, fractions % 1.0) for fractions in paths.fractional]
    theirs = create_trajectory_with_spherical_sites(
        frames[0], "Na", [list(row) for row in sites.fractional], 1.0
    )
    theirs.trajectory_from_structures(frames)
    occupied = np.array([np.array(row, dtype=float) for row in theirs.atoms_trajectory])
    changes = 0
    for ion in occupied.reshape(len(frames), 12).T:
        known = ion[np.isfinite(ion)]
        changes += int((np.diff(known) != 0).sum())
    assert changes == pytest.approx(ours.n_hops, rel=0.03)
    assert changes > 50


def test_swinging_out_of_a_core_and_back_is_no_hop():
    """Two wells; an ion goes to the top between them and back many times."""
    rng = np.random.default_rng(0)
    x = np.where(np.arange(3000) % 10 == 0, 4.8, 3.0) + rng.normal(0, 0.15, 3000)
    x[1500:] = 10.0 - x[1500:]
    positions = np.stack([x, *(5.0 + rng.normal(0, 0.15, (2, 3000)))], axis=-1)[:, None]
    paths = HostPaths((positions / 10.0).astype(np.float32), 10.0 * np.eye(3))
    sites = find_sites(density_grid(paths, spacing_a=0.4), prominence_kt=2.5)
    found = find_hops(paths, sites, frame_ps=1.0)
    assert sites.n_sites == 2
    assert found.n_hops == 1
    assert found.frame[0] == pytest.approx(1500, abs=2)
    assert found.length_a[0] == pytest.approx(4.0, abs=0.1)
    assert np.isnan(found.dwell_ps[0])
    assert found.correlation_time_ps.status is Status.UNCONVERGED


def test_a_hop_into_the_next_image_of_a_site_is_a_hop():
    """One site in the cell; an ion that goes round it moves by a whole cell each time."""
    rng = np.random.default_rng(1)
    turn = np.repeat(np.arange(40), 50)
    positions = rng.normal(0, 0.2, (2000, 1, 3)) + 2.0
    positions[:, 0, 0] += 4.0 * turn
    paths = HostPaths((positions / 4.0).astype(np.float32), 4.0 * np.eye(3))
    found = find_hops(paths, find_sites(density_grid(paths, spacing_a=0.4)), frame_ps=0.1)
    assert found.n_hops == 39
    assert np.allclose(found.vector_a, [4.0, 0.0, 0.0])
    assert found.residence_time_ps.value == pytest.approx(5.0, rel=0.05)
    assert not found.returned.any()


def test_without_hops_there_is_a_bound():
    paths, _, _ = lattice_walk(0, rate=0.0, n_frames=500, n_ions=10)
    found = find_hops(paths, find_sites(density_grid(paths)), frame_ps=FRAME_PS)
    residence = found.residence_time_ps
    assert found.n_hops == 0
    assert residence.value is None
    assert residence.lower == pytest.approx(10 * 49.9 / 2.9957, rel=1e-3)
    assert "no hop was seen" in residence.note
    assert found.jump_diffusivity_cm2_s.note == "no hop was seen"
    assert found.correlation_time_ps.upper is None
    assert "in their first place" in found.correlation_time_ps.note
    with pytest.raises(AnalysisError, match="there is no hop to measure"):
        hop_length_histogram(found)


def test_few_hops_are_not_converged():
    paths, _, _ = lattice_walk(3, rate=0.005, n_frames=1000, n_ions=10)
    found = find_hops(paths, find_sites(density_grid(paths)), frame_ps=FRAME_PS)
    assert 0 < found.n_hops < 20
    assert found.residence_time_ps.status is Status.UNCONVERGED
    assert "independent hops, 20 needed" in found.residence_time_ps.note
    assert found.residence_time_ps.lower <= 200.0 <= found.residence_time_ps.upper


def test_bad_input_is_refused(walked):
    paths, sites, found = walked[:3]
    with pytest.raises(AnalysisError, match="frame_ps must be positive"):
        find_hops(paths, sites, frame_ps=0.0)
    with pytest.raises(AnalysisError, match="too few frames for a hop"):
        find_hops(HostPaths(paths.fractional[:1], CELL), sites, frame_ps=0.1)
    outside = HostPaths(np.zeros_like(paths.fractional[:10]), CELL)
    with pytest.raises(AnalysisError, match="no ion enters a site"):
        find_hops(outside, sites, frame_ps=0.1)
    with pytest.raises(AnalysisError, match="bin_width_a must be positive"):
        hop_length_histogram(found, bin_width_a=-1.0)
