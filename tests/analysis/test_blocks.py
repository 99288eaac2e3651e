from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from haloflow.analysis.blocks import (
    block_error,
    block_means,
    block_of_frame,
    block_quantity,
    density_equilibrated,
    series_mean,
)
from haloflow.errors import AnalysisError


def autoregressive(phi, n, seed):
    noise = np.random.default_rng(seed).normal(size=n + 500)
    return lfilter([1.0], [1.0, -phi], noise)[500:]


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_standard_error_knows_the_autocorrelation(phi):
    means = [series_mean(autoregressive(phi, 4000, seed)) for seed in range(60)]
    inefficiency = (1.0 + phi) / (1.0 - phi)
    assert np.median([m.inefficiency for m in means]) == pytest.approx(inefficiency, rel=0.15)
    spread = np.std([m.mean for m in means])
    assert np.mean([m.standard_error for m in means]) == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize("phi", [0.0, 0.9])
def test_the_interval_of_block_means_covers_the_truth(phi):
    found = [block_quantity(autoregressive(phi, 2000, seed)) for seed in range(200)]
    covered = np.mean([q.lower <= 0.0 <= q.upper for q in found])
    assert 0.90 <= covered <= 0.99
    assert all(q.lower <= q.value <= q.upper for q in found)


def test_block_means_respect_limits_and_say_when_there_is_one():
    alone = block_quantity([0.4])
    assert (alone.value, alone.sd, alone.note) == (0.4, None, "one frame or block: no error")
    limited = block_quantity([0.0, 0.0, 1.0], least=0.0, most=1.0)
    assert (limited.lower, limited.upper) == (0.0, 1.0)
    assert block_of_frame(5, 2).tolist() == [0, 0, 0, 1, 1]
    assert block_of_frame(2, 5).tolist() == [0, 1]
    assert np.isnan(block_error(np.ones((1, 3)))).all()
    with pytest.raises(AnalysisError, match="a series cannot be averaged"):
        block_quantity([np.nan, 1.0])


def test_a_constant_series_has_no_error():
    mean = series_mean(np.full(50, 3.3))
    assert mean.mean == pytest.approx(3.3)
    assert mean.standard_error == 0.0
    assert mean.n_effective == 50


def test_a_drifting_series_is_worth_few_samples():
    assert series_mean(np.linspace(0.0, 1.0, 200)).n_effective < 5


def test_block_means_leave_out_the_start():
    np.testing.assert_allclose(block_means(np.arange(11.0), 3), [3.0, 6.0, 9.0])


@pytest.mark.parametrize(
    ("blocks", "holds"),
    [
        ([2.5, 2.9, 3.00, 3.02, 3.05], True),
        ([3.0, 3.0, 3.00, 3.02, 3.09], False),
        ([3.0, 3.0], False),
        ([], False),
    ],
)
def test_density_is_settled_when_the_last_blocks_agree(blocks, holds):
    found = density_equilibrated(blocks)
    assert found.holds is holds
    assert "last 3 block means of the density agree within 2.0%" in found.criterion
    assert found.numbers["n_blocks"] == len(blocks)


def test_fewer_blocks_can_be_asked_for():
    assert density_equilibrated([2.0, 3.0, 3.01], n_last=2).holds
    assert not density_equilibrated([2.0, 3.0, 3.01], tolerance=0.001, n_last=2).holds


@pytest.mark.parametrize(
    "call",
    [
        lambda: series_mean([1.0]),
        lambda: block_means([1.0, np.nan, 2.0], 2),
        lambda: block_means([1.0], 2),
        lambda: series_mean(np.ones((2, 2))),
    ],
)
def test_a_series_too_short_or_not_finite_is_refused(call):
    with pytest.raises(AnalysisError, match="a series cannot be averaged"):
        call()
