"""Input that an MD run refuses: what was given, what is allowed, what to do."""

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms

from haloflow.engines.evaluator import Evaluator
from haloflow.engines.md import MDSettings, Tether, run_md
from haloflow.errors import EngineError, InputError

GOOD = {"ensemble": "nvt-langevin", "temperature_k": 300, "n_steps": 10}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ensemble": "nvt"}, ["unknown ensemble", "'nvt'", "nvt-langevin"]),
        ({"temperature_k": -300}, ["temperature_k", "-300", "above 0 up to 50000"]),
        ({"temperature_k": 0}, ["temperature_k", "above 0"]),
        ({"temperature_k": "300"}, ["temperature_k", "'300' (str)", "a number"]),
        ({"temperature_k": float("nan")}, ["temperature_k", "nan"]),
        ({"temperature_k": True}, ["temperature_k", "True (bool)"]),
        ({"temperature_end_k": -1.0}, ["temperature_end_k", "-1.0", "above 0"]),
        ({"n_steps": 0}, ["n_steps", "0 (int)", "a whole number from 1"]),
        ({"n_steps": -3}, ["n_steps", "-3"]),
        ({"n_steps": 10.5}, ["n_steps", "10.5 (float)"]),
        ({"timestep_fs": 0}, ["timestep_fs", "above 0 up to 20"]),
        ({"timestep_fs": 200}, ["timestep_fs", "200"]),
        ({"pressure_gpa": float("inf")}, ["pressure_gpa", "inf", "from -1000 up to 1000"]),
        ({"friction_per_ps": 0}, ["friction_per_ps", "above 0"]),
        (
            {"ensemble": "nvt-nose-hoover", "thermostat_time_fs": 5},
            ["thermostat_time_fs", "from 20"],
        ),
        ({"ensemble": "npt-full", "barostat_time_fs": 5}, ["barostat_time_fs", "from 20"]),
        ({"seed": -1}, ["seed", "-1", "from 0"]),
        ({"chunk_frames": 0}, ["chunk_frames", "from 1"]),
        ({"trajectory_interval": 0}, ["trajectory_interval", "from 1"]),
        ({"checkpoint_interval": 0}, ["checkpoint_interval", "from 1"]),
        ({"guard_interval": 0}, ["guard_interval", "from 1"]),
        ({"sync_interval": 0}, ["sync_interval", "from 1"]),
        (
            {"ensemble": "npt-full", "tether": Tether("Na", 1.0)},
            ["a tether needs constant volume", "npt-full", "equilibrate the cell first"],
        ),
        ({"pressure_gpa": 1.0}, ["no effect at constant volume", "npt-isotropic", "leave out"]),
        (
            {"ensemble": "nve", "temperature_end_k": 500.0},
            ["a temperature ramp needs a thermostat", "nve", "leave out temperature_end_k"],
        ),
    ],
)
def test_bad_settings(changes, words):
    with pytest.raises(InputError) as caught:
        MDSettings(**{**GOOD, **changes})
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("species", "alpha", "words"),
    [
        ((), 1.0, ["names no species", "Tether(('Ta',)"]),
        ((73,), 1.0, ["names no species"]),
        ("Ta", 0.0, ["tether alpha_ev_a2", "above 0"]),
        ("Ta", -2.0, ["tether alpha_ev_a2", "-2.0"]),
    ],
)
def test_bad_tether(species, alpha, words):
    with pytest.raises(InputError) as caught:
        Tether(species, alpha)
    assert all(word in str(caught.value) for word in words)


def test_physics_leaves_out_what_changes_no_result():
    long, often = (
        MDSettings(**GOOD),
        MDSettings(**{**GOOD, "n_steps": 20, "checkpoint_interval": 1}),
    )
    assert long.physics() == often.physics()
    ramps = [MDSettings(**{**GOOD, "n_steps": n, "temperature_end_k": 9.0}) for n in (10, 20)]
    assert ramps[0].physics() != ramps[1].physics()


def altered(atoms, what):
    match what:
        case "nothing":
            return None
        case "one atom":
            return atoms[:1]
        case "no cell":
            atoms.cell = None
        case "flat":
            atoms.cell[2] = atoms.cell[1]
        case "not periodic":
            atoms.pbc = (True, True, False)
        case "position":
            atoms.positions[5, 1] = np.nan
        case "momenta":
            atoms.set_momenta(np.full((len(atoms), 3), np.inf))
        case "mass":
            atoms.set_masses([0.0] * len(atoms))
        case "constraint":
            atoms.set_constraint(FixAtoms([0]))
    return atoms


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nothing", ["needs atoms", "None", "at least two atoms"]),
        ("one atom", ["needs atoms", "at least two atoms"]),
        ("no cell", ["needs a periodic cell", "set atoms.cell and atoms.pbc"]),
        ("flat", ["needs a periodic cell", "span a volume"]),
        ("not periodic", ["needs a periodic cell", "[True, True, False]"]),
        ("position", ["positions of atoms are not finite", "[5]"]),
        ("momenta", ["momenta of atoms are not finite"]),
        ("mass", ["without a mass", "Ar, Ne"]),
        ("constraint", ["constraints", "FixAtoms", "use a tether"]),
    ],
)
def test_bad_atoms(what, words, md_cases, tmp_path):
    atoms = altered(md_cases.noble_gas(), what)
    calculator = md_cases.SkinLennardJones()
    with pytest.raises(InputError) as caught:
        run_md(atoms, calculator, md_cases.settings_of("nve"), tmp_path / "run", signature="bad")
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert not (tmp_path / "run").exists()


def test_bad_arguments(md_cases, tmp_path):
    arguments = (md_cases.noble_gas(), md_cases.SkinLennardJones(), md_cases.settings_of("nve"))
    with pytest.raises(InputError, match="no signature"):
        run_md(*arguments, tmp_path, signature="")
    with pytest.raises(InputError, match="walltime_s of an MD run is out of range"):
        run_md(*arguments, tmp_path, signature="x", walltime_s=0)


def test_tether_of_a_species_that_is_not_there(md_cases, tmp_path):
    settings = md_cases.settings_of("nve", tether=Tether(("Ta", "Ar"), 1.0))
    with pytest.raises(InputError, match=r"does not contain. Given: Ta. Allowed: Ar, Ne"):
        run_md(md_cases.noble_gas(), md_cases.SkinLennardJones(), settings, tmp_path, signature="x")


class EnergyOnly(Calculator):
    implemented_properties = ("energy",)


def test_calculator_without_forces_or_stress(md_cases, tmp_path):
    with pytest.raises(InputError, match=r"EnergyOnly cannot drive this run. Given: it computes"):
        md_cases.run("nve", tmp_path / "1", EnergyOnly())
    no_stress = md_cases.SkinLennardJones()
    no_stress.implemented_properties = ("energy", "forces")
    with pytest.raises(InputError, match="a calculator of energy, forces, stress"):
        md_cases.run("npt-full", tmp_path / "2", no_stress)


def test_stress_that_was_not_computed(md_cases):
    class NoStress(md_cases.SkinLennardJones):
        def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            del self.results["stress"]

    atoms = md_cases.noble_gas()
    atoms.calc = Evaluator(NoStress(), atoms)
    atoms.get_potential_energy()
    with pytest.raises(EngineError, match="the stress was not computed in this run"):
        atoms.get_stress()
