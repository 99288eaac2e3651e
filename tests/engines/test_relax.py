"""Relaxation: right minima, honest endings, and the same bits however often it was killed."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.eos import EquationOfState

from haloflow.engines.checkpoint import CheckpointFolder
from haloflow.engines.relax import relax
from haloflow.engines.relax_settings import CELL_MODES, OPTIMIZERS, RelaxSettings
from haloflow.errors import CheckpointError, EngineError, InputError, InterruptedRunError
from haloflow.quantity import Status


def copper(seed=3):
    atoms = bulk("Cu", cubic=True, a=3.75) * 2
    atoms.rattle(0.1, seed=seed)
    return atoms


def run(folder, atoms=None, calculator=None, signature="copper", **settings):
    start = copper() if atoms is None else atoms
    return relax(start, calculator or EMT(), folder, RelaxSettings(**settings), signature=signature)


def same(first, second):
    return (
        first.energy_ev == second.energy_ev
        and np.array_equal(first.atoms.positions, second.atoms.positions)
        and np.array_equal(first.atoms.cell[:], second.atoms.cell[:])
        and first.n_steps == second.n_steps
    )


def test_finds_the_minimum_of_the_equation_of_state(tmp_path):
    volumes, energies = [], []
    for a in np.linspace(3.5, 3.7, 9):
        atoms = bulk("Cu", a=a)
        atoms.calc = EMT()
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    volume, energy, _ = EquationOfState(volumes, energies).fit()
    result = run(tmp_path, stress_tolerance_gpa=0.005, fmax_ev_a=0.005)
    assert result.status is Status.OK
    assert result.note == ""
    assert result.atoms.get_volume() / 32 == pytest.approx(volume, rel=1e-3)
    assert result.energy_ev / 32 == pytest.approx(energy, abs=1e-4)
    assert result.max_force_ev_a <= 0.005
    assert result.max_stress_gpa <= 0.005
    assert result.atoms.get_potential_energy() == result.energy_ev


def test_meets_the_target_pressure(tmp_path):
    result = run(tmp_path, pressure_gpa=5.0, stress_tolerance_gpa=0.02)
    result.atoms.calc = EMT()
    stress = result.atoms.get_stress() / units.GPa
    assert stress[:3] == pytest.approx([-5.0] * 3, abs=0.021)
    assert result.energy_ev == pytest.approx(result.atoms.get_potential_energy(), abs=1e-9)


def test_isotropic_cell_keeps_its_shape(tmp_path):
    atoms = copper()
    atoms.set_cell(atoms.cell[:] * [1.0, 1.02, 0.99], scale_atoms=True)
    result = run(tmp_path, atoms, cell="isotropic")
    ratio = np.linalg.solve(atoms.cell[:], result.atoms.cell[:])
    assert result.status is Status.OK
    assert ratio == pytest.approx(np.eye(3) * ratio[0, 0], abs=1e-9)
    assert ratio[0, 0] != 1.0


def test_fixed_cell_stays(tmp_path):
    result = run(tmp_path, cell=None)
    assert np.array_equal(result.atoms.cell[:], copper().cell[:])
    assert result.max_stress_gpa > 1.0
    assert result.status is Status.OK


def test_molecule_without_a_cell(tmp_path):
    result = run(tmp_path, molecule("N2"), cell=None)
    assert result.status is Status.OK
    assert result.max_stress_gpa is None
    assert result.atoms.get_distance(0, 1) == pytest.approx(0.998, abs=0.01)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("cell", CELL_MODES)
def test_resumed_equals_uninterrupted(tmp_path, optimizer, cell):
    choice = {"optimizer": optimizer, "cell": cell}
    whole = run(tmp_path / "whole", **choice)
    for steps in (1, 4, 5, 12, 1000):
        parts = run(tmp_path / "parts", max_steps=steps, checkpoint_interval=3, **choice)
    assert whole.status is Status.OK
    assert same(parts, whole)
    assert parts.n_resumes == 4
    assert whole.n_resumes == 0


CHILD = """
import sys
from pathlib import Path
from ase.build import bulk
from ase.calculators.emt import EMT
from haloflow.engines.relax import relax
from haloflow.engines.relax_settings import RelaxSettings
atoms = bulk("Cu", cubic=True, a=3.75) * 2
atoms.rattle(0.1, seed=3)
settings = RelaxSettings(fmax_ev_a=0.001, stress_tolerance_gpa=0.001, checkpoint_interval=2)
relax(atoms, EMT(), Path(sys.argv[1]), settings, signature="copper",
      on_progress=lambda step, total: print(step, flush=True))
