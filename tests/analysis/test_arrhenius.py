from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.arrhenius import fit_arrhenius, nernst_einstein_ms_cm
from haloflow.errors import AnalysisError
from haloflow.quantity import Quantity, Status

K_EV = 8.617333262e-5
TEMPERATURES = [450.0, 500.0, 550.0, 600.0, 700.0, 800.0]


def law(temperature_k, energy_ev=0.32, ln_prefactor=13.0):
    return np.exp(ln_prefactor - energy_ev / (K_EV * temperature_k)) / temperature_k


def point(value, relative_sd=0.05, status=Status.OK):
    factor = np.exp(1.96 * relative_sd)
    return Quantity(value, value * relative_sd, value / factor, value * factor, status)


def series(temperatures=TEMPERATURES, relative_sd=0.05, noise=0.0, seed=0, status=Status.OK):
    rng = np.random.default_rng(seed)
    values = [law(t) * np.exp(noise * rng.normal()) for t in temperatures]
    return [point(value, relative_sd, status) for value in values]


def test_nernst_einstein_by_hand():
    """n = 1e22 /cm3, D = 1e-6 cm2/s, 300 K: n e^2 D / (k T) = 61.97 mS/cm."""
    sigma = nernst_einstein_ms_cm(
        Quantity(1e-6, 1e-7, 0.8e-6, 1.2e-6, Status.UNCONVERGED, "few hops"),
        n_mobile=10,
        volume_a3=1000.0,
        temperature_k=300.0,
    )
    assert sigma.value == pytest.approx(61.97, rel=1e-3)
    assert sigma.sd == pytest.approx(6.197, rel=1e-3)
    assert (sigma.lower, sigma.upper) == pytest.approx((49.58, 74.36), rel=1e-3)
    assert (sigma.status, sigma.note) == (Status.UNCONVERGED, "few hops")


def test_nernst_einstein_agrees_with_the_published_pair():
    """Jin et al.: D(300 K) = 1.06e-6 cm2/s and 9.31 mS/cm imply 1.4e21 Na/cm3."""
    sigma = nernst_einstein_ms_cm(
        Quantity(1.06e-6), n_mobile=14, volume_a3=10_000.0, temperature_k=300.0
    )
    assert sigma.value == pytest.approx(9.31, rel=0.02)


def test_a_doubly_charged_ion_carries_four_times_as_much_and_bounds_stay_one_sided():
    bound = Quantity(upper=1e-6, status=Status.UNCONVERGED)
    one, two = (
        nernst_einstein_ms_cm(bound, n_mobile=1, volume_a3=100.0, temperature_k=500.0, charge=z)
        for z in (1.0, -2.0)
    )
    assert two.upper == pytest.approx(4.0 * one.upper)
    assert two.value is None
    assert two.lower is None


@pytest.mark.parametrize("name", ["n_mobile", "volume_a3", "temperature_k"])
def test_nernst_einstein_refuses_what_cannot_be(name):
    given = {"n_mobile": 1, "volume_a3": 1.0, "temperature_k": 1.0} | {name: 0}
    with pytest.raises(AnalysisError, match=rf"{name} must be positive\. Given: 0"):
        nernst_einstein_ms_cm(Quantity(1.0), **given)


def test_an_exact_law_is_found_again():
    fit = fit_arrhenius(TEMPERATURES[::-1], series()[::-1])
    assert fit.activation_energy_ev.value == pytest.approx(0.32, rel=1e-6)
    assert fit.ln_prefactor == pytest.approx(13.0, rel=1e-6)
    assert fit.extrapolated.value == pytest.approx(law(300.0), rel=1e-5)
    assert fit.extrapolated.status is Status.OK
    assert fit.temperatures_used_k == tuple(TEMPERATURES)
    assert fit.chi2 == pytest.approx(0.0, abs=1e-9)


