from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import fft

from haloflow.analysis.msd import (
    independent_ions,
    lag_grid,
    msd_fft,
    msd_tensor,
    squared_displacement_variance,
)


def brute_force(path):
    n = len(path)
    own, collective = np.zeros(n), np.zeros(n)
    for lag in range(1, n):
        moved = path[lag:] - path[:-lag]
        own[lag] = (moved**2).sum(axis=2).mean()
        collective[lag] = (moved.sum(axis=1) ** 2).sum(axis=1).mean() / path.shape[1]
    return own, collective


@pytest.mark.parametrize(("n_frames", "n_ions"), [(2, 1), (37, 3), (64, 70), (200, 5)])
def test_all_lags_agree_with_the_sum_over_origins(n_frames, n_ions):
    rng = np.random.default_rng(n_frames)
    path = np.cumsum(rng.normal(size=(n_frames, n_ions, 3)), axis=0) + 100.0
    msd = msd_fft(path)
    own, collective = brute_force(path)
    np.testing.assert_allclose(msd.self_a2, own, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(msd.collective_a2, collective, rtol=1e-9, atol=1e-9)


def test_ballistic_ions_move_with_the_square_of_the_lag():
    lag = np.arange(50)
    path = np.broadcast_to(lag[:, None, None] * [[[0.1, 0.0, 0.2]]], (50, 4, 3))
    msd = msd_fft(path)
    np.testing.assert_allclose(msd.self_a2, 0.05 * lag**2, atol=1e-10)
    np.testing.assert_allclose(msd.collective_a2, 4 * 0.05 * lag**2, atol=1e-10)


def test_variance_of_squared_displacements_is_that_of_a_gaussian_walk():
    path = np.cumsum(np.random.default_rng(0).normal(size=(4000, 40, 3)), axis=0)
    lags = np.array([1, 4])
    expected = 2.0 / 3.0 * (3.0 * lags) ** 2
    np.testing.assert_allclose(squared_displacement_variance(path, lags), expected, rtol=0.1)


def test_lag_grid_is_increasing_and_ends_where_asked():
    for longest in (1, 2, 7, 1000):
        grid = lag_grid(longest)
        assert grid[0] == 1
        assert grid[-1] == longest
        assert (np.diff(grid) > 0).all()


def test_the_tensor_agrees_with_the_sum_over_origins_and_its_trace_with_the_scalar():
    rng = np.random.default_rng(8)
    path = np.cumsum(rng.normal(size=(40, 7, 3)) @ rng.normal(size=(3, 3)), axis=0) + 30.0
    tensor, scalar = msd_tensor(path), msd_fft(path)
    for lag in (1, 5, 39):
        moved = path[lag:] - path[:-lag]
        own = np.einsum("fia,fib->ab", moved, moved) / (40 - lag) / 7
        total = moved.sum(axis=1)
        np.testing.assert_allclose(tensor.self_a2[lag], own, rtol=1e-9)
        expected = np.einsum("fa,fb->ab", total, total) / (40 - lag) / 7
        np.testing.assert_allclose(tensor.collective_a2[lag], expected, rtol=1e-9)
    np.testing.assert_allclose(
        np.einsum("fii->f", tensor.self_a2), scalar.self_a2, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("n_dim", [1, 2])
def test_fewer_dimensions_add_up(n_dim):
    path = np.cumsum(np.random.default_rng(2).normal(size=(90, 13, 3)), axis=0)
    parts = [msd_fft(path[..., :n_dim]), msd_fft(path[..., n_dim:])]
    for name in ("self_a2", "collective_a2"):
        added = sum(getattr(part, name) for part in parts)
        np.testing.assert_allclose(added, getattr(msd_fft(path), name), rtol=1e-8, atol=1e-9)


def test_single_precision_paths_are_summed_in_double_precision():
    path = np.cumsum(np.random.default_rng(2).normal(size=(500, 10, 3)), axis=0) + 50.0
    single = msd_fft(path.astype(np.float32))
    np.testing.assert_allclose(single.self_a2, msd_fft(path).self_a2, rtol=1e-5, atol=1e-5)


def test_independent_ions_are_those_that_do_not_move_together():
    rng = np.random.default_rng(4)
    path = np.cumsum(rng.normal(size=(3000, 30, 3)), axis=0)
    assert independent_ions(path, 5) == pytest.approx(30, rel=0.05)
    triples = np.repeat(path[:, :10], 3, axis=1)
    assert independent_ions(triples, 5) == pytest.approx(10, rel=0.05)
    assert independent_ions(np.repeat(path[:, :1], 30, axis=1), 5) == pytest.approx(1, rel=0.05)
    assert independent_ions(np.zeros((50, 4, 3)), 3) == 4.0


def test_many_ions_cost_about_one_pass_of_transforms():
    """The margin of 2 is for the machine; benchmarks/ measure the ratio."""
    path = np.cumsum(np.random.default_rng(0).normal(size=(8000, 120, 3)), axis=0)
    signals = path.reshape(8000, -1)
    ratios = []
    for _ in range(5):
        start = time.process_time()
        fft.rfft(signals, 16000, axis=0)
        plain = time.process_time() - start
        msd_fft(path)
        ratios.append((time.process_time() - start - plain) / plain)
    assert min(ratios) < 2.0
