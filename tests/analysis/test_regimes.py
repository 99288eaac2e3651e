from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.arrhenius import fit_arrhenius
from haloflow.analysis.regimes import fit_regimes
from haloflow.errors import AnalysisError
from haloflow.quantity import Quantity, Status

K_EV = 8.617333262e-5
NINE = np.linspace(300.0, 700.0, 9)
THIRTEEN = np.linspace(300.0, 840.0, 13)


def beta(temperature_k):
    return 1.0 / (K_EV * np.asarray(temperature_k, dtype=float))


def straight(temperature_k):
    return 15.0 - 0.3 * beta(temperature_k)


def kinked(temperature_k):
    """Ea 0.50 eV below 450 K, 0.25 eV above."""
    b = beta(temperature_k)
    return 15.0 - 0.25 * np.minimum(b, beta(450)) - 0.5 * np.maximum(b - beta(450), 0.0)


def stepped(temperature_k):
    """Ea 0.90 eV below 480 K, 0.17 eV above, with a jump: a first-order transition."""
    cold, hot = 24.0 - 0.9 * beta(temperature_k), 12.0 - 0.17 * beta(temperature_k)
    return np.where(np.asarray(temperature_k) > 480.0, hot, cold)


def threefold(temperature_k):
    """Ea 0.95, 0.42 and 0.19 eV, breaks at 480 and 640 K."""
    b, middle = beta(temperature_k), beta(480) - beta(640)
    in_middle = np.clip(b - beta(640), 0.0, middle)
    in_cold = np.maximum(b - beta(480), 0.0)
    return 15.0 - 0.19 * np.minimum(b, beta(640)) - 0.42 * in_middle - 0.95 * in_cold


def curved(temperature_k):
    """B = 0.08 eV, T0 = 180 K."""
    return 12.0 - 0.08 / (K_EV * (np.asarray(temperature_k) - 180.0))


def points(law, temperatures, relative_sd=0.06, seed=None, power=1):
    noise = 0.0 if seed is None else np.random.default_rng(seed).normal(size=len(temperatures))
    values = np.exp(law(temperatures) + relative_sd * noise) / temperatures**power
    factor = np.exp(1.96 * relative_sd)
    return [Quantity(v, relative_sd * v, v / factor, v * factor) for v in values]


def trials(law, temperatures, n=30, target_k=250.0):
    fits = [
        fit_regimes(temperatures, points(law, temperatures, seed=seed), extrapolate_to_k=target_k)
        for seed in range(n)
    ]
    truth = float(np.exp(law(target_k)) / target_k)
    trusted = [fit.extrapolated for fit in fits if fit.extrapolated.status is Status.OK]
    return fits, np.mean([one.lower <= truth <= one.upper for one in trusted])


def test_a_single_law_raises_no_false_alarm():
    fits, covered = trials(straight, NINE)
    assert [fit.name for fit in fits] == ["arrhenius"] * 30
    assert covered >= 0.88
    assert all(fit.extrapolated.status is Status.OK for fit in fits)
    assert all(fit.breaks_k == () for fit in fits)
    assert all(len(fit.regimes) == 1 for fit in fits)


def test_a_kink_is_found_with_honest_intervals():
    fits, covered = trials(kinked, NINE)
    assert [fit.name for fit in fits] == ["two regimes"] * 30
    assert covered >= 0.88
    breaks = [fit.breaks_k[0] for fit in fits]
    assert np.mean([q.value for q in breaks]) == pytest.approx(450.0, abs=4.0)
    assert 4.0 < np.std([q.value for q in breaks]) < 9.0
    assert np.mean([q.lower <= 450.0 <= q.upper for q in breaks]) >= 0.88
    for regime, energy in ((0, 0.5), (1, 0.25)):
        found = [fit.regimes[regime].activation_energy_ev for fit in fits]
        assert np.mean([q.lower <= energy <= q.upper for q in found]) >= 0.88
        assert np.std([q.value for q in found]) < 0.012
    first = fits[0]
    assert first.regimes[0].upper_k == first.regimes[1].lower_k == first.breaks_k[0].value
    assert first.regimes[0].lower_k is None
    assert first.regimes[1].upper_k is None
    assert sum(regime.n_points for regime in first.regimes) == 9


def test_a_first_order_jump_is_a_step_and_not_a_kink():
    fits, covered = trials(stepped, NINE, n=20)
    assert {fit.name for fit in fits} == {"two regimes with a step"}
    assert covered >= 0.85
    for fit in fits:
        assert (fit.breaks_k[0].lower, fit.breaks_k[0].upper) == (450.0, 500.0)
        cold, hot = (regime.activation_energy_ev for regime in fit.regimes)
        assert cold.value == pytest.approx(0.9, abs=0.1)
        assert hot.value == pytest.approx(0.17, abs=0.05)