"""


def child(folder):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", CHILD, folder],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def steps_until(process, n_lines):
    steps = []
    for line in process.stdout:
        steps.append(int(line))
        if len(steps) == n_lines:
            break
    return steps


def test_killed_at_random_steps_equals_uninterrupted(tmp_path):
    exact = {"fmax_ev_a": 0.001, "stress_tolerance_gpa": 0.001}
    whole = run(tmp_path / "whole", **exact)
    starts = []
    for n_lines in np.random.default_rng(11).integers(4, 16, size=3):
        with child(tmp_path / "killed") as process:
            starts.append(steps_until(process, n_lines)[0])
            process.send_signal(signal.SIGKILL)
    last = run(tmp_path / "killed", **exact)
    assert starts[0] == 0
    assert starts[-1] > 0
    assert same(last, whole)
    assert last.n_resumes >= 2


def test_sigterm_leaves_a_checkpoint(tmp_path):
    with child(tmp_path) as process:
        steps_until(process, 6)
        process.send_signal(signal.SIGTERM)
        _, problem = process.communicate()
    assert (
        "InterruptedRunError: the relaxation was stopped by SIGTERM after a checkpoint" in problem
    )
    assert "start the same run again to go on" in problem
    assert CheckpointFolder(tmp_path / "checkpoints").newest().step >= 5


def test_walltime_stops_before_the_first_step(tmp_path):
    with pytest.raises(InterruptedRunError, match=r"stopped by the walltime of 1e-06 s"):
        relax(copper(), EMT(), tmp_path, RelaxSettings(), signature="c", walltime_s=1e-6)
    finished = relax(copper(), EMT(), tmp_path, RelaxSettings(), signature="c")
    assert finished.status is Status.OK
    assert finished.n_resumes == 1


def test_works_outside_the_main_thread(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(tmp_path)))
    thread.start()
    thread.join()
    assert results[0].status is Status.OK


class Refuses(Calculator):
    """Computes nothing: proves that nothing was asked."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, *_):
        pytest.fail("a finished run was evaluated again")


def test_finished_run_returns_at_once(tmp_path):
    first = run(tmp_path)
    again = run(tmp_path, calculator=Refuses())
    assert same(first, again)
    assert again.n_resumes == 0
    assert again.max_force_ev_a == first.max_force_ev_a
    assert again.max_stress_gpa == first.max_stress_gpa


def test_too_few_steps_are_told(tmp_path):
    result = run(tmp_path, max_steps=3)
    assert result.status is Status.UNCONVERGED
    assert result.n_steps == 3
    assert "eV/A and a stress of" in result.note
    assert "GPa left at step 3" in result.note
    fixed = run(tmp_path / "fixed", max_steps=3, cell=None)
    assert "eV/A left at step 3" in fixed.note


def test_overlapping_atoms_diverge(tmp_path):
    atoms = Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 0]], cell=[20] * 3, pbc=True)
    with np.errstate(all="ignore"):
        result = run(tmp_path, atoms, LennardJones(sigma=3.4, epsilon=0.01))
    assert result.status is Status.DIVERGED
    assert "energy or forces are not finite at step 0" in result.note


