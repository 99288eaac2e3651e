"""Resumed equals uninterrupted, bit for bit, whatever killed the run and when."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from haloflow.engines.checkpoint import CheckpointFolder
from haloflow.errors import InterruptedRunError

SCRIPT = Path(__file__).with_name("md_cases.py")
KILLED = -signal.SIGKILL
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}


def run_and_kill(directory: Path, jobs: list[dict]) -> list[int]:
    """Let the jobs die in processes of their own; return their exit codes."""
    plan = directory / "jobs.json"
    plan.write_text(json.dumps(jobs))
    command = [sys.executable, SCRIPT, directory, plan]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return [int(line) for line in done.stdout.splitlines()]


def last_checkpoint(directory: Path):
    return CheckpointFolder(directory / "checkpoints").newest()


def assert_same_bits(resumed: Path, straight: Path) -> None:
    """Compare all of the last checkpoint and all trajectory files."""
    one, other = last_checkpoint(resumed), last_checkpoint(straight)
    assert one.step == other.step
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.tobytes() == other.arrays[name].tobytes(), name
    for name in ("random", "n_frames", "n_chunks", "settings", "verdict"):
        assert one.meta[name] == other.meta[name]
    indices = [(path / "trajectory" / "index.json").read_text() for path in (resumed, straight)]
    assert indices[0] == indices[1]  # holds the sha256 of each chunk file


def assert_whole(result, settings) -> None:
    """Each frame is there once, in order."""
    expected = np.arange(0, settings.n_steps + 1, settings.trajectory_interval)
    assert result.thermo["step"].tolist() == expected.tolist()


@pytest.fixture(scope="module")
def killed(tmp_path_factory, md_cases):
    """Run every case twice into SIGKILL: at a random evaluation, resumed, and at another."""
    directory = tmp_path_factory.mktemp("killed")
    dice = random.Random(20)
    jobs = []
    for case in md_cases.CASES:
        first, second = dice.randrange(2, 60), dice.randrange(2, 30)
        jobs += [
            {"case": case, "directory": case, "at": "evaluation", "n": n} for n in (first, second)
        ]
    codes = run_and_kill(directory, jobs)
    assert codes == [KILLED] * len(jobs), list(zip(jobs, codes, strict=True))
    return directory


CASE_NAMES = (
    *("nve", "langevin", "nose-hoover", "npt-isotropic", "npt-full", "ramp-langevin"),
    *(
        "ramp-nose-hoover",
        "ramp-npt",
        "ramp-npt-full",
        "tether-nve",
        "tether-nose-hoover",
        "tether-langevin",
    ),
)


def test_every_case_is_tested(md_cases):
    assert set(CASE_NAMES) == set(md_cases.CASES)


@pytest.mark.parametrize("case", CASE_NAMES)
def test_killed_twice_and_resumed_equals_uninterrupted(case, killed, md_cases, tmp_path):
    straight = md_cases.run(case, tmp_path)
    resumed = md_cases.run(case, killed / case)
    assert_same_bits(killed / case, tmp_path)
    assert_whole(resumed, md_cases.settings_of(case))
    assert resumed.n_steps == straight.n_steps == 90
    for name in ("positions", "momenta"):
        assert np.array_equal(resumed.atoms.arrays[name], straight.atoms.arrays[name])
    assert np.array_equal(resumed.atoms.cell.array, straight.atoms.cell.array)
    for name, column in straight.thermo.items():
        assert np.array_equal(column, resumed.thermo[name], equal_nan=True), name


def test_test_calculator_depends_on_its_history(md_cases):
    atoms = md_cases.noble_gas()
    aged, fresh = md_cases.SkinLennardJones(), md_cases.SkinLennardJones()
    aged.get_forces(atoms)
    atoms.rattle(0.01, seed=2)
    aged.reset()
    forces = aged.get_forces(atoms)
    assert np.allclose(forces, fresh.get_forces(atoms), atol=1e-7)
    assert not np.array_equal(forces, fresh.get_forces(atoms))
    aged.forget()
    aged.reset()
    assert np.array_equal(aged.get_forces(atoms), fresh.get_forces(atoms))


@pytest.mark.parametrize("forgetful", [True, False])
def test_without_forgetting_a_resumed_run_differs(forgetful, md_cases, tmp_path):
    """The oracle of this file sees the difference that forgetting removes."""
    kind = md_cases.SkinLennardJones
    if not forgetful:
        kind = type("Stubborn", (kind,), {"forget": kind.reset})
    md_cases.run("nve", tmp_path / "straight", kind())
    with pytest.raises(InterruptedRunError):
        stop_at(md_cases, tmp_path / "resumed", 31, kind())
    md_cases.run("nve", tmp_path / "resumed", kind())
    final = [
        last_checkpoint(tmp_path / name).arrays["positions_a"] for name in ("straight", "resumed")
    ]
    assert np.array_equal(*final) is forgetful


def stop_at(md_cases, directory, evaluation, calculator=None, *, case="nve", number=signal.SIGTERM):
    """Send a signal to this process at some evaluation of the run."""
    calculator = calculator or md_cases.SkinLennardJones()
    compute = calculator.calculate

    def calculate(*args, **kwargs):
        if calculator.evaluations == evaluation:
            signal.raise_signal(number)
        compute(*args, **kwargs)

    calculator.calculate = calculate
    md_cases.run(case, directory, calculator)


@pytest.mark.parametrize("at", ["fsync", "rename"])
def test_killed_in_the_middle_of_writing(at, md_cases, tmp_path):
    md_cases.run("langevin", tmp_path / "straight")
    jobs = [
        {"case": "langevin", "directory": f"{at}-{n}", "at": at, "n": n}
        for n in range(1, 25, 2 if at == "fsync" else 1)
    ]
    codes = run_and_kill(tmp_path, jobs)
    assert codes.count(KILLED) >= 10
    for job, code in zip(jobs, codes, strict=True):
        directory = tmp_path / job["directory"]
        resumed = md_cases.run("langevin", directory)
        assert_same_bits(directory, tmp_path / "straight")
        assert_whole(resumed, md_cases.settings_of("langevin"))
        assert not list(directory.rglob("*.tmp"))
        assert code in {KILLED, 0}


def test_killed_from_outside_at_a_random_moment(md_cases, tmp_path):
    job = {"case": "npt-isotropic", "directory": "run", "at": "never", "n": 0}
    plan = tmp_path / "jobs.json"
    plan.write_text(json.dumps([job]))
    code = f"""
