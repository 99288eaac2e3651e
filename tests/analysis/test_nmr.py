from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from haloflow.analysis.nmr import (
    LARMOR_MHZ,
    extrapolate_correlation_time,
    fastest_relaxation_ps,
    relaxation,
    relaxation_time_s,
)
from haloflow.errors import AnalysisError
from haloflow.quantity import Quantity, Status
from haloflow.units import BOLTZMANN_EV_PER_K

OMEGA = 2 * math.pi * 132.294e6
COUPLING = (2 * math.pi * 1.0e6) ** 2
NUCLEUS = 3 / 200 * 6 / (2.25 * 2)  # (3/200) (2I + 3) / (I^2 (2I - 1)) of I = 3/2


def t1(time_s, **options):
    return float(relaxation_time_s(time_s, larmor_mhz=132.294, coupling_mhz=1.0, **options))


def test_the_fast_limit_knows_no_frequency():
    """1/T1 = 5 K tc for w0 tc << 1."""
    time = 1e-4 / OMEGA
    assert t1(time) == pytest.approx(1 / (5 * NUCLEUS * COUPLING * time), rel=1e-6)
    other = relaxation_time_s(time, larmor_mhz=73.39, coupling_mhz=1.0)
    assert other == pytest.approx(t1(time), rel=1e-6)


def test_the_slow_limit_goes_as_the_square_of_the_frequency():
    """1/T1 = 2 K / (w0^2 tc) for w0 tc >> 1."""
    time = 1e4 / OMEGA
    assert t1(time) == pytest.approx(OMEGA**2 * time / (2 * NUCLEUS * COUPLING), rel=1e-6)


def test_the_minimum_lies_at_its_phase():
    found = optimize.minimize_scalar(
        lambda x: t1(x / OMEGA), bounds=(0.1, 2.0), method="bounded", options={"xatol": 1e-10}
    )
    assert found.x == pytest.approx(0.6158, abs=1e-4)
    assert fastest_relaxation_ps(132.294) == pytest.approx(0.6158 / OMEGA * 1e12, rel=1e-3)


@given(st.floats(0.1, 5.0), st.floats(0.0, 1.0), st.floats(-13, -6), st.sampled_from(LARMOR_MHZ))
def test_coupling_enters_squared_and_asymmetry_as_its_factor(coupling, eta, decade, larmor):
    time = 10.0**decade
    plain = relaxation_time_s(time, larmor_mhz=larmor, coupling_mhz=1.0)
    with_both = relaxation_time_s(time, larmor_mhz=larmor, coupling_mhz=coupling, asymmetry=eta)
    assert plain / with_both == pytest.approx(coupling**2 * (1 + eta**2 / 3))
    turned = relaxation_time_s(np.array([time, time]), larmor_mhz=larmor, coupling_mhz=1.0)
    assert np.allclose(turned, plain)


def test_the_interval_is_the_range_over_that_of_the_correlation_time():
    shortest = fastest_relaxation_ps(132.294)
    for low, value, high, regime in (
        (2, 3, 5, "slow"),
        (0.1, 0.2, 0.3, "fast"),
        (0.3, 1.2, 4, "slow"),
    ):
        time = Quantity(value * shortest, 0.1 * shortest, low * shortest, high * shortest)
        found, other = relaxation(time, coupling_mhz=1.5)
        grid = relaxation_time_s(
            np.linspace(low, high, 2001) * shortest * 1e-12, larmor_mhz=132.294, coupling_mhz=1.5
        )
        assert found.t1_ms.lower == pytest.approx(1e3 * grid.min(), rel=1e-4)
        assert found.t1_ms.upper == pytest.approx(1e3 * grid.max(), rel=1e-4)
        assert found.t1_ms.lower <= found.t1_ms.value <= found.t1_ms.upper
        assert found.regime == regime
        assert (found.larmor_mhz, other.larmor_mhz) == LARMOR_MHZ
        assert "conditional on C_Q = 1.5 MHz" in found.t1_ms.note


def test_deep_in_a_regime_the_relative_errors_are_equal():
    time = Quantity(1e6, 1e5, 8e5, 1.2e6, Status.UNCONVERGED, "few hops")
    found = relaxation(time, coupling_mhz=1.0)[0].t1_ms
    assert found.sd / found.value == pytest.approx(0.1, rel=1e-3)
    assert found.status is Status.UNCONVERGED
    assert found.note.startswith("few hops; conditional on")