def test_three_regimes_are_told_from_two():
    fits, covered = trials(threefold, THIRTEEN, n=20)
    assert sum(fit.name == "three regimes" for fit in fits) >= 17
    assert covered >= 0.85
    three = next(fit for fit in fits if fit.name == "three regimes")
    energies = [regime.activation_energy_ev for regime in three.regimes]
    for found, truth in zip(energies, (0.95, 0.42, 0.19), strict=True):
        assert abs(found.value - truth) < 3.5 * found.sd
    lower, upper = three.breaks_k
    assert lower.lower <= 480.0 <= lower.upper
    assert upper.lower <= 640.0 <= upper.upper


def test_a_smooth_curve_is_that_of_vogel_fulcher_and_tammann():
    fits, covered = trials(curved, NINE, n=60)
    smooth = [fit for fit in fits if fit.name == "vogel-fulcher-tammann"]
    assert len(smooth) >= 51
    assert covered >= 0.85
    trusted = [fit for fit in smooth if fit.extrapolated.status is Status.OK]
    assert len(trusted) >= 5
    assert all(fit.t0_k.upper <= 200.0 for fit in trusted)
    assert np.mean([fit.t0_k.lower <= 180.0 <= fit.t0_k.upper for fit in smooth]) >= 0.85
    energies = [fit.pseudo_energy_ev for fit in smooth]
    assert np.mean([q.lower <= 0.08 <= q.upper for q in energies]) >= 0.85
    assert smooth[0].regimes == ()
    assert smooth[0].breaks_k == ()


@pytest.mark.parametrize(("cold_ev", "relative_sd"), [(0.6, 0.03), (0.4, 0.05)])
def test_two_points_beyond_a_kink_are_not_continued_as_a_curve(cold_ev, relative_sd):
    """Two cold points make no regime; a curve through them would fall without end."""
    temperatures = np.array([400.0, 440.0, 500.0, 550.0, 600.0, 650.0, 700.0])

    def bent(temperature_k):
        beyond = beta(temperature_k) - beta(466.0)
        return 5.0 - np.where(beyond > 0.0, cold_ev, 0.2) * beyond

    truth = float(np.exp(bent(300.0)) / 300.0)
    for seed in range(10):
        given_ = points(bent, temperatures, relative_sd=relative_sd, seed=seed)
        found = fit_regimes(temperatures, given_).extrapolated
        if found.status is Status.OK:
            assert found.lower <= truth <= found.upper
        else:
            assert found.status is Status.UNCONVERGED
            assert found.lower is None
            assert found.upper >= truth
            assert "the points bend, but T0 may be as high as" in found.note


def test_a_regime_that_the_evidence_leaves_open_widens_the_interval():
    """From 0.25 to 0.33 eV at 450 K: a break that eight points with 10 % errors rarely prove."""
    temperatures = np.arange(350.0, 701.0, 50.0)

    def bent(temperature_k):
        beyond = beta(temperature_k) - beta(450.0)
        return 5.0 - np.where(beyond > 0.0, 0.33, 0.25) * beyond

    truth = float(np.exp(bent(300.0)) / 300.0)
    found = [
        fit_regimes(temperatures, points(bent, temperatures, relative_sd=0.1, seed=seed))
        for seed in range(40)
    ]
    assert [fit.name for fit in found].count("arrhenius") >= 20
    inside = [fit.extrapolated.lower <= truth <= fit.extrapolated.upper for fit in found]
    assert np.mean(inside) >= 0.85


def test_points_left_out_speak_against_a_law():
    given_ = points(straight, NINE[2:], seed=1)
    cold = list(NINE[:2])
    for factor, refuted in ((0.3, True), (3.0, False)):
        uppers = np.exp(straight(cold)) / cold * factor
        bounds = [Quantity(upper=float(u), status=Status.UNCONVERGED) for u in uppers]
        found = fit_regimes(NINE, [*bounds, *given_], extrapolate_to_k=300.0).extrapolated
        assert found.status is Status.UNCONVERGED
        assert "extrapolated past 300 K, 350 K, not converged" in found.note
        assert found.lower is None
        assert ("contradicted" in found.note) == refuted
        assert (found.value is None) == refuted
        if refuted:
            assert found.upper == pytest.approx(uppers[0])


def test_a_law_that_falls_on_heating_is_not_ok():
    given_ = points(lambda t: 5.0 + 0.05 * beta(t), NINE, seed=1)
    found = fit_regimes(NINE, given_, extrapolate_to_k=250.0)
    assert found.extrapolated.status is Status.UNCONVERGED
    assert "activation energy not positive" in found.extrapolated.note


def test_one_regime_is_the_arrhenius_fit():
    given_ = points(straight, NINE, seed=3)
    ours, plain = fit_regimes(NINE, given_), fit_arrhenius(list(NINE), given_)
    pairs = (
        (ours.extrapolated, plain.extrapolated),
        (ours.regimes[0].activation_energy_ev, plain.activation_energy_ev),
    )
    assert pairs[1][0].value == pytest.approx(pairs[1][1].value, rel=1e-6)
    assert pairs[1][0].sd == pytest.approx(pairs[1][1].sd, rel=1e-6)
    assert pairs[0][0].value == pytest.approx(pairs[0][1].value, rel=0.05)
    assert 1.0 < pairs[0][0].sd / pairs[0][1].sd < 1.5  # other laws have their small share
    assert ours.bic["arrhenius"] == 0.0
    assert set(ours.bic) == {
        "arrhenius",
        "two regimes",
        "two regimes with a step",
        "three regimes",
        "vogel-fulcher-tammann",
    }