import sys; sys.path.insert(0, {str(SCRIPT.parent)!r})
import md_cases
from pathlib import Path
md_cases.run("npt-isotropic", Path({str(tmp_path / "run")!r}), n_steps=20000)
"""
    process = subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT)
    checkpoints = tmp_path / "run" / "checkpoints"
    deadline = time.monotonic() + 60
    while not list(checkpoints.glob("*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.SystemRandom().uniform(0, 0.2))
    process.kill()
    assert process.wait() == KILLED
    reached = last_checkpoint(tmp_path / "run").step
    md_cases.run("npt-isotropic", tmp_path / "run", n_steps=reached + 50)
    md_cases.run("npt-isotropic", tmp_path / "straight", n_steps=reached + 50)
    assert_same_bits(tmp_path / "run", tmp_path / "straight")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_with_a_checkpoint_and_resumes(number, md_cases, tmp_path):
    before = signal.getsignal(number)
    with pytest.raises(InterruptedRunError, match=signal.Signals(number).name) as caught:
        stop_at(md_cases, tmp_path / "run", 52, case="ramp-langevin", number=number)
    assert signal.getsignal(number) is before
    assert last_checkpoint(tmp_path / "run").step == 55  # the next multiple of sync_interval
    assert "55 of 90 steps" in str(caught.value)
    assert "run the same again" in str(caught.value)
    result = md_cases.run("ramp-langevin", tmp_path / "run")
    assert result.n_resumes == 1
    md_cases.run("ramp-langevin", tmp_path / "straight")
    assert_same_bits(tmp_path / "run", tmp_path / "straight")


@pytest.fixture
def python_takes_sigint():
    """Give SIGINT Python's own handler: what starts in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_takes_sigint")
