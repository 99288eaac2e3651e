"""How runs end before their time, and what they leave alone."""

import threading

import numpy as np
import pytest
from ase.calculators.calculator import all_changes
from ase.calculators.lj import LennardJones

from haloflow.engines.guards import GuardVerdict, distance_guard
from haloflow.engines.md import run_md
from haloflow.errors import EngineError
from haloflow.quantity import Status


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
    atoms.calc = other = LennardJones()
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


def test_outside_the_main_thread_no_signal_is_touched(md_cases, tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(md_cases.run("nve", tmp_path)))
    thread.start()
    thread.join()
    assert results[0].n_steps == 90
