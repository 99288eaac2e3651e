from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.glass import (
    Crystal,
    amorphous_evidence,
    glass_transition,
    melting_evidence,
)
from haloflow.errors import AnalysisError
from haloflow.quantity import Status

NETWORK = ["Na", "Cl"]


def diffusing(nacl, step_a, n_frames=60, seed=0):
    start, cell, species = nacl((2, 2, 2))
    steps = np.random.default_rng(seed).normal(0.0, step_a, (n_frames, *start.shape[1:]))
    return start + np.cumsum(steps, axis=0), cell, species


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_melt_has_melted(nacl, wrapped):
    positions, cell, species = diffusing(nacl, 0.6)
    if wrapped:
        positions = (positions @ np.linalg.inv(cell) % 1.0) @ cell
    found = melting_evidence(positions, cell, species, NETWORK, unwrapped=not wrapped)
    assert found.holds
    assert found.numbers["msd_Na_a2"] == pytest.approx(3 * 0.36 * 44, rel=0.2)
    assert found.numbers["growth_Cl"] == pytest.approx(2.0, rel=0.2)
    assert 0.5 < found.numbers["nearest_neighbour_Na_a"] < 2.9
    assert "MSD of Na, Cl beyond the square" in found.criterion


def test_a_vibrating_crystal_has_not(nacl):
    positions, cell, species = nacl((2, 2, 2), rattle_a=0.3, n_frames=60)
    found = melting_evidence(positions, cell, species, NETWORK, unwrapped=True)
    assert not found.holds
    assert found.numbers["msd_Na_a2"] == pytest.approx(6 * 0.09, rel=0.1)


def test_atoms_that_moved_far_and_stopped_are_not_molten(nacl):
    """A wide vibration: beyond the nearest neighbour, yet no growth with the lag."""
    positions, cell, species = nacl((3, 3, 3), rattle_a=1.2, n_frames=60)
    found = melting_evidence(positions, cell, species, NETWORK, unwrapped=True)
    assert found.numbers["msd_Na_a2"] > found.numbers["nearest_neighbour_Na_a"] ** 2
    assert not found.holds


def test_one_molten_sublattice_is_not_a_melt(nacl):
    positions, cell, species = nacl((2, 2, 2), rattle_a=0.2, n_frames=60)
    molten, _, _ = diffusing(nacl, 0.6)
    sodium = np.array(species) == "Na"
    positions[:, sodium] = molten[:, sodium]
    assert not melting_evidence(positions, cell, species, NETWORK, unwrapped=True).holds
    assert melting_evidence(positions, cell, species, ["Na"], unwrapped=True).holds


def test_drift_is_not_melting(nacl):
    positions, cell, species = nacl((2, 2, 2), rattle_a=0.1, n_frames=60)
    positions += np.linspace(0.0, 30.0, 60)[:, None, None]
    assert not melting_evidence(positions, cell, species, NETWORK, unwrapped=True).holds


def test_a_few_frames_are_no_evidence(nacl):
    positions, cell, species = diffusing(nacl, 0.6, n_frames=5)
    found = melting_evidence(positions, cell, species, NETWORK)
    assert not found.holds
    assert found.numbers == {"n_frames": 5}


def test_a_species_that_is_not_there_is_an_error(nacl):
    positions, cell, species = diffusing(nacl, 0.6)
    with pytest.raises(AnalysisError, match=r"does not occur in the structure\. Given: Ta"):
        melting_evidence(positions, cell, species, ["Ta"])


def as_crystal(nacl, repeats=(1, 1, 1)):
    positions, cell, species = nacl(repeats)
    return Crystal(positions[0], cell, tuple(species))


def test_crystal_and_random_box_against_the_reference(nacl):
    positions, cell, species = nacl((2, 2, 2), rattle_a=0.2, n_frames=40)
    crystal = amorphous_evidence(positions, cell, species, reference=as_crystal(nacl))
    assert not crystal.holds
    assert crystal.numbers["reference_crystal_ratio"] > crystal.numbers["threshold_ratio"]
    assert crystal.numbers["strongest_reflection_ratio"] == pytest.approx(
        crystal.numbers["reference_crystal_ratio"], rel=0.3
    )
    gas = np.random.default_rng(0).uniform(size=(64, 3)) @ cell
    glass = amorphous_evidence(gas, cell, species, reference=as_crystal(nacl))
    assert glass.holds
    assert "too small" not in glass.criterion


