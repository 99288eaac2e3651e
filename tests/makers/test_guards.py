"""What counts as no longer the sample: bonds between anions, a melt, a crystal, a fever."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from haloflow.engines.guards import kinetic_temperature_k
from haloflow.engines.md import MDSettings
from haloflow.makers.guards import (
    Stage,
    crystallisation_guard,
    decomposition_guard,
    dynamics_guards,
    melting_guard,
    thermal_guards,
)
from haloflow.makers.md import MDMaker
from haloflow.quantity import Status

HOT = MDSettings("nvt-nose-hoover", 600.0, n_steps=10_000)


def salt(anion="Cl", repeat=2):
    return bulk(f"Na{anion}", "rocksalt", a=7.5, cubic=True) * repeat


def paired(atoms, anion, bond_a, n_pairs):
    """Bring `n_pairs` pairs of neighbouring anions to the length of a bond."""
    found = atoms.copy()
    anions = [i for i, symbol in enumerate(atoms.symbols) if symbol == anion]
    for first in anions[:n_pairs]:
        free = [i for i in anions[n_pairs:] if (found.positions[i] == atoms.positions[i]).all()]
        near = min(free, key=lambda i: atoms.get_distance(first, i, mic=True))
        found.set_distance(first, near, bond_a, fix=0, mic=True)
    return found


def first_verdict(guards, atoms, step):
    return next((verdict for guard in guards if (verdict := guard(atoms, step))), None)


@pytest.mark.parametrize(
    ("anion", "bond_a"), [("Cl", 2.0), ("Br", 2.3), ("I", 2.7), ("F", 1.45), ("O", 1.5)]
)
def test_anions_that_pair_up_are_a_decomposition(anion, bond_a):
    start = salt(anion)
    guard = decomposition_guard(start)
    assert guard(start, 100) is None
    assert guard(paired(start, anion, bond_a, 1), 100) is None  # 2 of 32 anions
    broken = paired(start, anion, bond_a, 3)
    verdict = guard(broken, 100)
    assert verdict.status is Status.DECOMPOSED
    assert f"bonds between anions: 3 {anion}-{anion} (by right: 0) at step 100" in verdict.note
    assert guard(broken, 101) is None
    assert decomposition_guard(broken)(broken, 100) is None  # a peroxide's are its own


def test_what_is_an_anion_is_the_stages_to_say():
    start = salt("Te")
    start.set_momenta(np.zeros((len(start), 3)))
    broken = paired(start, "Te", 2.7, 4)
    assert first_verdict(dynamics_guards(start, HOT, Stage("crystal")), broken, 100) is None
    stage = Stage("crystal", anions=("Te",))
    verdict = first_verdict(dynamics_guards(start, HOT, stage), broken, 100)
    assert verdict.note.startswith("bonds between anions: 4 Te-Te")


def test_formers_that_leave_their_places_are_a_melt():
    start = bulk("CsCl", "cesiumchloride", a=4.1) * 3
    start.symbols[:] = ["Ta", "Br"] * 27
    guard = melting_guard(start, "Na")
    rng = np.random.default_rng(3)
    moved = start.copy()
    former = np.array([symbol == "Ta" for symbol in start.symbols])
    moved.positions[~former] += rng.normal(0.0, 6.0, (27, 3))
    assert guard(moved, 100) is None  # turning anions melt nothing
    moved.positions[former] += rng.normal(0.0, 4.0, (27, 3))
    verdict = guard(moved, 100)
    assert verdict.status is Status.DECOMPOSED
    assert verdict.note.startswith("the framework melted: MSD ")
    assert guard(moved, 101) is None


def test_a_reflection_ends_the_run_of_a_glass():
    crystal = salt(repeat=3)
    rng = np.random.default_rng(1)
    crystal.positions += rng.normal(0.0, 0.1, crystal.positions.shape)
    verdict = crystallisation_guard()(crystal, 2000)
    assert verdict.status is Status.CRYSTALLISED
    assert "times the diffuse scattering at step 2000" in verdict.note
    assert crystallisation_guard()(crystal, 1999) is None
    glass = crystal.copy()
    glass.positions = rng.uniform(size=glass.positions.shape) @ glass.cell.array
    assert crystallisation_guard()(glass, 2000) is None


def heated(temperature_k):
    atoms = salt()
    momenta = np.random.default_rng(1).standard_normal((len(atoms), 3))
    momenta -= momenta.mean(axis=0)
    atoms.set_momenta(momenta)
    now = kinetic_temperature_k(atoms, HOT.degrees_of_freedom(len(atoms)))
    atoms.set_momenta(momenta * np.sqrt(temperature_k / now))
    return atoms


def test_a_fever_is_borne_at_the_start_and_while_a_glass_is_made():
    settled, made = Stage("glass"), Stage(settled=False)
    hot = heated(1200.0)
    assert first_verdict(thermal_guards(HOT, settled), hot, 490) is None
    verdict = first_verdict(thermal_guards(HOT, settled), hot, 500)
    assert verdict.status is Status.DIVERGED
    assert "1200 K at step 500 is outside" in verdict.note
    assert first_verdict(thermal_guards(HOT, made), hot, 5000) is None
    for stage in (settled, made):
        assert first_verdict(thermal_guards(HOT, stage), heated(2500.0), 10) is not None
        assert first_verdict(thermal_guards(HOT, stage), heated(700.0), 5000) is None


def test_atoms_are_not_changed_by_guards():
    atoms = heated(600.0)
    before = atoms.copy()
    for guard in dynamics_guards(atoms, HOT, Stage("crystal")):
        guard(atoms, 2000)
    assert isinstance(atoms, Atoms)
    assert np.array_equal(atoms.positions, before.positions)
    assert np.array_equal(atoms.get_momenta(), before.get_momenta())


def test_anions_in_any_order_are_the_same_step():
    one, other = (MDMaker(anions=anions).identity({}) for anions in (("Cl", "O"), ("O", "Cl", "O")))
    assert one == other
    assert one != MDMaker(anions=("S",)).identity({})
