from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.diffusion import estimate_diffusivity
from haloflow.errors import AnalysisError
from haloflow.quantity import Status

BIG = np.eye(3) * 1000.0
CM2_S = 1e-4


def estimate(path, frame_ps, **options):
    """Estimate with one framework atom that stands still."""
    positions = np.concatenate([path, np.zeros((len(path), 1, 3))], axis=1)
    mobile = np.arange(positions.shape[1]) < path.shape[1]
    return estimate_diffusivity(
        positions, BIG, mobile, frame_ps=frame_ps, unwrapped=True, **options
    )


def replicas(make, n, **walk):
    true = walk["d_a2_ps"] * CM2_S
    found = [estimate(make(seed, **walk), walk["frame_ps"]).diffusivity_cm2_s for seed in range(n)]
    ok = [q for q in found if q.status is Status.OK]
    ratio = np.array([q.value for q in ok]) / true
    covered = np.mean([q.lower <= true <= q.upper for q in ok])
    return ok, ratio, covered


def test_the_interval_covers_brownian_motion(brownian):
    """The calibration: 128 walkers, 900 frames, vibration of 0.3 A."""
    ok, ratio, covered = replicas(
        brownian, 50, n_ions=128, n_frames=900, d_a2_ps=0.1, frame_ps=1.0, rattle_a=0.3
    )
    quoted = np.mean([q.sd / q.value for q in ok])
    assert len(ok) == 50
    assert abs(ratio.mean() - 1.0) < 0.01
    assert ratio.std() <= 0.03
    assert 0.7 <= quoted / ratio.std() <= 1.7
    assert 0.88 <= covered <= 1.0


def test_the_interval_covers_rare_hops(hopping):
    ok, ratio, covered = replicas(hopping, 60, n_ions=24, n_frames=2000, d_a2_ps=0.5, frame_ps=0.1)
    assert len(ok) >= 54
    assert abs(ratio.mean() - 1.0) < 0.03
    assert 0.88 <= covered <= 1.0


@pytest.mark.parametrize(
    ("factor", "hops_ps", "n_frames", "n_ions"),
    [(0.78, 0.3, 2000, 24), (0.65, 0.1, 4000, 24)],
)
def test_jumps_back_are_not_counted_as_diffusion(factor, hops_ps, n_frames, n_ions, back_jumping):
    """From the first lag on the line would be steeper by a fifth, at a fiftieth's error."""
    ratios, covered = [], []
    for seed in range(100, 140):
        path, true = back_jumping(
            seed, n_ions=n_ions, n_frames=n_frames, hops_ps=hops_ps, factor=factor
        )
        found = estimate(path, 0.1)
        assert found.window_ps[0] > 0.5 / hops_ps
        quantity = found.diffusivity_cm2_s
        if quantity.status is Status.OK:
            ratios.append(quantity.value / (true * CM2_S))
            covered.append(quantity.lower <= true * CM2_S <= quantity.upper)
    assert len(ratios) >= 35
    assert abs(np.mean(ratios) - 1.0) < 0.04
    assert np.mean(covered) >= 0.88


def test_ions_that_have_hardly_left_their_sites_say_so(back_jumping):
    path, _ = back_jumping(0, n_ions=64, n_frames=3000, hops_ps=0.01, factor=0.78)
    quantity = estimate(path, 0.1).diffusivity_cm2_s
    assert quantity.status is Status.UNCONVERGED
    assert "the line cannot begin after 1.5 hops of an ion" in quantity.note


def test_the_intercept_is_the_vibration_and_not_diffusion(brownian):
    path = brownian(1, n_ions=200, n_frames=1500, d_a2_ps=0.05, frame_ps=1.0, rattle_a=0.5)
    found = estimate(path, 1.0)
    start = int(np.searchsorted(found.curve.lags, found.window_ps[0] - 1e-9))
    line = found.curve.from_lag(start).line()
    assert found.intercept_a2 == line.intercept
    assert abs(found.intercept_a2 - 6 * 0.5**2) < 2.0 * line.intercept_sd
    assert line.intercept_sd < 0.5
    assert found.diffusivity_cm2_s.value == pytest.approx(0.05 * CM2_S, rel=0.05)
    assert 0.9 <= found.loglog_slope <= 1.1
    assert found.window_ps[0] > 5.0
    hops = 6 * 0.05 * 1499 * 200 / 3.7**2
    assert found.n_effective_hops == pytest.approx(hops, rel=0.05)


def test_wrapped_triclinic_breathing_drifting_cell(brownian, triclinic):
    path = brownian(2, n_ions=40, n_frames=800, d_a2_ps=0.2, frame_ps=0.2, rattle_a=0.1)
    rng = np.random.default_rng(5)
    cells = triclinic * (1.0 + 0.01 * rng.normal(size=(800, 1, 1)))
    steps = np.diff(path, axis=0, prepend=path[:1])
    steps = np.concatenate([steps, np.zeros((800, 3, 3))], axis=1) + np.array([0.02, -0.05, 0.03])
    fractional = np.cumsum(np.einsum("fai,fij->faj", steps, np.linalg.inv(cells)), axis=0)
    wrapped = np.einsum("fai,fij->faj", fractional % 1.0, cells)
    mobile = np.arange(43) < 40
    found = estimate_diffusivity(wrapped, cells, mobile, frame_ps=0.2).diffusivity_cm2_s
    plain = estimate(path, 0.2).diffusivity_cm2_s
    assert found.status is Status.OK
    assert found.value == pytest.approx(plain.value, rel=1e-3)
    assert found.lower < 0.2 * CM2_S < found.upper


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.floats(-30.0, 30.0))
def test_order_place_and_orientation_of_ions_do_not_matter(seed, shift, brownian):
    path = brownian(seed, n_ions=10, n_frames=120, d_a2_ps=0.3, frame_ps=0.5, rattle_a=0.1)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    changed = path[:, rng.permutation(10)] @ rotation + shift
    first, second = (estimate(p, 0.5).diffusivity_cm2_s for p in (path, changed))
    assert second.value == pytest.approx(first.value, rel=1e-6)
    assert second.upper == pytest.approx(first.upper, rel=1e-6)


