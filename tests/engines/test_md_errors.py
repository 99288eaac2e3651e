"""Every refusal of an MD run says what was given, what is allowed and what to do."""

import ase
import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms

from haloflow.engines import dynamics
from haloflow.engines.durable import sole_use
from haloflow.engines.dynamics import Integrator
from haloflow.engines.evaluator import Evaluator
from haloflow.engines.guards import GuardVerdict, distance_guard
from haloflow.engines.md import MDSettings, Tether, run_md
from haloflow.errors import (
    CheckpointError,
    EngineError,
    InputError,
    InterruptedRunError,
    PotentialError,
    TrajectoryError,
)
from haloflow.quantity import Status

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


def interrupt(md_cases, tmp_path, case="nve"):
    calculator = md_cases.SkinLennardJones()
    compute = calculator.calculate

    def fail_late(*args, **kwargs):
        if calculator.evaluations == 45:
            raise PotentialError("the weights are gone")
        compute(*args, **kwargs)

    calculator.calculate = fail_late
    with pytest.raises(PotentialError, match="the weights are gone"):
        md_cases.run(case, tmp_path, calculator)


@pytest.mark.parametrize("changes", [{"temperature_k": 41.0}, {"trajectory_interval": 6}])
def test_checkpoint_of_other_settings(changes, md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    name = next(iter(changes))
    with pytest.raises(CheckpointError, match=rf"of another run. Given: other {name}"):
        md_cases.run("nve", tmp_path, **changes)


def test_checkpoint_of_a_ramp_of_other_length(md_cases, tmp_path):
    interrupt(md_cases, tmp_path, "ramp-langevin")
    with pytest.raises(CheckpointError, match="Given: other n_steps"):
        md_cases.run("ramp-langevin", tmp_path, n_steps=200)


def test_checkpoint_of_another_signature(md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    arguments = (md_cases.noble_gas(), md_cases.SkinLennardJones(), md_cases.settings_of("nve"))
    with pytest.raises(CheckpointError, match=r"Given: other signature.*a directory of its own"):
        run_md(*arguments, tmp_path, signature="other")


def test_checkpoint_interval_may_change(md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    assert md_cases.run("nve", tmp_path, checkpoint_interval=7).n_resumes == 1


def test_fewer_steps_than_done(md_cases, tmp_path):
    md_cases.run("nve", tmp_path)
    with pytest.raises(CheckpointError, match=r"further than asked. Given: n_steps=50.*from 90"):
        md_cases.run("nve", tmp_path, n_steps=50)


def test_checkpoint_of_other_atoms(md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    atoms = md_cases.noble_gas()
    atoms.symbols[1] = "Ne"
    with pytest.raises(CheckpointError, match=r"of other atoms.*32 atoms.*started from"):
        run_md(
            atoms,
            md_cases.SkinLennardJones(),
            md_cases.settings_of("nve"),
            tmp_path,
            signature="nve",
        )


def test_all_checkpoints_damaged(md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"all checkpoints of a run are damaged.*checksum"):
        md_cases.run("nve", tmp_path)


def test_trajectory_of_another_run_without_checkpoint(md_cases, tmp_path):
    md_cases.run("nve", tmp_path)
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        path.unlink()
    with pytest.raises(TrajectoryError, match="holds the trajectory of another run"):
        md_cases.run("langevin", tmp_path)


def test_lost_chunk(md_cases, tmp_path):
    interrupt(md_cases, tmp_path)
    (tmp_path / "trajectory" / "chunk-000000.h5").unlink()
    with pytest.raises(TrajectoryError, match=r"missing or cut short. Given: 0 whole of 1"):
        md_cases.run("nve", tmp_path)


def test_lost_last_chunk_of_a_finished_run(md_cases, tmp_path):
    md_cases.run("nve", tmp_path, n_steps=30)
    other = tmp_path / "other"
    md_cases.run("nve", other, n_steps=21)
    for name in ("index.json", "chunk-000000.h5"):
        (tmp_path / "trajectory" / name).write_bytes((other / "trajectory" / name).read_bytes())
    with pytest.raises(TrajectoryError, match=r"not complete. Given: 8 frames.*11 frames"):
        md_cases.run("nve", tmp_path, n_steps=30)


def test_two_runs_in_one_directory(md_cases, tmp_path):
    with (
        sole_use(tmp_path),
        pytest.raises(EngineError, match=r"another run works in this directory.*of its own"),
    ):
        md_cases.run("nve", tmp_path)
    assert md_cases.run("nve", tmp_path).n_steps == 90


def failing_at(md_cases, evaluation):
    calculator = md_cases.SkinLennardJones()
    compute = calculator.calculate

    def fail(*args, **kwargs):
        if calculator.evaluations == evaluation:
            raise ValueError("no graph")
        compute(*args, **kwargs)

    calculator.calculate = fail
    return calculator


@pytest.mark.parametrize("evaluation", [0, 44])
def test_calculator_that_fails(evaluation, md_cases, tmp_path):
    with pytest.raises(EngineError, match=r"the calculator failed.*ValueError: no graph") as caught:
        md_cases.run("nve", tmp_path / "run", failing_at(md_cases, evaluation))
    assert isinstance(caught.value.__cause__, ValueError)
    md_cases.run("nve", tmp_path / "run")  # goes on from the last checkpoint
    md_cases.run("nve", tmp_path / "straight")
    one, other = ((tmp_path / name / "trajectory/index.json") for name in ("run", "straight"))
    assert one.read_text() == other.read_text()


def test_calculator_that_fails_where_a_guard_objects_ends_the_run(md_cases, tmp_path):
    settings = md_cases.settings_of("nve", guard_interval=1000)
    calculator = failing_at(md_cases, 44)

    def guard(atoms, step):
        return GuardVerdict(Status.DECOMPOSED, f"at step {step}") if step else None

    arguments = (md_cases.noble_gas(), calculator, settings, tmp_path)
    result = run_md(*arguments, signature="x", guards=[guard])
    assert (result.status, result.n_steps) == (Status.DECOMPOSED, 43)
    assert result.thermo["step"][-1] == 42
    assert result.atoms.calc is None


def test_verdict_keeps_partial_data_and_stays(md_cases, tmp_path):
    def guard(atoms, step):
        return GuardVerdict(Status.CRYSTALLISED, f"ordered at step {step}") if step >= 37 else None

    arguments = (
        md_cases.noble_gas(),
        md_cases.SkinLennardJones(),
        md_cases.settings_of("langevin"),
    )
    first = run_md(*arguments, tmp_path, signature="x", guards=[guard])
    assert (first.status, first.note, first.n_steps) == (
        Status.CRYSTALLISED,
        "ordered at step 40",
        40,
    )
    assert first.thermo["step"].tolist() == list(range(0, 40, 3))
    calculator = md_cases.SkinLennardJones()
    again = run_md(arguments[0], calculator, arguments[2], tmp_path, signature="x")
    assert (again.status, again.note) == (first.status, first.note)
    assert np.array_equal(again.atoms.positions, first.atoms.positions)
    assert calculator.evaluations == 0


def test_guard_looks_at_the_start_and_the_end(md_cases, tmp_path):
    seen = []
    settings = md_cases.settings_of("nve", n_steps=25)
    arguments = (md_cases.noble_gas(), md_cases.SkinLennardJones(), settings, tmp_path)
    run_md(*arguments, signature="x", guards=[lambda _, step: seen.append(step)])
    assert seen == [0, 10, 20, 25]


def test_error_of_a_guard_is_an_error(md_cases, tmp_path):
    def broken(atoms, step):
        return 1 / step and None

    arguments = (md_cases.noble_gas(), md_cases.SkinLennardJones(), md_cases.settings_of("nve"))
    with pytest.raises(ZeroDivisionError):
        run_md(*arguments, tmp_path, signature="x", guards=[broken])


@pytest.mark.parametrize("what", ["forces", "energy"])
def test_numbers_that_are_not_finite_end_the_run(what, md_cases, tmp_path):
    class Rotten(md_cases.SkinLennardJones):
        def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            if self.evaluations > 14:
                for name in {"forces": ["forces"], "energy": ["energy", "free_energy"]}[what]:
                    self.results[name] = self.results[name] * np.nan

    result = md_cases.run("nose-hoover", tmp_path, Rotten())
    assert (result.status, result.n_steps) == (Status.DIVERGED, 20)
    assert "not finite at step 20" in result.note
    assert len(result.trajectory) == 1


def test_colliding_atoms_end_the_run(md_cases, tmp_path):
    atoms = md_cases.noble_gas()
    atoms.positions[1] = atoms.positions[0] + [0.4, 0, 0]
    arguments = (atoms, md_cases.SkinLennardJones(), md_cases.settings_of("nve"), tmp_path)
    result = run_md(*arguments, signature="x", guards=[distance_guard()])
    assert (result.status, result.n_steps) == (Status.DIVERGED, 0)
    assert "Ne number 0 and Ar number 1 are 0.40 A apart at step 0" in result.note


def test_progress(md_cases, tmp_path):
    calls = []
    arguments = (md_cases.noble_gas(), md_cases.SkinLennardJones(), md_cases.settings_of("nve"))
    run_md(
        *arguments, tmp_path, signature="x", on_progress=lambda done, of: calls.append((done, of))
    )
    assert calls[0] == (1, 90)
    assert calls[-1] == (90, 90)
    assert len(calls) <= 4


def test_atoms_and_their_calculator_are_left_alone(md_cases, tmp_path):
    atoms = md_cases.noble_gas()
    atoms.calc = other = EnergyOnly()
    before = atoms.copy()
    run_md(
        atoms,
        md_cases.SkinLennardJones(),
        md_cases.settings_of("langevin"),
        tmp_path,
        signature="x",
    )
    assert atoms == before
    assert not atoms.has("momenta")
    assert atoms.calc is other
    assert not atoms.constraints


@pytest.mark.parametrize("case", ["nve", "langevin", "nose-hoover", "npt-isotropic", "npt-full"])
def test_state_lists_all_that_changes(case, md_cases):
    """Whatever moves in an integrator is in the checkpoint, or copied from what is."""
    settings = md_cases.settings_of(case)
    atoms = md_cases.noble_gas()
    atoms.calc = Evaluator(md_cases.SkinLennardJones(), atoms, needs_stress=True)
    integrator = Integrator(atoms, settings)
    inner = integrator._dynamics

    def numbers():
        return {
            (f"{part}." if part else "") + name: np.array(value)
            for part in dynamics.LAYOUT[settings.ensemble]
            for name, value in vars(getattr(inner, part) if part else inner).items()
            if isinstance(value, (int, float, np.ndarray))
        }

    integrator.step()
    before = numbers()
    integrator.step()
    moving = {name for name, value in numbers().items() if not np.array_equal(value, before[name])}
    copies = {"_q": atoms.positions, "_p": atoms.get_momenta(), "_h": atoms.cell.array}
    for name in moving & copies.keys():
        assert np.array_equal(getattr(inner, name), copies[name])
    assigned_before_use = {"v", "rnd_pos", "rnd_vel"}
    assert moving <= set(dynamics.STATE[settings.ensemble]) | copies.keys() | assigned_before_use


@pytest.mark.parametrize(
    ("case", "part"), [("nve", ""), ("nose-hoover", "_thermostat"), ("npt-full", "_barostat")]
)
def test_ase_with_other_state_is_refused(case, part, md_cases, monkeypatch):
    settings = md_cases.settings_of(case)
    monkeypatch.setitem(
        dynamics.LAYOUT,
        settings.ensemble,
        {**dynamics.LAYOUT[settings.ensemble], part: frozenset({"_lost"})},
    )
    atoms = md_cases.noble_gas()
    with pytest.raises(EngineError) as caught:
        Integrator(atoms, settings)
    assert f"ASE {ase.__version__} keeps the state" in str(caught.value)
    assert "without ['_lost']" in str(caught.value)
    assert "ase==3.29" in str(caught.value)


def test_state_that_does_not_fit(md_cases):
    integrator = Integrator(md_cases.noble_gas(), md_cases.settings_of("nose-hoover"))
    arrays, random = integrator.state()
    del arrays["_thermostat._eta"]
    with pytest.raises(CheckpointError, match="does not fit the nvt-nose-hoover integrator"):
        integrator.restore(arrays, random)


def test_interrupted_is_an_engine_error():
    assert issubclass(InterruptedRunError, EngineError)