def test_a_box_too_small_for_its_crystal_says_so(triclinic):
    positions = np.random.default_rng(3).uniform(size=(30, 3)) @ triclinic
    one_cell = Crystal(positions, triclinic, ("Na",) * 30)
    found = amorphous_evidence(positions, triclinic, ["Na"] * 30, reference=one_cell)
    assert found.holds
    assert "the box is too small to show the reference crystal" in found.criterion


def expansion(temperature, tg_k=470.0, kink=-4e-4, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    line = 3.2 - 2e-4 * temperature + kink * np.maximum(0.0, temperature - tg_k)
    return line + noise * rng.normal(size=len(temperature))


@pytest.mark.parametrize(("noise", "at_least_found"), [(1e-3, 100), (2e-3, 85), (3e-3, 40)])
def test_the_glass_transition_is_found_with_an_honest_interval(noise, at_least_found):
    """Noise may hide the kink behind a curve; it never makes its interval too narrow."""
    temperature = np.arange(300.0, 701.0, 40.0)
    covered = []
    for seed in range(100):
        found = glass_transition(temperature, expansion(temperature, noise=noise, seed=seed))
        assert (found.tg_k.value is None) == (found.delta_bic <= 10.0)
        if found.tg_k.value is not None:
            covered.append(found.tg_k.lower <= 470.0 <= found.tg_k.upper)
            assert found.tg_k.value == pytest.approx(470.0, abs=40.0)
    assert len(covered) >= at_least_found
    assert np.mean(covered) >= 0.85


def test_an_exact_kink_is_found_in_any_order():
    temperature = np.arange(300.0, 701.0, 40.0)[::-1]
    found = glass_transition(temperature, expansion(temperature))
    assert found.tg_k.value == pytest.approx(470.0, abs=2.0)
    assert found.tg_k.status is Status.OK


def test_a_straight_line_has_no_transition():
    temperature = np.arange(300.0, 701.0, 40.0)
    alarms = 0
    for seed in range(100):
        values = expansion(temperature, kink=0.0, noise=2e-3, seed=seed)
        found = glass_transition(temperature, values)
        alarms += found.tg_k.value is not None
    assert alarms <= 2
    assert found.tg_k.status is Status.UNCONVERGED
    assert "no kink: change of BIC from a" in found.tg_k.note


@pytest.mark.parametrize("n_temperatures", [7, 8])
@pytest.mark.parametrize(
    ("relative_noise", "per_k"), [(5e-4, 2.5e-4), (1e-3, 2.5e-4), (3e-3, 4e-4)]
)
def test_thermal_expansion_is_no_glass_transition(n_temperatures, relative_noise, per_k):
    temperature = 300.0 + 100.0 * np.arange(n_temperatures)
    smooth = 3.0 * np.exp(-per_k * (temperature - 300.0))
    glass = smooth * np.exp(1.7e-4 * (np.minimum(temperature, 550.0) - 300.0))
    rng = np.random.default_rng(0)
    alarms = found = 0
    for _ in range(50):
        noise = 1.0 + relative_noise * rng.normal(size=n_temperatures)
        alarms += glass_transition(temperature, smooth * noise).tg_k.value is not None
        alarms += glass_transition(temperature, 1.0 / (smooth * noise)).tg_k.value is not None
        found += glass_transition(temperature, glass * noise).tg_k.value is not None
    assert alarms <= 0.05 * 2 * 50
    if relative_noise <= 1e-3:
        assert found >= 0.85 * 50


def test_a_kink_towards_slower_change_is_no_glass_transition():
    temperature = np.arange(300.0, 701.0, 40.0)
    found = glass_transition(temperature, -1e-3 * np.minimum(temperature, 470.0))
    assert found.tg_k.value is None
    assert found.delta_bic > 10.0
    assert "values change less above the kink than below it" in found.tg_k.note


def test_too_few_temperatures_cannot_show_a_transition():
    found = glass_transition([300.0, 400.0, 500.0], [1.0, 2.0, 3.0])
    assert found.delta_bic is None
    assert found.tg_k.note == "3 temperatures, 6 needed to look for a kink"


def test_bad_series_are_refused():
    with pytest.raises(AnalysisError, match=r"do not pair up\. Given: shapes \(2,\) and \(1,\)"):
        glass_transition([1.0, 2.0], [1.0])
    with pytest.raises(AnalysisError, match="temperatures or values are not finite"):
        glass_transition([1.0, 2.0], [1.0, np.nan])
