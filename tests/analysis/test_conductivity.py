from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.conductivity import charge_path, path_conductivity
from haloflow.errors import AnalysisError
from haloflow.quantity import Status

D, FRAME_PS, VOLUME = 0.1, 0.1, 25.0**3
COUNTS = {"Na": 8, "Ta": 3, "O": 4, "Cl": 15}
SIGMA_OF_8 = 594.9 * 8 / 200
CHARGES = {"Na": 1.0, "Ta": 5.0, "O": -2.0, "Cl": -1.0}


def paired_walk(seed, n_ions, n_frames, rattle_a=0.2, shared=0.5):
    """Pairs of ions share half of the variance of each step: H_R = 1 / 1.5, D as given."""
    rng = np.random.default_rng(seed)
    sd = np.sqrt(2.0 * D * FRAME_PS)
    common = np.repeat(rng.normal(0.0, sd, (n_frames, n_ions // 2, 3)), 2, axis=1)
    own = rng.normal(0.0, sd, (n_frames, n_ions, 3))
    path = np.cumsum(np.sqrt(shared) * common + np.sqrt(1.0 - shared) * own, axis=0)
    return path + rng.normal(0.0, rattle_a, path.shape)


def within_3_sd(quantity, truth):
    return abs(quantity.value - truth) < 3.0 * quantity.sd


def conductivity(path, **options):
    settings_ = {"frame_ps": FRAME_PS, "temperature_k": 600.0, "volume_a3": VOLUME} | options
    return path_conductivity(path, **settings_)


@pytest.mark.parametrize(("n_ions", "n_frames", "rattle_a"), [(32, 3000, 0.1), (32, 4000, 0.0)])
def test_intervals_cover_a_walk_of_correlated_pairs(n_ions, n_frames, rattle_a):
    truth = np.array([D * 1e-4, 1.5 * D * 1e-4, 2.0 / 3.0])
    rows = []
    for seed in range(50):
        found = conductivity(paired_walk(seed, n_ions, n_frames, rattle_a))
        quantities = (
            found.tracer.diffusivity_cm2_s,
            found.collective_diffusivity_cm2_s,
            found.haven_ratio,
        )
        if all(q.status is Status.OK for q in quantities):
            rows.append([(q.value, q.sd / q.value, q.lower, q.upper) for q in quantities])
    assert len(rows) >= 45
    value, quoted, lower, upper = np.moveaxis(np.array(rows), 2, 0)
    true_sd = (value / truth).std(axis=0)
    assert (np.abs((value / truth).mean(axis=0) - 1.0) < 3.0 * true_sd / np.sqrt(50) + 0.02).all()
    assert (quoted.mean(axis=0) < 1.7 * true_sd).all()
    covered = ((lower <= truth) & (truth <= upper)).mean(axis=0)
    assert (covered >= 0.88).all()


def test_jumps_back_slow_the_sum_as_they_slow_each_ion(back_jumping):
    """Of 24 ions that forget each other but not their last jump: H_R = 1, sigma that of D*."""
    rows = []
    for seed in range(30):
        path, true = back_jumping(seed, n_ions=24, n_frames=2000, hops_ps=0.3, factor=0.78)
        found = conductivity(path)
        truth = (true * 1e-4, 1.0)
        for index, q in enumerate((found.collective_diffusivity_cm2_s, found.haven_ratio)):
            if q.status is Status.OK:
                rows.append((index, q.value / truth[index], q.lower <= truth[index] <= q.upper))
    for index in range(2):
        ratio, covered = zip(*[row[1:] for row in rows if row[0] == index], strict=True)
        assert len(ratio) >= 25
        assert abs(np.mean(ratio) - 1.0) < 0.06
        assert np.mean(covered) >= 0.85


def test_the_conductivity_is_that_of_the_formula():
    """Na density 0.0128 /A3, D = 1e-5 cm2/s, 600 K, H_R = 2/3: 396.6 and 594.9 mS/cm."""
    found = conductivity(paired_walk(1, 200, 4000, 0.0))
    assert found.sigma_ne_ms_cm.value == pytest.approx(396.6, rel=0.02)
    assert found.sigma_ms_cm.value == pytest.approx(594.9, rel=0.10)
    assert found.haven_ratio.value == pytest.approx(
        found.sigma_ne_ms_cm.value / found.sigma_ms_cm.value, rel=1e-9
    )
    assert found.sigma_ms_cm.status is Status.OK
    assert found.basis == "mobile ions in the frame of the framework"
    double = conductivity(paired_walk(1, 200, 4000, 0.0), charge=2.0)
    assert double.sigma_ms_cm.value == pytest.approx(4.0 * found.sigma_ms_cm.value)
    assert double.haven_ratio == found.haven_ratio


def test_one_ion_alone_has_a_haven_ratio_of_one():
    path = paired_walk(3, 200, 3000, 0.0)[:, :1]
    found = conductivity(path, tracer=None)
    assert found.haven_ratio.value == pytest.approx(1.0, abs=1e-6)
    assert found.haven_ratio.sd < 0.5 * found.collective_diffusivity_cm2_s.sd * 1e5


def test_ions_that_all_move_as_one_have_a_haven_ratio_of_one_over_their_number():
    rng = np.random.default_rng(0)
    one = np.cumsum(rng.normal(0.0, 0.3, (4000, 1, 3)), axis=0)
    found = conductivity(np.repeat(one, 8, axis=1))
    assert found.haven_ratio.value == pytest.approx(1.0 / 8.0, rel=0.02)
    own, together = found.tracer.diffusivity_cm2_s, found.collective_diffusivity_cm2_s
    assert own.sd / own.value == pytest.approx(together.sd / together.value, rel=0.2)


def test_without_a_temperature_there_is_a_haven_ratio_and_no_conductivity():
    found = conductivity(paired_walk(0, 16, 1000, 0.0), temperature_k=None)
    assert found.sigma_ms_cm is None
    assert found.sigma_ne_ms_cm is None
    assert found.haven_ratio.value > 0


def neutral_sums(seed, n_frames=1500):
    """Return the paths of the mobile ions and the sums of all, in the laboratory."""
    rng = np.random.default_rng(seed)
    path = paired_walk(seed, COUNTS["Na"], n_frames, 0.0)
    sums = {name: rng.normal(0.0, 0.2, (n_frames, 3)) for name in COUNTS} | {"Na": path.sum(axis=1)}
    return path, sums


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_displacement_of_all_charges_does_not_depend_on_the_frame(seed):
    _, sums = neutral_sums(seed, 50)
    wander = 10.0 * np.cumsum(np.random.default_rng(seed).normal(size=(50, 3)), axis=0)
    shifted = {name: sums[name] + COUNTS[name] * wander for name in sums}
    still, moving = (charge_path(s, COUNTS, CHARGES) for s in (sums, shifted))
    np.testing.assert_allclose(moving, still, atol=1e-9)


def test_the_full_charge_displacement_gives_the_conductivity_in_any_frame():
    path, sums = neutral_sums(5, 4000)
    alone = conductivity(path)
    centre = sum(sums.values()) / sum(COUNTS.values())
    values = {}
    for shift in (0.0, centre):
        shifted = {name: sums[name] - COUNTS[name] * shift for name in sums}
        found = conductivity(path, charge_path_ea=charge_path(shifted, COUNTS, CHARGES))
        assert within_3_sd(found.sigma_ms_cm, SIGMA_OF_8)
        assert found.sigma_ms_cm.value == pytest.approx(
            values.setdefault(0, found.sigma_ms_cm.value)
        )
        assert found.basis == "charges of all species"
        assert found.sigma_ne_ms_cm == alone.sigma_ne_ms_cm


def test_anions_that_follow_the_cations_lower_the_conductivity():
    path, sums = neutral_sums(6, 3000)
    sums["Cl"] = sums["Cl"] + 0.5 * sums["Na"]
    moved = charge_path(sums, COUNTS, CHARGES)
    dragged, alone = conductivity(path, charge_path_ea=moved), conductivity(path)
    assert within_3_sd(dragged.sigma_ms_cm, 0.25 * SIGMA_OF_8)
    assert within_3_sd(dragged.haven_ratio, 4.0 * 2.0 / 3.0)
    assert dragged.sigma_ms_cm.value < 0.5 * alone.sigma_ms_cm.value


def test_short_and_still_runs_give_no_number_to_trust():
    still = conductivity(np.zeros((100, 4, 3)))
    assert still.sigma_ms_cm.value is None
    assert still.haven_ratio.value is None
    assert still.sigma_ms_cm.status is Status.UNCONVERGED
    assert still.sigma_ms_cm.note.startswith("no collective window; ")
    short = conductivity(paired_walk(0, 4, 40, 0.0))
    assert short.sigma_ms_cm.status is Status.UNCONVERGED
    assert short.haven_ratio.status is Status.UNCONVERGED
    assert short.haven_ratio.lower is None
    assert "effective hops" in short.sigma_ms_cm.note
    assert conductivity(np.zeros((2, 4, 3))).haven_ratio.value is None


def test_a_collective_slope_with_a_large_error_is_not_trusted():
    path = paired_walk(2, 200, 60, 0.15)
    found = conductivity(path)
    assert found.haven_ratio.status is Status.UNCONVERGED
    assert found.sigma_ms_cm.status is Status.UNCONVERGED


def test_charges_must_be_of_all_species_and_neutral():
    _, sums = neutral_sums(0, 10)
    with pytest.raises(AnalysisError, match=r"charges do not fit the species\. Given: Na"):
        charge_path(sums, COUNTS, {"Na": 1.0})
    message = r"depends on the frame\. Given: a net charge of \+3 from 15 Cl of -1, 8 Na of \+1"
    with pytest.raises(AnalysisError, match=message):
        charge_path(sums, COUNTS, CHARGES | {"Ta": 6.0})


def test_what_cannot_be_is_refused():
    path = paired_walk(0, 4, 50)
    with pytest.raises(AnalysisError, match=r"without charge carry no current\. Given: charge 0"):
        conductivity(path, charge=0.0)
    with pytest.raises(AnalysisError, match=r"does not fit the paths\. Given: shape \(49, 3\)"):
        conductivity(path, charge_path_ea=np.zeros((49, 3)))
    with pytest.raises(AnalysisError, match=r"temperature_k must be positive\. Given: 0\.0"):
        conductivity(path, temperature_k=0.0)
