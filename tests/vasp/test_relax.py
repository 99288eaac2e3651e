"""Relaxations through the real custodian, with a stand-in for VASP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
from vasp_cells import DEADLINE_S, wait_for

from haloflow.engines.vasp_host import FINISHED
from haloflow.engines.vasp_output import read_outcome
from haloflow.engines.vasp_relax import evaluate_with_vasp, in_order, relax_with_vasp
from haloflow.engines.vasp_run import stop_previous
from haloflow.errors import EngineError, InterruptedRunError
from haloflow.quantity import Status

LOOSE = {"fmax_ev_a": 0.05, "max_steps": 60}


def test_relaxation_goes_from_pbesol_to_r2scan_to_an_energy(task, salt):
    work = task("vasp-r2scan")
    result = relax_with_vasp(salt, work, **LOOSE)
    assert result.status is Status.OK
    assert result.note == ""
    assert list(result.files) == ["relax1/run-001", "relax2/run-001", "static/run-001"]
    assert [s.specie.symbol for s in result.structure] == [s.specie.symbol for s in salt]
    moved = result.structure.frac_coords - salt.frac_coords
    assert np.abs(moved - np.rint(moved)).max() < 0.1  # each site is where it was, nearly
    assert result.outcome.max_force_ev_a <= 0.05
    assert result.outcome.max_stress_gpa <= 0.3
    assert result.outcome.n_steps == 1
    left = {path.name for path in work.directory.rglob("*") if path.is_file()}
    assert not left & {"WAVECAR", "CHGCAR", "POTCAR", "vasprun.xml"}
    again = relax_with_vasp(salt, task("vasp-r2scan"), **LOOSE)  # nothing runs any more
    assert again.outcome.energy_ev == result.outcome.energy_ev
    assert again.files == result.files
    assert again.n_steps == result.n_steps


def test_a_level_of_one_functional_relaxes_once(task, salt):
    result = relax_with_vasp(salt, task("vasp-pbe-d3"), **LOOSE)
    assert list(result.files) == ["relax2/run-001", "static/run-001"]


def test_a_relaxation_that_ends_early_goes_on_from_its_contcar(stand_in, task, salt):
    # the walltime handler of custodian would call this finished
    stand_in.fail(slow={"calculation": "relax2", "value": 0.6, "times": 1})
    work = task()
    stopper = threading.Thread(
        target=_stop_at_first_step, args=(work.directory / "relax2" / "run-001",)
    )
    stopper.start()
    result = relax_with_vasp(salt, work, fmax_ev_a=0.02, max_steps=60)
    stopper.join()
    runs = sorted(name for name in result.files if name.startswith("relax2"))
    assert len(runs) >= 2
    first, second = (read_outcome(work.directory / name) for name in runs[:2])
    assert first.unconverged(fmax_ev_a=0.02, stress_tolerance_gpa=0.3)
    assert second.structure.volume != pytest.approx(salt.volume)
    assert result.status is Status.OK
    assert result.outcome.max_force_ev_a <= 0.02


def _stop_at_first_step(folder):
    wait_for(folder / "OSZICAR", "a first ionic step")
    (folder / "STOPCAR").write_text("LSTOP = .TRUE.\n")


def test_before_the_walltime_vasp_is_asked_to_stop_and_goes_on_later(stand_in, task, salt):
    stand_in.fail(slow={"calculation": "relax2", "value": 1.0, "times": 1})
    with pytest.raises(InterruptedRunError, match="VASP was stopped by the walltime of 20 s"):
        relax_with_vasp(salt, task(walltime_s=20.0), fmax_ev_a=0.001, max_steps=60)
    folder = task().directory / "relax2" / "run-001"
    assert "soft stop encountered" in (folder / "OUTCAR").read_text()
    assert not (folder / FINISHED).exists()
    result = relax_with_vasp(salt, task(), **LOOSE)
    assert result.status is Status.OK
    assert result.n_resumes == 1


def test_a_signal_ends_vasp_at_once_and_what_it_computed_is_kept(stand_in, task, salt):
    stand_in.fail(hang={"calculation": "relax2", "step": 3})
    folder = task().directory / "relax2" / "run-001"
    killer = threading.Thread(target=_signal_at_contcar, args=(folder,))
    killer.start()
    started = time.monotonic()
    with pytest.raises(InterruptedRunError, match="VASP was stopped by SIGTERM"):
        relax_with_vasp(salt, task(), **LOOSE)
    killer.join()
    assert time.monotonic() - started < DEADLINE_S
    noted = json.loads((folder / "process.json").read_text())
    assert not psutil.pid_exists(noted["pid"])
    assert (folder / "CONTCAR").stat().st_size
    assert relax_with_vasp(salt, task(), **LOOSE).status is Status.OK


def _signal_at_contcar(folder):
    wait_for(folder / "CONTCAR", "a CONTCAR")
    time.sleep(0.5)  # the hang comes after it
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_vasp_without_its_parent_is_ended_before_another_starts(tmp_path):
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    created = psutil.Process(left.pid).create_time()
    (tmp_path / "process.json").write_text(json.dumps({"pid": left.pid, "created": created + 1}))
    stop_previous(tmp_path)  # another process has the number now
    assert left.poll() is None
    (tmp_path / "process.json").write_text(json.dumps({"pid": left.pid, "created": created}))
    stop_previous(tmp_path)
    left.wait(timeout=DEADLINE_S)
    assert not psutil.pid_exists(left.pid)


def test_too_few_steps_count_as_unconverged(stand_in, task, salt):
    stand_in.fail(ionic={"calculation": "relax2", "times": 99})
    result = relax_with_vasp(salt, task(), fmax_ev_a=0.02, max_steps=3)
    assert result.status is Status.UNCONVERGED
    assert "eV/A is left, above 0.02" in result.note
    assert result.n_steps == 3


def test_an_energy_alone_needs_no_relaxation(task, salt):
    result = evaluate_with_vasp(salt, task("vasp-pbe-d3"), labels=True)
    assert list(result.files) == ["static/run-001"]
    assert np.allclose(result.structure.frac_coords % 1, salt.frac_coords % 1)
    assert result.outcome.max_force_ev_a > 0.05


def test_files_of_a_stand_in_are_refused_outside_tests(task, salt, monkeypatch, tmp_path):
    evaluate_with_vasp(salt, task())
    work = task(for_tests=False)
    with pytest.raises(EngineError, match="written by a stand-in for VASP") as refused:
        evaluate_with_vasp(salt, work)
    assert "ATOMATE2_VASP_CMD" in str(refused.value)


def test_another_number_of_atoms_is_refused(salt):
    with pytest.raises(EngineError, match="another number of atoms"):
        in_order(salt, (0, 1))