def test_laws_that_cannot_be_told_apart_share_in_the_extrapolation():
    """A kink over few points looks like a curve, which falls faster on cooling."""
    hot = np.linspace(350.0, 600.0, 7)
    given_ = points(kinked, hot, relative_sd=0.04, seed=1)
    fit = fit_regimes(hot, given_, extrapolate_to_k=250.0)
    assert fit.name != "arrhenius"
    assert "not told apart from" in fit.extrapolated.note
    truth = float(np.exp(kinked(250.0)) / 250.0)
    assert fit.extrapolated.lower <= truth <= fit.extrapolated.upper


@settings(max_examples=10, deadline=None)
@given(factor=st.floats(1e-6, 1e6), seed=st.integers(0, 100))
def test_unit_and_order_of_the_points_do_not_matter(factor, seed):
    given_ = points(kinked, NINE, seed=seed)
    order = np.random.default_rng(seed).permutation(9)
    scaled = [
        Quantity(q.value * factor, q.sd * factor, q.lower * factor, q.upper * factor)
        for q in given_
    ]
    once = fit_regimes(NINE, given_)
    again = fit_regimes(NINE[order], [scaled[i] for i in order])
    assert again.name == once.name
    assert again.extrapolated.value == pytest.approx(once.extrapolated.value * factor, rel=1e-5)
    assert [q.value for q in again.breaks_k] == pytest.approx([q.value for q in once.breaks_k])


def test_diffusivities_follow_their_own_law():
    fit = fit_regimes(NINE, points(straight, NINE, power=0), times_temperature=False)
    assert fit.regimes[0].activation_energy_ev.value == pytest.approx(0.3, rel=1e-6)
    assert fit.extrapolated.value == pytest.approx(np.exp(straight(300.0)), rel=1e-5)


def test_unconverged_points_are_refused():
    given_ = points(kinked, NINE)
    spoiled = [Quantity(q.value * 50, q.sd * 50, None, q.upper * 50) for q in given_[:2]]
    spoiled = [Quantity(q.value, q.sd, None, q.upper, Status.UNCONVERGED) for q in spoiled]
    fit = fit_regimes(NINE, [*spoiled, *given_[2:]])
    assert fit.temperatures_used_k == tuple(NINE[2:])
    assert "left out: 300 K (unconverged), 350 K (unconverged)" in fit.extrapolated.note
    few = fit_regimes(NINE[:4], [*spoiled, *given_[2:4]])
    assert few.name is None
    assert few.regimes == ()
    assert few.extrapolated.value is None
    assert few.extrapolated.status is Status.UNCONVERGED
    bound = min(q.upper * t / 300.0 for q, t in zip([*spoiled, *given_[2:4]], NINE, strict=False))
    assert few.extrapolated.upper == pytest.approx(bound)
    assert few.extrapolated.note.startswith("fewer than 3 converged temperatures: no law")
    gone = fit_regimes([500.0], [Quantity(status=Status.DECOMPOSED)])
    assert gone.extrapolated.status is Status.DECOMPOSED
    assert gone.extrapolated.upper is None


def test_few_points_allow_one_law_alone():
    assert set(fit_regimes(NINE[:3], points(straight, NINE[:3])).bic) == {"arrhenius"}
    five = fit_regimes(NINE[:5], points(straight, NINE[:5])).bic
    assert set(five) == {"arrhenius", "vogel-fulcher-tammann"}


def test_the_glass_transition_and_long_extrapolations_are_said():
    hot = NINE + 300.0
    fit = fit_regimes(hot, points(straight, hot), tg_k=640.0)
    assert fit.extrapolated.status is Status.EXTRAPOLATED_THROUGH_TG
    assert "through the glass transition at 640 K" in fit.extrapolated.note
    assert "extrapolated over 350 K" in fit.extrapolated.note
    assert min(fit.temperatures_used_k) == 650.0
    enough = fit_regimes(hot, points(straight, hot), tg_k=760.0)
    assert enough.extrapolated.status is Status.OK
    assert max(enough.temperatures_used_k) == 750.0
    assert fit_regimes(NINE, points(straight, NINE), tg_k=250.0).extrapolated.note == ""


def test_bad_temperatures_are_refused():
    with pytest.raises(AnalysisError, match=r"do not pair up\. Given: 1 temperatures, 0 cond"):
        fit_regimes([300.0], [])
    with pytest.raises(AnalysisError, match=r"temperatures must be positive\. Given: 0\.0"):
        fit_regimes([0.0], points(straight, np.array([300.0])))