def test_copies_of_the_ions_change_neither_value_nor_error(brownian):
    """Ions that move together are no new evidence."""
    path = brownian(4, n_ions=20, n_frames=400, d_a2_ps=0.3, frame_ps=0.5)
    once = estimate(path, 0.5).diffusivity_cm2_s
    twice = estimate(np.concatenate([path, path], axis=1), 0.5).diffusivity_cm2_s
    assert twice.value == pytest.approx(once.value, rel=1e-6)
    assert twice.sd == pytest.approx(once.sd, rel=0.03)


def caged(seed, n_ions=24, n_frames=600):
    """Return damped oscillators: ballistic, then in a cage, never diffusing."""
    rng = np.random.default_rng(seed)
    path, velocity = np.zeros((n_frames, n_ions, 3)), rng.normal(0.0, 1.0, (n_ions, 3))
    for frame in range(1, n_frames):
        velocity += -0.05 * path[frame - 1] - 0.1 * velocity
        velocity += rng.normal(0.0, 0.05, velocity.shape)
        path[frame] = path[frame - 1] + 0.3 * velocity
    return path


@pytest.mark.parametrize("seed", range(4))
def test_ions_in_cages_give_a_bound_and_no_number_to_trust(seed):
    found = estimate(caged(seed), 0.02)
    quantity = found.diffusivity_cm2_s
    assert quantity.status is Status.UNCONVERGED
    assert quantity.lower is None
    assert quantity.upper >= 3.7**2 * 100 / (6 * 599 * 0.02 * 24) * CM2_S
    assert found.n_effective_hops < 100
    assert "effective hops, 100 needed" in quantity.note or "no net diffusion" in quantity.note


def test_too_few_hops_keep_the_value_and_get_the_bound(hopping):
    path = hopping(0, n_ions=10, n_frames=800, d_a2_ps=0.05, frame_ps=0.1)
    found = estimate(path, 0.1)
    quantity = found.diffusivity_cm2_s
    assert quantity.status is Status.UNCONVERGED
    assert quantity.value > 0
    assert quantity.lower is None
    assert quantity.upper >= 3.7**2 * 100 / (6 * 79.9 * 10) * CM2_S
    assert f"{found.n_effective_hops:.0f} effective hops, 100 needed" in quantity.note


def test_fewer_hops_asked_for_make_the_same_number_ok(hopping):
    path = hopping(3, n_ions=6, n_frames=2000, d_a2_ps=0.1, frame_ps=0.1)
    strict, lenient = estimate(path, 0.1), estimate(path, 0.1, min_hops=10)
    assert strict.diffusivity_cm2_s.status is Status.UNCONVERGED
    assert lenient.diffusivity_cm2_s.status is Status.OK
    assert lenient.n_effective_hops == strict.n_effective_hops
    assert lenient.diffusivity_cm2_s.value == strict.diffusivity_cm2_s.value


def test_subdiffusion_is_not_taken_for_diffusion():
    """Rouse-like motion: the displacement grows with the root of time."""
    rng = np.random.default_rng(0)
    n = 1024
    frequency = np.fft.rfftfreq(2 * n)[1:]
    noise = rng.normal(size=(n, 48, 3)) + 1j * rng.normal(size=(n, 48, 3))
    spectrum = np.concatenate([np.zeros((1, 48, 3)), noise * frequency[:, None, None] ** -0.75])
    path = np.fft.irfft(spectrum, axis=0)[:n] * 30.0
    found = estimate(path, 1.0)
    assert found.diffusivity_cm2_s.status is Status.UNCONVERGED
    assert "no diffusive window: log-log slope 0." in found.diffusivity_cm2_s.note


@pytest.mark.parametrize("n_frames", [2, 3, 4, 8, 9, 12, 20])
def test_short_runs_are_unconverged_and_never_an_error(n_frames, brownian):
    path = brownian(0, n_ions=3, n_frames=n_frames, d_a2_ps=0.1, frame_ps=0.02, rattle_a=0.1)
    found = estimate(path, 0.02)
    assert found.diffusivity_cm2_s.status is Status.UNCONVERGED
    bound = 3.7**2 * 100 / (6 * (n_frames - 1) * 0.02 * 3) * CM2_S
    assert found.diffusivity_cm2_s.upper >= bound * (1.0 - 1e-9)
    if n_frames < 8:
        assert found.diffusivity_cm2_s.value is None
        assert found.window_ps is None
        assert "too short for a fit; bound: fewer than 100 hops" in found.diffusivity_cm2_s.note


def test_ions_that_do_not_move_at_all_are_unconverged():
    found = estimate(np.zeros((100, 4, 3)), 0.1)
    assert found.diffusivity_cm2_s.value is None
    assert found.diffusivity_cm2_s.status is Status.UNCONVERGED
    assert found.n_effective_hops == 0.0


def test_times_and_lengths_must_be_positive():
    path = np.zeros((5, 2, 3))
    with pytest.raises(AnalysisError, match=r"frame_ps must be positive\. Given: 0"):
        estimate(path, 0.0)
    with pytest.raises(AnalysisError, match=r"hop_length_a must be positive. Given: -1.0"):
        estimate(path, 1.0, hop_length_a=-1.0)
