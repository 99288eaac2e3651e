"""Numerical guards: what trips them, what does not, and what they say."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk

from haloflow.engines.guards import (
    GuardVerdict,
    distance_guard,
    finite_guard,
    kinetic_temperature_k,
    temperature_guard,
    volume_guard,
)
from haloflow.engines.md import MDSettings, Tether
from haloflow.errors import InputError, UnknownNameError
from haloflow.quantity import Status


def salt():
    return bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 2


def at_temperature(temperature_k, settings):
    atoms = salt()
    momenta = np.random.default_rng(1).standard_normal((len(atoms), 3))
    momenta -= momenta.mean(axis=0)
    atoms.set_momenta(momenta)
    degrees = settings.degrees_of_freedom(len(atoms))
    scale = np.sqrt(temperature_k / kinetic_temperature_k(atoms, degrees))
    atoms.set_momenta(momenta * scale)
    return atoms


def test_finite_guard():
    atoms = salt()
    atoms.set_momenta(np.zeros((len(atoms), 3)))
    guard = finite_guard()
    assert guard(atoms, 5) is None
    atoms.arrays["momenta"][3:5] = np.inf
    verdict = guard(atoms, 5)
    assert verdict.status is Status.DIVERGED
    assert verdict.note == ("momenta of 2 atoms, first Cl number 3, are not finite at step 5")
    atoms.positions[0, 0] = np.nan
    assert guard(atoms, 6).note.startswith("positions of 1 atoms, first Na number 0")
    clean = salt()
    clean.set_momenta(np.zeros((len(clean), 3)))
    clean.cell[0, 0] = np.nan
    assert guard(clean, 7).note == "the cell is not finite at step 7"


def test_temperature_window_scales_with_the_number_of_atoms():
    settings = MDSettings("nvt-langevin", 600.0, n_steps=10)
    guard = temperature_guard(settings, n_sigma=5.0, floor_fraction=0.2)
    degrees = 3 * len(salt()) - 3
    window = 600 * (5 * np.sqrt(2 / degrees) + 0.2)
    for inside in (600 - 0.99 * window, 600 + 0.99 * window):
        assert guard(at_temperature(inside, settings), 1) is None
    for outside in (600 - 1.01 * window, 600 + 1.01 * window):
        verdict = guard(at_temperature(outside, settings), 1)
        assert verdict.status is Status.DIVERGED
        assert f"{outside:.0f} K at step 1" in verdict.note
        assert f"{600 + window:.0f} K" in verdict.note


def test_temperature_window_follows_a_ramp_and_lets_the_start_be():
    settings = MDSettings("nvt-langevin", 2000.0, n_steps=100, temperature_end_k=200.0)
    guard = temperature_guard(settings, n_sigma=3.0, floor_fraction=0.1, grace_steps=10)
    hot = at_temperature(2000.0, settings)
    assert guard(hot, 12) is None
    assert guard(hot, 90) is not None
    assert guard(at_temperature(9000.0, settings), 9) is None
    assert guard(at_temperature(9000.0, settings), 10) is not None


def test_temperature_window_lets_atoms_trail_a_ramp():
    settings = MDSettings("nvt-langevin", 2000.0, n_steps=100, temperature_end_k=200.0)
    trailing = at_temperature(settings.target_temperature_k(40), settings)
    limits = {"n_sigma": 0.0, "floor_fraction": 0.1}
    assert temperature_guard(settings, **limits)(trailing, 60) is not None
    assert temperature_guard(settings, **limits, lag_steps=20)(trailing, 60) is None
    assert temperature_guard(settings, **limits, lag_steps=5)(trailing, 60) is not None
    early = at_temperature(2000.0, settings)
    assert temperature_guard(settings, **limits, lag_steps=90)(early, 20) is None


def test_twice_the_temperature_is_no_equilibrium():
    settings = MDSettings("nvt-nose-hoover", 600.0, n_steps=10)
    guard = temperature_guard(settings)
    assert guard(at_temperature(2.0 * 600.0, settings), 5) is not None
    assert guard(at_temperature(1.3 * 600.0, settings), 5) is None


def test_tethered_atoms_have_all_degrees_of_freedom():
    free = MDSettings("nve", 300.0, n_steps=1)
    tied = MDSettings("nve", 300.0, n_steps=1, tether=Tether("Na", 1.0))
    assert (free.degrees_of_freedom(10), tied.degrees_of_freedom(10)) == (27, 30)
    atoms = at_temperature(300.0, free)
    assert 2 * atoms.get_kinetic_energy() / units.kB / (3 * len(atoms) - 3) == pytest.approx(300)


def test_distance_guard_lets_bonds_be_and_sees_collisions():
    guard = distance_guard()
    box = {"cell": [12.0] * 3, "pbc": True}
    for pair, bond in (("O2", 1.49), ("O2", 1.21), ("Cl2", 1.99), ("TaO", 1.70), ("NaCl", 2.2)):
        atoms = Atoms(pair, [[0, 0, 0], [0, 0, bond]], **box)
        assert guard(atoms, 0) is None, pair
    verdict = guard(Atoms("TaO", [[0, 0, 0], [0, 0, 1.1]], **box), 7)
    assert verdict.status is Status.DIVERGED
    assert verdict.note == "Ta number 0 and O number 1 are 1.10 A apart at step 7, below 1.30 A"


def test_distance_guard_looks_across_boundaries_at_unwrapped_positions():
    guard = distance_guard()
    atoms = Atoms("NaCl", [[0.1, 0, 0], [24 - 0.5, -36, 0]], cell=[12.0] * 3, pbc=True)
    assert "are 0.60 A apart" in guard(atoms, 0).note
    atoms.positions[1, 1] += 6
    assert guard(atoms, 0) is None


def test_distance_guard_of_chosen_pairs():
    guard = distance_guard({("Na", "Cl"): 2.5})
    close = Atoms("NaClNa", [[0, 0, 0], [0, 0, 2.4], [0.3, 0, 0]], cell=[9.0] * 3, pbc=True)
    assert "below 2.50 A" in guard(close, 0).note
    assert "Na number 0 and Cl" in guard(close, 0).note
    assert guard(close[[0, 2]], 0) is None
    close.positions[0] = np.nan  # left to the guard for finite numbers
    assert guard(close, 0) is None


def test_volume_guard():
    atoms = salt()
    guard = volume_guard(atoms.get_volume(), lower=0.7, upper=1.5)
    assert guard(atoms, 3) is None
    swollen = atoms.copy()
    swollen.set_cell(atoms.cell * 1.2, scale_atoms=True)
    verdict = guard(swollen, 3)
    assert verdict.status is Status.DIVERGED
    assert verdict.note == (
        "the volume is 1.73 times that of the start at step 3, outside 0.7 to 1.5"
    )
    swollen.set_cell(atoms.cell * 0.8, scale_atoms=True)
    assert "0.51 times" in guard(swollen, 3).note


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GuardVerdict(Status.OK, "fine"), ["cannot end a run as ok", "return None"]),
        (
            lambda: temperature_guard(MDSettings("nve", 300, 1), n_sigma=-1),
            ["n_sigma of a temperature guard", "-1", "from 0"],
        ),
        (
            lambda: temperature_guard(MDSettings("nve", 300, 1), floor_fraction=np.nan),
            ["floor_fraction", "nan"],
        ),
        (lambda: distance_guard({("Na", "Cl"): -1.0}), ["Na-Cl of a distance guard", "-1.0"]),
        (lambda: volume_guard(0.0), ["window of a volume guard", "volume 0.0 A^3"]),
        (lambda: volume_guard(10.0, lower=1.1), ["fractions 1.1 to 2.0", "lower below 1"]),
    ],
)
def test_bad_guards(make, words):
    with pytest.raises(InputError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_unknown_element():
    with pytest.raises(UnknownNameError, match=r"unknown element. Given: Xx"):
        distance_guard({("Na", "Xx"): 1.0})
