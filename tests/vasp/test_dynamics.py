"""Molecular dynamics in walltime-sized runs: one trajectory, and what was learnt handed on."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
from vasp_cells import DEADLINE_S, rock_salt, wait_for

from haloflow.engines.trajectory import TrajectoryReader
from haloflow.engines.vasp_inputs import MDSegment
from haloflow.engines.vasp_md import run_segments
from haloflow.engines.vasp_output import read_frames, read_outcome
from haloflow.errors import EngineError, InterruptedRunError

MELT_QUENCH = (
    MDSegment("heat", 20, 300, 900, 2.0, "nvt", learning="train"),
    MDSegment("refit", 1, 900, 900, 2.0, "nvt", learning="refit"),
    MDSegment("quench", 20, 900, 300, 2.0, "npt", learning="run"),
)
SETTINGS = {"seed": 3, "trajectory_interval": 2, "signature": "x"}


def positions(result):
    return TrajectoryReader(list(result.trajectory)).positions()


def test_a_melt_quench_learns_refits_and_runs_in_one_go(task, salt):
    work = task("vasp-pbe-d3")
    results = run_segments(salt, work, MELT_QUENCH, **SETTINGS)
    assert list(results) == ["heat", "refit", "quench"]
    heat, quench = results["heat"], results["quench"]
    assert heat.n_steps == quench.n_steps == 20
    reader = TrajectoryReader(list(quench.trajectory))
    assert reader.n_frames == 10
    thermo = reader.thermo()
    assert thermo["target_temperature_k"] == pytest.approx(np.linspace(840, 300, 10))
    assert thermo["time_fs"] == pytest.approx(4.0 * np.arange(1, 11))
    assert np.isfinite(thermo["energy_ev"]).all()
    assert np.ptp(thermo["volume_a3"]) > 0  # at constant pressure
    assert np.ptp(TrajectoryReader(list(heat.trajectory)).thermo()["volume_a3"]) == 0
    assert list(reader.species) == [site.specie.symbol for site in salt]
    # the force field that the quench ran with was refitted to what heating had learnt
    folder = work.directory
    learnt = (folder / "heat/run-001/ML_ABN").read_text()
    assert (folder / "refit/run-001/ML_AB").read_text() == learnt
    assert (folder / "quench/run-001/ML_FF").read_text() == (
        folder / "refit/run-001/ML_FFN"
    ).read_text()
    assert "stand-in refit" in (folder / "quench/run-001/ML_FF").read_text()
    # positions and velocities go on from one stretch to the next
    first, last = positions(quench)[0], positions(heat)[-1]
    assert np.abs(first - last).max() < 0.3


def test_every_step_of_learning_on_the_fly_is_read_and_the_last_energy_is_the_last_steps(
    task, salt
):
    work = task("vasp-pbe-d3")
    run_segments(salt, work, MELT_QUENCH[:1], **SETTINGS)
    folder = work.directory / "heat" / "run-001"
    frames = list(read_frames(folder))
    assert len(frames) == 20
    text = (folder / "vasprun.xml").read_text()
    assert text.count("<calculation>") == 5  # the force field made the others
    outcome = read_outcome(folder)
    assert outcome.n_steps == 20
    assert outcome.energy_ev == frames[-1].energy_ev
    assert outcome.structure.site_properties["velocities"] is not None


@pytest.mark.parametrize("ensemble", ["nvt", "rescale"])
def test_a_run_that_was_stopped_goes_on_with_its_velocities(stand_in, task, salt, ensemble):
    segment = MDSegment("md", 24, 600, 300, 2.0, ensemble)
    stand_in.fail(hang={"step": 11})
    folder = task().directory / "md" / "run-001"
    killer = threading.Thread(target=_signal_after, args=(folder, 10))
    killer.start()
    with pytest.raises(InterruptedRunError, match="VASP was stopped by SIGTERM"):
        run_segments(salt, task(), [segment], **SETTINGS)
    killer.join()
    (stopped,) = run_segments(salt, task(), [segment], **SETTINGS).values()
    assert stopped.n_runs == 2
    assert stopped.n_steps == 24
    whole = task()
    whole.directory = whole.directory.with_name("whole")
    stand_in.fail()
    (undisturbed,) = run_segments(salt, whole, [segment], **SETTINGS).values()
    assert undisturbed.n_runs == 1
    # the stand-in's thermostat has no memory: the two are the same but for rounding in files
    assert positions(stopped) == pytest.approx(positions(undisturbed), abs=1e-3)
    assert stopped.temperatures_k == pytest.approx(undisturbed.temperatures_k, rel=1e-3)


def _signal_after(folder, n_steps):
    wait_for(folder / "OSZICAR", "a first step")
    deadline = time.monotonic() + DEADLINE_S
    while (folder / "OSZICAR").read_text().count("T=") < n_steps:
        assert time.monotonic() < deadline, "the steps before the signal did not come"
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)


def test_what_was_learnt_survives_a_walltime(stand_in, task, salt):
    heat = [MELT_QUENCH[0]]
    stand_in.fail(slow={"value": 1.0, "times": 1})
    with pytest.raises(InterruptedRunError, match="the walltime of 16 s"):
        run_segments(salt, task(walltime_s=16.0), heat, **SETTINGS)
    folder = task().directory / "heat"
    n_before = len(list(read_frames(folder / "run-001")))
    assert 1 < n_before < 20
    (result,) = run_segments(salt, task(), heat, **SETTINGS).values()
    assert result.n_steps == 20
    assert (folder / "run-002" / "ML_AB").read_text() == (folder / "run-001/ML_ABN").read_text()
    ramp = TrajectoryReader(list(result.trajectory)).thermo()["target_temperature_k"]
    assert np.diff(ramp) == pytest.approx(np.full(9, 60.0))


def test_md_that_custodian_started_anew_in_its_middle_is_done_again(stand_in, task, salt):
    segment = MDSegment("md", 8, 300, 300, 1.0)
    stand_in.fail(zbrent={"step": 5})  # custodian goes on from the CONTCAR
    with pytest.raises(EngineError, match="custodian started molecular dynamics anew") as failed:
        run_segments(salt, task(), [segment], **SETTINGS)
    assert "zbrent: from CONTCAR" in str(failed.value)
    (result,) = run_segments(salt, task(), [segment], **SETTINGS).values()
    assert (result.n_steps, result.n_runs) == (8, 1)
    assert (task().directory / "md" / "set-aside-run-001").is_dir()


def test_a_force_field_must_have_been_learnt(task, salt):
    with pytest.raises(EngineError, match="quench of molecular dynamics has no ML_FF") as refused:
        run_segments(salt, task(), MELT_QUENCH[2:], **SETTINGS)
    assert "learning='train'" in str(refused.value)


def test_atoms_that_cross_the_cell_are_unwrapped(task):
    cell = rock_salt(shift=0.0)
    drift = np.tile([0.02, 0.0, 0.0], (8, 1))  # A/fs, all alike
    cell.add_site_property("velocities", drift.tolist())
    segment = MDSegment("md", 40, 300, 300, 5.0, "nve")
    (result,) = run_segments(cell, task(), [segment], **SETTINGS).values()
    moved = positions(result)[-1] - cell.cart_coords
    assert moved.mean(axis=0) == pytest.approx([4.0, 0, 0], abs=0.05)  # of a cell of 5.3 A
    assert np.abs(moved - [4.0, 0, 0]).max() < 0.5