def test_bounds_of_the_time_become_bounds_of_t1():
    shortest = fastest_relaxation_ps(132.294)
    least = 1e3 * t1(shortest * 1e-12)
    unknown = relaxation(Quantity(status=Status.UNCONVERGED), coupling_mhz=1.0)[0]
    assert unknown.t1_ms.lower == pytest.approx(least)
    assert (unknown.t1_ms.value, unknown.t1_ms.upper, unknown.regime) == (None, None, None)
    longer = relaxation(Quantity(lower=5 * shortest, status=Status.UNCONVERGED), coupling_mhz=1.0)[
        0
    ]
    assert longer.t1_ms.lower == pytest.approx(1e3 * t1(5 * shortest * 1e-12))
    shorter = relaxation(Quantity(0.1 * shortest, upper=0.2 * shortest), coupling_mhz=1.0)[0]
    assert shorter.t1_ms.lower == pytest.approx(1e3 * t1(0.2 * shortest * 1e-12))
    assert shorter.t1_ms.upper is None


def activated(temperatures_k, energy_ev=0.3, prefactor_ps=0.05, relative=0.05):
    times = prefactor_ps * np.exp(energy_ev / (BOLTZMANN_EV_PER_K * np.array(temperatures_k)))
    return [Quantity(t, relative * t, t * 0.9, t * 1.1) for t in times.tolist()]


def test_correlation_times_are_carried_by_their_activation_energy():
    temperatures = [500.0, 600.0, 700.0, 800.0]
    law = extrapolate_correlation_time(temperatures, activated(temperatures), to_k=300.0)
    exact = activated([300.0])[0].value
    assert law.activation_energy_ev.value == pytest.approx(0.3, rel=1e-6)
    assert law.correlation_time_ps.value == pytest.approx(exact, rel=1e-6)
    assert law.correlation_time_ps.lower < exact < law.correlation_time_ps.upper
    assert law.correlation_time_ps.sd > 0.05 * exact
    assert law.temperatures_used_k == tuple(temperatures)
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        noisy = [
            Quantity(q.value * math.exp(0.05 * rng.normal()), 0.05 * q.value)
            for q in activated(temperatures)
        ]
        found = extrapolate_correlation_time(temperatures, noisy, to_k=300.0).correlation_time_ps
        covered.append(found.lower <= exact <= found.upper)
    assert 0.88 <= np.mean(covered) <= 1.0


def test_a_glass_transition_between_is_flagged():
    temperatures = [600.0, 800.0, 1000.0]
    law = extrapolate_correlation_time(
        temperatures, activated(temperatures), to_k=298.0, tg_k=466.0
    )
    assert law.correlation_time_ps.status is Status.EXTRAPOLATED_THROUGH_TG


def test_without_values_a_time_stays_a_bound():
    never = Quantity(lower=500.0, status=Status.UNCONVERGED, note="no hop was seen: lower bound")
    law = extrapolate_correlation_time([400.0, 500.0], [never, never], to_k=300.0)
    assert law.correlation_time_ps.value is None
    assert law.correlation_time_ps.status is Status.UNCONVERGED
    assert law.correlation_time_ps.lower == pytest.approx(500.0)


def test_bad_input_is_refused():
    with pytest.raises(AnalysisError, match="coupling_mhz must be positive"):
        relaxation(Quantity(1.0), coupling_mhz=0.0)
    with pytest.raises(AnalysisError, match="larmor_mhz must be positive"):
        relaxation(Quantity(1.0), coupling_mhz=1.0, larmor_mhz=[-1.0])
    with pytest.raises(AnalysisError, match="correlation_time_s must be positive"):
        t1(0.0)
    with pytest.raises(AnalysisError, match="asymmetry of a field gradient is out of range"):
        t1(1e-9, asymmetry=1.5)
    for spin in (0.5, 1.3):
        with pytest.raises(AnalysisError, match="spin has no quadrupole moment"):
            t1(1e-9, spin=spin)
    with pytest.raises(AnalysisError, match="correlation times do not pair up"):
        extrapolate_correlation_time([300.0, 400.0], [Quantity(1.0)], to_k=300.0)
