from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.msd import lag_grid, msd_fft, squared_displacement_variance


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
