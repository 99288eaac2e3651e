from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from haloflow.analysis.host_paths import HostPaths, host_paths
from haloflow.analysis.rdf import partial_rdf
from haloflow.analysis.van_hove import van_hove
from haloflow.errors import AnalysisError

FRAME_PS = 0.1


def brownian_paths(brownian, cell, *, n_ions=40, n_frames=1500, seed=0):
    moved = brownian(seed, n_ions=n_ions, n_frames=n_frames, d_a2_ps=0.1, frame_ps=FRAME_PS)
    start = np.random.default_rng(seed + 1).random((n_ions, 3))
    return HostPaths((start + moved @ np.linalg.inv(cell)).astype(np.float32), cell)


def test_the_self_part_of_brownian_motion_is_gaussian(brownian):
    paths = brownian_paths(brownian, 20.0 * np.eye(3), n_ions=100)
    lags = [1, 10, 100]
    found = van_hove(paths, lags, frame_ps=FRAME_PS, r_max_a=8.0, n_bins=64)
    edges = np.linspace(0, 8.0, 65)
    for index, lag in enumerate(lags):
        scale = np.sqrt(2 * 0.1 * lag * FRAME_PS)
        exact = np.diff(stats.maxwell.cdf(edges, scale=scale)) / 0.125
        assert np.abs(found.self_per_a[index] - exact).max() < 0.1 * exact.max()
        seen = exact > 0.05 * exact.max()
        z = (found.self_per_a[index] - exact)[seen] / found.self_error_per_a[index][seen]
        assert np.sqrt(np.median(z**2)) < 2.0
        assert abs(found.non_gaussian[index]) < 0.1
        inside = found.self_per_a[index].sum() * 0.125
        assert inside + found.beyond[index] == pytest.approx(1.0)
    assert np.allclose(found.lags_ps, [0.1, 1.0, 10.0])


def test_hops_are_not_gaussian(hopping):
    moved = hopping(0, n_ions=40, n_frames=2000, d_a2_ps=0.5, frame_ps=FRAME_PS)
    paths = HostPaths((moved / 20.0).astype(np.float32), 20.0 * np.eye(3))
    found = van_hove(paths, [5], frame_ps=FRAME_PS, r_max_a=8.0, n_bins=80)
    assert found.non_gaussian[0] > 1.0
    hop = (found.r_a > 2.5) & (found.r_a < 5.0)
    expected = stats.poisson.pmf(1, 6 * 0.5 * 5 * FRAME_PS / 3.7**2)
    assert found.self_per_a[0][hop].sum() * 0.1 == pytest.approx(expected, rel=0.2)


def test_the_distinct_part_at_no_lag_is_the_pair_distribution(nacl):
    positions, cell, species = nacl((3, 3, 3), rattle_a=0.15, n_frames=20)
    sodium = np.array(species) == "Na"
    paths = host_paths(positions, cell, sodium, keep_drift=True)
    found = van_hove(paths, [0], frame_ps=FRAME_PS, r_max_a=8.0, n_bins=80)
    rdf = partial_rdf(positions, cell, species, ("Na", "Na"), r_max_a=8.0, n_bins=80)
    assert np.allclose(found.distinct_r_a, rdf.r_a)
    assert np.allclose(found.distinct_g[0], rdf.g, atol=0.02 * rdf.g.max())
    assert found.self_per_a[0, 0] * 0.1 == pytest.approx(1.0)


def test_the_distinct_part_of_an_ideal_gas_is_flat(brownian, triclinic):
    paths = brownian_paths(brownian, 2.0 * triclinic)
    found = van_hove(paths, [3, 50], frame_ps=FRAME_PS, r_max_a=20.0, n_bins=50)
    half_height = 0.5 / np.linalg.norm(np.linalg.inv(2.0 * triclinic), axis=0).max()
    assert found.distinct_r_a[-1] < half_height
    assert half_height - found.distinct_r_a[-1] < 0.4
    far = found.distinct_r_a > 3.0
    assert found.distinct_g[:, far].mean() == pytest.approx(1.0 - 1.0 / 40.0, abs=0.02)


