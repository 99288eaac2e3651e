from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.blocks import mean_quantity
from haloflow.analysis.neighbours import pair_vectors_within, pairs_within
from haloflow.quantity import Status


def test_the_interval_of_a_correlated_series_covers_its_mean():
    rng = np.random.default_rng(0)
    inside, errors = 0, []
    means = []
    for _ in range(100):
        series = np.zeros(1500)
        for k in range(1, 1500):
            series[k] = 0.9 * series[k - 1] + rng.normal()
        found = mean_quantity(series)
        inside += found.lower <= 0.0 <= found.upper
        errors.append(found.sd)
        means.append(found.value)
    assert 88 <= inside <= 100
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.3)


def test_bounds_cut_the_interval_and_gaps_are_left_out():
    series = np.array([0.99, 1.0, np.nan, 0.98, 1.0, 0.97, np.inf, 1.0, 0.99])
    found = mean_quantity(series, least=0.0, most=1.0)
    assert found.value == pytest.approx(np.mean(series[np.isfinite(series)]))
    assert found.upper == 1.0
    assert found.lower < found.value


def test_few_samples_say_so():
    assert mean_quantity([3.0]).sd is None
    assert mean_quantity([3.0]).note == "one sample: no error"
    none = mean_quantity([np.nan, np.nan])
    assert (none.value, none.status) == (None, Status.UNCONVERGED)
    assert none.note == "none of 2 samples measured"
    drifting = mean_quantity(np.linspace(0.0, 1.0, 50))
    assert drifting.status is Status.UNCONVERGED
    assert "independent samples" in drifting.note
    assert mean_quantity(np.full(3, 2.5)).status is Status.OK


def test_vectors_lead_to_the_images_that_the_distances_tell(triclinic):
    rng = np.random.default_rng(1)
    positions = rng.uniform(-1.0, 2.0, (9, 3)) @ triclinic
    found = pair_vectors_within(positions, triclinic, 9.5)
    same = pairs_within(positions, triclinic, 9.5)
    np.testing.assert_array_equal(found.first, same.first)
    np.testing.assert_allclose(found.distance_a, same.distance_a)
    np.testing.assert_allclose(np.linalg.norm(found.vector_a, axis=1), found.distance_a)
    image = (found.vector_a - positions[found.second] + positions[found.first]) @ np.linalg.inv(
        triclinic
    )
    np.testing.assert_allclose(image, np.rint(image), atol=1e-9)


def test_what_was_never_seen_may_still_be_there():
    never, always = (mean_quantity([v] * 30, least=0.0, most=1.0) for v in (0.0, 1.0))
    assert (never.value, never.lower, never.status) == (0.0, 0.0, Status.OK)
    assert 0.05 < never.upper < 0.1  # of 30: about 2.5 / 30
    assert always.lower == pytest.approx(1.0 - never.upper)
    assert never.sd > 0.0
    few = mean_quantity([0.0, 0.0], least=0.0, most=1.0)
    assert few.status is Status.UNCONVERGED
    assert few.upper > 0.6
    samples = np.random.default_rng(0).random((300, 30)) < 0.03
    found = [mean_quantity(sample, least=0.0, most=1.0) for sample in samples]
    assert np.mean([q.upper >= 0.03 for q in found]) > 0.9