def test_second_signal_acts_as_ever(tmp_path, md_cases):
    calculator = md_cases.SkinLennardJones()
    compute = calculator.calculate

    def calculate(*args, **kwargs):
        if calculator.evaluations in {52, 53}:
            signal.raise_signal(signal.SIGINT)
        compute(*args, **kwargs)

    calculator.calculate = calculate
    with pytest.raises(KeyboardInterrupt):
        md_cases.run("nve", tmp_path, calculator)
    assert last_checkpoint(tmp_path).step == 40


def test_signal_in_the_last_steps_is_not_swallowed(md_cases, tmp_path):
    with pytest.raises(InterruptedRunError, match="90 of 90 steps"):
        stop_at(md_cases, tmp_path, 89)
    calculator = md_cases.SkinLennardJones()
    assert md_cases.run("nve", tmp_path, calculator).n_steps == 90
    assert calculator.evaluations == 0


def test_walltime_stops_with_a_checkpoint(md_cases, tmp_path):
    calculator = md_cases.SkinLennardJones()
    compute = calculator.calculate

    def slowly(*args, **kwargs):
        time.sleep(0.01)
        compute(*args, **kwargs)

    calculator.calculate = slowly
    arguments = (md_cases.noble_gas(), calculator, md_cases.settings_of("nve"), tmp_path)
    with pytest.raises(InterruptedRunError, match=r"the walltime of 0\.3 s"):
        md_cases.run_md(*arguments, signature="nve", walltime_s=0.3)
    reached = last_checkpoint(tmp_path).step
    assert 0 < reached < 40
    assert md_cases.run("nve", tmp_path).n_steps == 90


@pytest.mark.parametrize("case", ["nve", "langevin", "npt-full"])
def test_a_longer_run_goes_on_with_the_same_trajectory(case, md_cases, tmp_path):
    short = md_cases.run(case, tmp_path / "run", n_steps=35)
    assert len(short.thermo["step"]) == 12
    longer = md_cases.run(case, tmp_path / "run")
    md_cases.run(case, tmp_path / "straight")
    assert_same_bits(tmp_path / "run", tmp_path / "straight")
    assert_whole(longer, md_cases.settings_of(case))


def test_a_finished_run_returns_at_once(md_cases, tmp_path):
    first = md_cases.run("nose-hoover", tmp_path)
    calculator = md_cases.SkinLennardJones()
    again = md_cases.run("nose-hoover", tmp_path, calculator)
    assert calculator.evaluations == 0
    assert np.array_equal(again.atoms.positions, first.atoms.positions)
    assert np.array_equal(again.atoms.get_forces(), first.atoms.get_forces())
    assert again.trajectory == first.trajectory
    assert again.n_resumes == 0


def test_resuming_costs_no_evaluation(md_cases, tmp_path):
    straight, first, second = (md_cases.SkinLennardJones() for _ in range(3))
    md_cases.run("npt-isotropic", tmp_path / "straight", straight)
    with pytest.raises(InterruptedRunError):
        stop_at(md_cases, tmp_path / "run", 40, first, case="npt-isotropic")
    md_cases.run("npt-isotropic", tmp_path / "run", second)
    assert first.evaluations + second.evaluations == straight.evaluations


def test_newest_checkpoint_damaged(md_cases, tmp_path):
    md_cases.run("langevin", tmp_path / "straight")
    with pytest.raises(InterruptedRunError):
        stop_at(md_cases, tmp_path / "run", 70, case="langevin")
    files = CheckpointFolder(tmp_path / "run" / "checkpoints").paths()
    assert len(files) == 2
    files[-1].write_bytes(files[-1].read_bytes()[:-100])
    md_cases.run("langevin", tmp_path / "run")
    assert_same_bits(tmp_path / "run", tmp_path / "straight")