def test_the_interval_at_300_k_needs_the_covariance_of_energy_and_prefactor():
    fit = fit_arrhenius(TEMPERATURES, series())
    slope = -1.0 / (K_EV * 300.0)
    variance = np.diag(fit.covariance)
    full = variance[0] + slope**2 * variance[1] + 2.0 * slope * fit.covariance[0, 1]
    assert fit.extrapolated.sd / fit.extrapolated.value == pytest.approx(full**0.5, rel=1e-6)
    assert full < 0.5 * (variance[0] + slope**2 * variance[1])
    below, above = fit.extrapolated.lower, fit.extrapolated.upper
    assert fit.extrapolated.value == pytest.approx((below * above) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(("n_points", "honest"), [(3, True), (4, True), (6, True), (6, False)])
def test_the_interval_covers_the_truth(n_points, honest):
    """With quoted errors that are right, and with ones half as large as the scatter."""
    temperatures, noise = TEMPERATURES[-n_points:], 0.1
    quoted = noise if honest else 0.5 * noise
    covered = []
    for seed in range(400):
        fit = fit_arrhenius(temperatures, series(temperatures, quoted, noise, seed))
        energy = fit.activation_energy_ev
        covered.append(
            (
                energy.lower <= 0.32 <= energy.upper,
                fit.extrapolated.lower <= law(300.0) <= fit.extrapolated.upper,
            )
        )
    share = np.mean(covered, axis=0)
    assert (share >= (0.93 if honest else 0.85)).all()
    assert (share <= 1.0).all()


def test_points_with_smaller_errors_weigh_more():
    good = series(relative_sd=0.02)
    good[-1] = point(law(800.0) * 3.0, 1.0)
    fit = fit_arrhenius(TEMPERATURES, good)
    assert fit.activation_energy_ev.value == pytest.approx(0.32, abs=0.01)


def test_points_that_are_not_ok_are_left_out_and_named():
    sigma = series()
    sigma[2] = point(100.0, status=Status.UNCONVERGED)
    sigma[5] = point(1e6, status=Status.DECOMPOSED)
    fit = fit_arrhenius(TEMPERATURES, sigma)
    assert fit.activation_energy_ev.value == pytest.approx(0.32, rel=1e-6)
    assert fit.extrapolated.status is Status.OK
    assert fit.extrapolated.note == "left out: 550 K (unconverged), 800 K (decomposed)"


def test_a_law_that_a_bound_left_out_contradicts_gives_only_the_bound():
    """Ea changes at 500 K: the hot points alone would promise 14 times what the cold allow."""
    temperatures = [400.0, 500.0, 600.0, 800.0, 1000.0]
    bounds = [Quantity(upper=upper, status=Status.UNCONVERGED) for upper in (0.5, 1.0)]
    hot = [point(law(t, 0.17, 14.6), 0.1) for t in temperatures[2:]]
    alone = fit_arrhenius(temperatures[2:], hot).extrapolated
    assert (alone.status, alone.value) == (Status.OK, pytest.approx(law(300.0, 0.17, 14.6)))
    assert alone.lower > 3.0
    fit = fit_arrhenius(temperatures, [*bounds, *hot])
    assert fit.extrapolated.status is Status.UNCONVERGED
    assert fit.extrapolated.value is None
    assert fit.extrapolated.lower is None
    assert fit.extrapolated.upper == pytest.approx(0.5 * 400.0 / 300.0)
    assert "the law is contradicted: at most 0.5 at 400 K" in fit.extrapolated.note
    assert fit.activation_energy_ev.status is Status.UNCONVERGED


def test_a_bound_between_the_points_is_tested_too():
    sigma = series()
    sigma[2] = Quantity(upper=0.5 * law(550.0), status=Status.UNCONVERGED)
    fit = fit_arrhenius(TEMPERATURES, sigma)
    assert fit.extrapolated.value is None
    assert "at 550 K" in fit.extrapolated.note
    sigma[2] = Quantity(upper=1.5 * law(550.0), status=Status.UNCONVERGED)
    assert fit_arrhenius(TEMPERATURES, sigma).extrapolated.status is Status.OK


@pytest.mark.parametrize("status", [Status.UNCONVERGED, Status.DIVERGED])
def test_an_extrapolation_past_colder_points_that_failed_is_not_ok(status):
    sigma = [Quantity(status=status), *series()[1:]]
    fit = fit_arrhenius(TEMPERATURES, sigma)
    assert fit.extrapolated.status is Status.UNCONVERGED
    assert fit.extrapolated.note.startswith("extrapolated past 450 K, not converged; left out")
    assert fit.extrapolated.value == pytest.approx(law(300.0), rel=1e-5)
    assert fit.extrapolated.lower is None
    inside = fit_arrhenius(TEMPERATURES, sigma, extrapolate_to_k=520.0)
    assert inside.extrapolated.status is Status.OK


def test_points_above_the_transition_do_not_speak_against_the_law_below_it():
    sigma = series()
    sigma[3:] = [point(0.2 * law(t)) for t in TEMPERATURES[3:]]
    assert fit_arrhenius(TEMPERATURES, sigma, tg_k=560.0).extrapolated.status is Status.OK


@pytest.mark.parametrize(
    ("energy", "relative_sd", "words"),
    [(-0.1, 0.02, "activation energy not positive (-0.10 eV)"), (0.02, 0.3, "zero within its")],
)
def test_an_activation_energy_that_is_not_above_zero_is_not_ok(energy, relative_sd, words):
    sigma = [point(law(t, energy), relative_sd) for t in TEMPERATURES]
    fit = fit_arrhenius(TEMPERATURES, sigma)
    assert fit.activation_energy_ev.status is Status.UNCONVERGED
    assert fit.extrapolated.status is Status.UNCONVERGED
    assert words in fit.extrapolated.note
    doubtful = [point(q.value, relative_sd, Status.UNCONVERGED) for q in sigma]
    note = fit_arrhenius(TEMPERATURES, doubtful).activation_energy_ev.note
    assert words in note
    assert note.endswith("fitted through unconverged points")


def test_unconverged_points_alone_give_an_unconverged_result_with_a_bound():
    sigma = series(status=Status.UNCONVERGED, relative_sd=0.4, noise=0.4, seed=3)
    sigma.append(Quantity(upper=1e-9, status=Status.FAILED))
    fit = fit_arrhenius([*TEMPERATURES, 900.0], sigma)
    assert fit.extrapolated.status is Status.UNCONVERGED
    assert fit.activation_energy_ev.status is Status.UNCONVERGED
    assert fit.extrapolated.note == "fitted through unconverged points"
    assert fit.extrapolated.lower is None
    assert fit.extrapolated.value <= fit.extrapolated.upper
    assert fit.extrapolated.upper <= min(
        q.upper * t / 300.0 for t, q in zip(TEMPERATURES, sigma[:-1], strict=True)
    )


def test_two_points_cannot_test_the_law():
    fit = fit_arrhenius([600.0, 800.0], series([600.0, 800.0]))
    assert fit.activation_energy_ev.value == pytest.approx(0.32, rel=1e-6)
    assert fit.extrapolated.status is Status.UNCONVERGED
    assert "2 temperatures cannot test the Arrhenius law" in fit.extrapolated.note


@pytest.mark.parametrize("status", [Status.OK, Status.UNCONVERGED])
def test_one_point_gives_the_bound_of_cooling(status):
    only = point(5.0, status=status)
    fit = fit_arrhenius([600.0], [only])
    assert fit.extrapolated.value is None
    assert fit.extrapolated.upper == pytest.approx(only.upper * 2.0)
    assert fit.extrapolated.status is Status.UNCONVERGED
    assert fit.extrapolated.note.startswith("1 of 1 temperatures gave a value")
    assert fit.ln_prefactor is None
    assert fit.covariance is None


def test_no_usable_point_says_why():
    assert fit_arrhenius([], []).extrapolated.status is Status.UNCONVERGED
    gone = Quantity(status=Status.DECOMPOSED, note="Cl2 formed")
    fit = fit_arrhenius([600.0, 700.0], [gone, gone])
    assert fit.extrapolated.status is Status.DECOMPOSED
    assert fit.extrapolated.upper is None
    assert "0 of 2 temperatures gave a value" in fit.activation_energy_ev.note


def test_bounds_without_values_still_bound():
    bounds = [Quantity(upper=u, status=Status.UNCONVERGED) for u in (4.0, 3.0)]
    fit = fit_arrhenius([600.0, 900.0], bounds)
    assert fit.extrapolated.upper == pytest.approx(8.0)
    assert fit.extrapolated.value is None


def test_extrapolation_through_the_glass_transition_is_marked():
    fit = fit_arrhenius(TEMPERATURES, series(), tg_k=430.0)
    assert fit.extrapolated.status is Status.EXTRAPOLATED_THROUGH_TG
    assert "through the glass transition at 430 K" in fit.extrapolated.note
    assert fit.extrapolated.lower < law(300.0) < fit.extrapolated.upper


def test_points_below_the_glass_transition_are_preferred():
    sigma = series()
    for index, temperature in enumerate(TEMPERATURES):
        if temperature > 560.0:
            sigma[index] = point(law(temperature) * 50.0)
    fit = fit_arrhenius(TEMPERATURES, sigma, tg_k=560.0)
    assert fit.extrapolated.status is Status.OK
    assert fit.temperatures_used_k == (450.0, 500.0, 550.0)
    assert fit.activation_energy_ev.value == pytest.approx(0.32, rel=1e-6)


@pytest.mark.parametrize("tg_k", [280.0, 900.0])
def test_a_transition_outside_the_range_changes_nothing(tg_k):
    fit = fit_arrhenius(TEMPERATURES, series(), tg_k=tg_k)
    assert fit.extrapolated.status is Status.OK
    assert fit.extrapolated.note == ""


def test_the_same_temperature_twice_is_one_temperature():
    fit = fit_arrhenius([600.0, 600.0], series([600.0, 600.0]))
    assert fit.extrapolated.value is None
    assert fit.extrapolated.status is Status.UNCONVERGED


def test_bad_temperatures_are_refused():
    with pytest.raises(AnalysisError, match=r"do not pair up\. Given: 1 temperatures, 0 cond"):
        fit_arrhenius([300.0], [])
    with pytest.raises(AnalysisError, match=r"temperatures must be positive\. Given: -3"):
        fit_arrhenius([-3.0], [point(1.0)])