def test_collapse_and_expansion_end_the_run(tmp_path):
    argon = bulk("Ar", cubic=True, a=5.3)
    result = run(tmp_path, argon, LennardJones(sigma=3.4, epsilon=0.0104), pressure_gpa=-50.0)
    assert result.status is Status.DIVERGED
    assert "times that of the start at step" in result.note
    assert "outside 0.4 to 2.5" in result.note
    assert np.isnan(result.energy_ev)
    assert np.isnan(result.max_force_ev_a)
    assert result.max_stress_gpa is None
    again = run(tmp_path, argon, Refuses(), pressure_gpa=-50.0)
    assert again.note == result.note


def test_positions_that_are_not_finite(tmp_path):
    atoms = copper()
    atoms.positions[0, 0] = np.nan
    result = run(tmp_path, atoms, Refuses(), cell=None)
    assert result.status is Status.DIVERGED
    assert "positions or cell are not finite at step 0" in result.note


@pytest.mark.parametrize(
    "change",
    [
        {"signature": "another potential"},
        {"atoms": copper(seed=4)},
        {"cell": "isotropic"},
        {"optimizer": "BFGS"},
        {"pressure_gpa": 1.0},
    ],
)
def test_checkpoint_of_another_run_is_refused(tmp_path, change):
    run(tmp_path, max_steps=2)
    with pytest.raises(CheckpointError) as caught:
        run(tmp_path, **change)
    assert "the checkpoint belongs to another relaxation" in str(caught.value)
    assert "use another directory, or delete this one" in str(caught.value)


def test_two_runs_in_one_directory_are_refused(tmp_path):
    def second(step, _total):
        if step == 1:
            run(tmp_path)

    with pytest.raises(EngineError, match="another run works in this directory"):
        relax(copper(), EMT(), tmp_path, RelaxSettings(), signature="c", on_progress=second)


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [
        ("cell", "volume", "full, isotropic, None"),
        ("optimizer", "LBFGS", "FIRE, BFGS"),
        ("fmax_ev_a", 0.0, "a number above 0"),
        ("stress_tolerance_gpa", float("nan"), "a number above 0"),
        ("max_steps", 0, "a whole number from 1"),
        ("checkpoint_interval", 0, "a whole number from 1"),
        ("pressure_gpa", float("inf"), "a number"),
        ("volume_window", (1.2, 2.0), "(below 1, above 1)"),
    ],
)
def test_settings_out_of_range(setting, value, allowed):
    with pytest.raises(InputError) as caught:
        RelaxSettings(**{setting: value})
    text = str(caught.value)
    assert (
        f"{setting} of a relaxation is out of range. Given: {value!r}. Allowed: {allowed}" in text
    )
    assert f"correct {setting}" in text


def test_cell_of_a_molecule_cannot_be_relaxed(tmp_path):
    with pytest.raises(InputError) as caught:
        run(tmp_path, molecule("N2"))
    assert "the cell of this structure cannot be relaxed" in str(caught.value)
    assert "cell='full' with 0 cell vectors" in str(caught.value)


def test_start_structure_is_left_alone(tmp_path):
    atoms = copper()
    before = atoms.copy()
    run(tmp_path, atoms)
    assert atoms == before
    assert atoms.calc is None


def test_progress_counts_every_step(tmp_path):
    seen = []
    settings = RelaxSettings(max_steps=5)
    relax(
        copper(), EMT(), tmp_path, settings, signature="c",
        on_progress=lambda step, total: seen.append((step, total)),
    )  # fmt: skip
    assert seen == [(step, 5) for step in range(6)]


def test_killed_process_frees_the_directory(tmp_path):
    with child(tmp_path) as process:
        steps_until(process, 2)
        os.kill(process.pid, signal.SIGKILL)
    assert run(tmp_path, fmax_ev_a=0.05, stress_tolerance_gpa=0.5).status is Status.OK