def test_pymatgen_finds_the_same(brownian):
    """Its counts sit at the lower edge of their bin and are smeared; so are ours here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        from pymatgen.analysis.diffusion.aimd.van_hove import VanHoveAnalysis
        from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.core import Structure

    cell = 11.0 * np.eye(3)
    paths = brownian_paths(brownian, cell, n_ions=8, n_frames=60)
    positions = paths.fractional.astype(np.float64) @ cell
    positions = np.concatenate([positions, np.zeros((60, 1, 3))], axis=1)
    structure = Structure(cell, ["Na"] * 8 + ["Cl"], positions[0], coords_are_cartesian=True)
    displacements = np.moveaxis(positions - positions[0], 0, 1)
    analyzer = DiffusionAnalyzer(structure, displacements, "Na", 600, 100, 1, smoothed=False)
    theirs = VanHoveAnalysis(
        analyzer, avg_nsteps=40, ngrid=51, rmax=5.0, step_skip=20, species=["Na"]
    )
    ours = van_hove(paths, [20], frame_ps=FRAME_PS, r_max_a=5.0, n_bins=50)
    edge = np.linspace(0.0, 5.0, 51)
    smear = stats.norm.pdf(edge[:50, None], edge[None], 0.1)
    assert np.allclose(0.1 * ours.self_per_a[0] @ smear, theirs.gsrt[1], atol=0.005)
    shells = np.diff(edge**3) * 4.0 / 3.0 * np.pi
    area = 4.0 * np.pi * edge[:50] ** 2
    area[0] = np.pi * 0.1**2
    assert np.allclose((ours.distinct_g[0] * shells / area) @ smear, theirs.gdrt[1], atol=0.005)


@given(seed=st.integers(0, 100))
@settings(max_examples=5, deadline=None)
def test_rotation_translation_and_order_do_not_matter(triclinic, seed):
    rng = np.random.default_rng(seed)
    fractions = rng.random((1, 6, 3)) + np.cumsum(rng.normal(0, 0.03, (60, 6, 3)), axis=0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    options = {"frame_ps": FRAME_PS, "r_max_a": 6.0, "n_bins": 12}
    one = van_hove(HostPaths(fractions.astype(np.float32), triclinic), [0, 5], **options)
    moved = (fractions[:, rng.permutation(6)] + rng.normal(size=3)).astype(np.float32)
    other = van_hove(HostPaths(moved, triclinic @ turn), [0, 5], **options)
    # a distance on the edge of a bin may change sides
    assert np.abs(one.self_per_a - other.self_per_a).sum() * 0.5 < 0.02
    assert np.allclose(one.non_gaussian, other.non_gaussian, atol=1e-3)
    counts = np.abs(one.distinct_g - other.distinct_g) * one.distinct_r_a**2
    assert counts.sum() < 0.02 * (one.distinct_g * one.distinct_r_a**2).sum()


def test_bad_input_is_refused(brownian):
    paths = brownian_paths(brownian, 20.0 * np.eye(3), n_frames=20)
    with pytest.raises(AnalysisError, match="a lag lies outside the run"):
        van_hove(paths, [1, 20], frame_ps=FRAME_PS)
    with pytest.raises(AnalysisError, match="lags are whole numbers of frames"):
        van_hove(paths, [0.5], frame_ps=FRAME_PS)
    with pytest.raises(AnalysisError, match="lags are whole numbers of frames"):
        van_hove(paths, [], frame_ps=FRAME_PS)
    with pytest.raises(AnalysisError, match="r_max_a must be positive"):
        van_hove(paths, [1], frame_ps=FRAME_PS, r_max_a=0.0)
    last = van_hove(paths, [19], frame_ps=FRAME_PS)
    assert np.isnan(last.self_error_per_a).all()  # one time origin, no error
