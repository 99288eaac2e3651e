"""Means over samples and their errors, against known distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from haloflow.quantity import Quantity, Status
from haloflow.stores.combine import combine

UNCONVERGED = Status.UNCONVERGED


def test_the_error_of_a_mean_has_a_part_within_and_a_part_between():
    rng = np.random.default_rng(0)
    within, between, n = 0.3, 0.5, 4000
    centres = rng.normal(2.0, between, n)
    samples = [Quantity(c + rng.normal(0, within), within) for c in centres]
    found = combine(samples, n_expected=n)
    assert found.value == pytest.approx(2.0, abs=0.05)
    assert found.sd == pytest.approx(math.hypot(within, between), rel=0.05)
    assert found.upper - found.value == pytest.approx(1.96 * found.sd, rel=1e-3)
    assert found.note.endswith("sd within a run 0.3, between samples 0.5")
    equal = combine([Quantity(1.0, 0.2), Quantity(1.0, 0.2)], n_expected=2)
    assert equal.sd == pytest.approx(0.2)
    assert equal.note.endswith("sd within a run 0.2, between samples 0")


def test_decades_are_averaged_in_the_logarithm():
    samples = [Quantity(value, None, value / 2, value * 2) for value in (0.1, 1.0, 10.0)]
    found = combine(samples, n_expected=3, logarithmic=True)
    assert found.value == pytest.approx(1.0)
    half = 4.3027 * math.log(10) * math.sqrt(1 + 1 / 3)  # Student's t, two degrees of freedom
    assert math.log(found.upper) == pytest.approx(half, rel=1e-4)
    assert found.lower == pytest.approx(1 / found.upper)
    assert "geometric mean of 3 samples" in found.note
    signed = combine([Quantity(-1.0, 0.1), Quantity(1.0, 0.1)], n_expected=2, logarithmic=True)
    assert signed.value == 0.0
    relative = combine([Quantity(1.0, 0.1), Quantity(1.0, 0.1)], n_expected=2, logarithmic=True)
    assert relative.sd == pytest.approx(0.1)


def test_bounds_widen_the_interval_and_forbid_ok():
    bound = Quantity(None, None, None, 5.0, UNCONVERGED, "no plateau")
    low = Quantity(None, None, 0.1, 0.5, UNCONVERGED, "too short")
    known = Quantity(1.0, 0.1, 0.8, 1.2)
    assert combine([known, low], n_expected=2) == Quantity(
        1.0, 0.1, 0.1, 1.2, UNCONVERGED, "too short"
    )
    assert combine([known, bound], n_expected=2).lower is None
    only = combine([low, bound], n_expected=2)
    assert only == Quantity(None, None, None, 5.0, UNCONVERGED, "too short; no plateau")
    nan = combine([Quantity(math.nan, None, None, None, UNCONVERGED, "x"), known], n_expected=2)
    assert nan.value == 1.0


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("within", [0.0, 0.3, 1.0, 3.0])
def test_the_interval_holds_one_more_sample(n, within):
    """Samples scatter by 1 in ln; each is measured with an error `within` that it quotes."""
    rng = np.random.default_rng(17 + n)
    n_trials = 1500
    ln = rng.normal(size=(n_trials, n + 1)) + within * rng.normal(size=(n_trials, n + 1))
    held = []
    for row in ln:
        samples = [
            Quantity(math.exp(x), math.exp(x) * within, math.exp(x - half), math.exp(x + half))
            for x, half in ((x, 1.96 * within) for x in row[:-1])
        ]
        found = combine(samples, n_expected=n, logarithmic=True)
        held.append(found.lower <= math.exp(row[-1]) <= found.upper)
    assert 0.935 <= np.mean(held) <= (0.965 if within == 0.0 else 0.995)


def test_the_interval_of_a_mean_is_never_narrower_than_a_runs_own():
    """Runs may share their error, as that of a potential, and agree all the same."""
    found = combine([Quantity(1.0, 0.2)] * 3, n_expected=3)
    assert found.upper - found.value == pytest.approx(1.96 * 0.2, rel=1e-3)


def test_a_value_without_a_lower_end_gives_a_mean_without_one():
    open_below = Quantity(2.0, 0.2, None, 2.5, UNCONVERGED, "few hops")
    found = combine([Quantity(1.0, 0.1, 0.8, 1.2), open_below], n_expected=2, logarithmic=True)
    assert found.lower is None
    assert found.upper > 2.5
    assert combine([Quantity(1.0, None, 0.5), Quantity(2.0)], n_expected=2).upper is None
