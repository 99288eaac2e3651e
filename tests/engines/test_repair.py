"""Runs whose files were damaged: refused, then made whole again from what is sound."""

import os
import resource
import signal

import numpy as np
import pytest

from haloflow.engines.checkpoint import CheckpointFolder
from haloflow.engines.durable import write_durably
from haloflow.engines.repair import remove_damage
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import EngineError, HaloflowError, PotentialError

N_STEPS = 300
INTERVALS = {"n_steps": N_STEPS, "checkpoint_interval": 60}


def flip(path):
    """Change one byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def chunk(directory, number):
    return directory / "trajectory" / f"chunk-{number:06d}.h5"


def run(md_cases, directory, calculator=None):
    return md_cases.run("langevin", directory, calculator, **INTERVALS)


def stop_at(md_cases, directory, evaluation):
    """Let the calculator fail for good at an evaluation."""
    calculator = md_cases.SkinLennardJones()
    compute = calculator.calculate

    def fail_late(*args, **kwargs):
        if calculator.evaluations == evaluation:
            raise PotentialError("the weights are gone")
        compute(*args, **kwargs)

    calculator.calculate = fail_late
    with pytest.raises(PotentialError):
        run(md_cases, directory, calculator)


@pytest.fixture(scope="module")
def whole(md_cases, tmp_path_factory):
    """Give the run that nothing happened to."""
    return run(md_cases, tmp_path_factory.mktemp("whole"))


def assert_same(found, whole):
    assert (found.n_steps, found.status) == (whole.n_steps, whole.status)
    np.testing.assert_array_equal(found.atoms.positions, whole.atoms.positions)
    assert [one.sha256 for one in found.trajectory] == [one.sha256 for one in whole.trajectory]
    TrajectoryReader(found.trajectory).verify()


def index_of(directory):
    return directory / "trajectory" / "index.json"


DAMAGES = {
    "a byte of the first chunk": (lambda d: flip(chunk(d, 0)), 0),
    "a byte of the last chunk of the newest checkpoint": (lambda d: flip(chunk(d, 6)), 120),
    "a chunk is gone": (lambda d: chunk(d, 1).unlink(), 0),
    "the index": (lambda d: flip(index_of(d)), 0),
    "the index is gone": (lambda d: index_of(d).unlink(), 0),
    "all checkpoints": (lambda d: [flip(p) for p in d.glob("checkpoints/*")], 0),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_interrupted_run_is_refused_and_goes_on_from_before_the_damage(
    md_cases, whole, tmp_path, damage
):
    stop_at(md_cases, tmp_path, 200)
    do, least = DAMAGES[damage]
    do(tmp_path)
    with pytest.raises(HaloflowError) as refused:
        run(md_cases, tmp_path)
    assert str(tmp_path) in str(refused.value)
    assert remove_damage(tmp_path)
    saved = CheckpointFolder(tmp_path / "checkpoints").newest()
    assert (0 if saved is None else saved.step) >= least
    assert_same(run(md_cases, tmp_path), whole)
    assert remove_damage(tmp_path) == []
    assert_same(run(md_cases, tmp_path), whole)


def test_a_chunk_after_the_newest_checkpoint_is_written_anew_anyway(md_cases, whole, tmp_path):
    stop_at(md_cases, tmp_path, 200)
    flip(chunk(tmp_path, 7))
    assert_same(run(md_cases, tmp_path), whole)


@pytest.mark.parametrize("number", [0, 12])
def test_a_finished_run_is_made_anew_as_far_as_it_is_damaged(md_cases, whole, tmp_path, number):
    run(md_cases, tmp_path)
    flip(chunk(tmp_path, number))
    name = f"trajectory/chunk-{number:06d}.h5"
    with pytest.raises(EngineError, match=rf"checksum of a trajectory file.*{name}"):
        TrajectoryReader(tmp_path).verify()
    assert remove_damage(tmp_path) == [name]
    calculator = md_cases.SkinLennardJones()
    assert_same(run(md_cases, tmp_path, calculator), whole)
    assert (calculator.evaluations > N_STEPS) == (number == 0)


def test_what_is_whole_stays(md_cases, tmp_path):
    stop_at(md_cases, tmp_path, 200)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert remove_damage(tmp_path) == []
    assert remove_damage(tmp_path / "nothing") == []
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert before == after


def test_a_file_that_may_not_grow_is_named_and_what_was_there_stays(tmp_path):
    path = tmp_path / "file"
    write_durably(path, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(EngineError) as caught:
            write_durably(path, b"n" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert str(caught.value) == (
        f"there is no room for a file: file too large. Given: {path} with 5000 bytes. What to "
        "do: make room on that disk, or raise the limit; run the same again, it goes on from "
        "the last checkpoint."
    )
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208  (names)


def test_other_errors_of_a_disk_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_durably(tmp_path / "nowhere" / "file", b"data")
