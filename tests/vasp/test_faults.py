"""What VASP can die of: mended, or named, and what was computed is kept."""

from __future__ import annotations

import json

import pytest
from vasp_cells import rock_salt

from haloflow.engines.vasp_host import FINISHED, VaspHost, vasp_host
from haloflow.engines.vasp_inputs import relaxation, static
from haloflow.engines.vasp_output import last_structure, read_frames, read_outcome
from haloflow.engines.vasp_run import _StepCounter
from haloflow.errors import EngineError

LEVEL = "vasp-pbe-d3"


@pytest.fixture
def relax(stand_in, task, salt):
    """Run one relaxation in a step's folder; return what was made of it, and the folder."""

    def run():
        work = task(LEVEL)
        outcome = work.run("relax2", relaxation(LEVEL, salt, fmax_ev_a=0.05))
        return outcome, work

    return run


def folder_of(task):
    return task().directory / "relax2" / "run-001"


@pytest.mark.parametrize(
    ("fault", "step", "correction"),
    [
        ("zbrent", 2, "relax2: zbrent: from CONTCAR; EDIFF 1e-06; NELMIN 8"),
        ("edddav", 1, "relax2: edddav: without CHGCAR; ALGO All, ISEARCH 1"),
    ],
)
def test_what_custodian_knows_is_mended_and_noted(stand_in, relax, fault, step, correction):
    stand_in.fail(**{fault: {"step": step}})
    outcome, work = relax()
    assert outcome.unconverged(fmax_ev_a=0.05) == []
    assert work.corrections == [correction]
    kept = [path.name for path in folder_of(lambda: work).glob("error.*.tar.gz")]
    assert kept == ["error.1.tar.gz"]


def test_electrons_that_do_not_converge_get_another_algorithm(stand_in, task, salt):
    stand_in.fail(electronic={})
    work = task(LEVEL)
    outcome = work.run("static", static(LEVEL, salt))
    assert outcome.electronic_converged
    assert work.corrections == ["static: Unconverged: ALGO All, ISEARCH 1"]


def test_electrons_that_never_converge_are_said_to(stand_in, task, salt, monkeypatch):
    monkeypatch.setenv("HALOFLOW_VASP_MAX_ERRORS", "2")
    vasp_host.cache_clear()
    stand_in.fail(electronic={"times": 99})
    with pytest.raises(EngineError, match="2 corrections did not mend it: Unconverged") as failed:
        task(LEVEL).run("static", static(LEVEL, salt))
    assert "custodian.json" in str(failed.value)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("segv", "it died by SIGSEGV"),
        ("memory", "memory ran out"),
        ("full", "the disk is full"),
        ("truncated", "its vasprun.xml is damaged or cut short"),
    ],
)
def test_what_cannot_be_mended_is_named_and_kept(stand_in, relax, task, fault, cause):
    stand_in.fail(**{fault: {"step": 3}} if fault != "truncated" else {fault: {}})
    with pytest.raises(EngineError, match=f"VASP failed: {cause}") as failed:
        relax()
    folder = folder_of(task)
    assert str(folder) in str(failed.value)
    assert not (folder / FINISHED).exists()
    reached = last_structure(folder)
    assert reached is not None
    assert reached.volume > rock_salt().volume * 1.001
    assert len(list(read_frames(folder))) >= 2
    with pytest.raises(EngineError, match="damaged or cut short"):
        read_outcome(folder)
    outcome, work = relax()  # in a run of its own
    assert outcome.unconverged(fmax_ev_a=0.05) == []
    assert len(work.runs("relax2")) == 2


def test_a_run_that_hangs_is_started_again_from_where_it_was(stand_in, relax, monkeypatch):
    monkeypatch.setenv("HALOFLOW_VASP_HANG_S", "6")
    vasp_host.cache_clear()
    stand_in.fail(hang={"step": 3})
    outcome, work = relax()
    assert outcome.unconverged(fmax_ev_a=0.05) == []
    assert work.corrections == ["relax2: Frozen job: from CONTCAR"]


def test_a_run_that_hangs_before_its_first_step_is_given_up(stand_in, relax, monkeypatch):
    monkeypatch.setenv("HALOFLOW_VASP_HANG_S", "4")
    vasp_host.cache_clear()
    stand_in.fail(hang={"step": 1})
    with pytest.raises(EngineError, match="VASP failed: it hung: no output for 4 s"):
        relax()


def test_a_command_that_does_not_exist_is_said(task, salt):
    work = task(LEVEL)
    work.host = VaspHost("/nowhere/vasp_std", "/nowhere/vasp_gam")
    with pytest.raises(EngineError, match="VASP cannot be started") as refused:
        work.run("static", static(LEVEL, salt))
    assert "ATOMATE2_VASP_CMD" in str(refused.value)


@pytest.fixture
def task_of(task, tmp_path):
    """Return a task whose VASP is a shell script of these lines."""

    def made(*lines):
        script = tmp_path / "vasp_std"
        script.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        script.chmod(0o755)
        work = task(LEVEL)
        work.host = VaspHost(str(script), str(script), poll_s=0.1)
        return work

    return made


def test_an_exit_code_is_said(task_of, salt):
    work = task_of("echo broken licence", "exit 3")
    with pytest.raises(EngineError, match="it ended with exit code 3") as failed:
        work.run("static", static(LEVEL, salt))
    assert "broken licence" in str(failed.value)
    assert json.loads((work.directory / "static" / "run-001" / "custodian.json").read_text())


def test_a_file_that_is_gone_is_said(task_of, salt):
    work = task_of("rm std_err.txt")
    with pytest.raises(EngineError, match="a file of a VASP run is gone") as failed:
        work.run("static", static(LEVEL, salt))
    assert "std_err.txt" in str(failed.value)


def test_steps_are_counted_as_they_come_and_anew_when_a_run_is_started_again(tmp_path):
    counter = _StepCounter(tmp_path)
    assert counter() == 0
    path = tmp_path / "OSZICAR"
    path.write_text("DAV: 1\n  1 F= -1.0 E0= -1.0\nDAV: 1\n  2 F= -1")
    assert counter() == 1
    with path.open("a") as file:
        file.write(".0 E0= -1.0\n  3 F= -1.0 E0= -1.0\n")
    assert [counter(), counter()] == [3, 3]
    path.write_text("  1 F= -1.0 E0= -1.0\n")
    assert counter() == 1
