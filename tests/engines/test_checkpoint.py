"""Checkpoints: exact, whole or refused, the last two kept."""

import logging

import numpy as np
import pytest

from haloflow.engines.checkpoint import Checkpoint, CheckpointFolder
from haloflow.engines.durable import write_durably
from haloflow.engines.interrupts import StopRequest
from haloflow.errors import CheckpointError


def example(step=7):
    rng = np.random.default_rng(step)
    meta = {"random": rng.bit_generator.state, "note": "x", "wall_s": 0.1}
    arrays = {
        "a": rng.normal(size=(4, 3)),
        "b.c": np.array(1 / 3),
        "d": np.empty((0, 3), np.float32),
        "e": np.array([np.nan, np.inf, -0.0]),
    }
    return Checkpoint(step, meta, arrays)


def test_round_trip_is_exact():
    saved = example()
    read = Checkpoint.from_bytes(saved.to_bytes())
    assert (read.step, read.meta) == (7, saved.meta)
    assert read.arrays.keys() == saved.arrays.keys()
    for name, array in saved.arrays.items():
        assert read.arrays[name].dtype == array.dtype
        assert read.arrays[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("cut", [0, 10, 50, 120, -1])
def test_cut_short(cut):
    data = example().to_bytes()[:cut]
    with pytest.raises(CheckpointError, match=r"no checkpoint|checksum of a checkpoint"):
        Checkpoint.from_bytes(data)


def test_one_bit():
    data = bytearray(example().to_bytes())
    data[-300] ^= 4
    with pytest.raises(CheckpointError, match="checksum of a checkpoint does not match"):
        Checkpoint.from_bytes(bytes(data))


def test_folder_keeps_the_last_two(tmp_path):
    folder = CheckpointFolder(tmp_path)
    assert folder.newest() is None
    for step in (500, 1000, 1500, 20000):
        folder.save(example(step))
    assert [path.name for path in folder.paths()] == [
        "step-000000001500.ckpt",
        "step-000000020000.ckpt",
    ]
    assert folder.newest().step == 20000


def test_folder_goes_back_to_a_whole_one(tmp_path, caplog):
    folder = CheckpointFolder(tmp_path)
    for step in (1, 2):
        folder.save(example(step))
    newest = folder.paths()[-1]
    newest.write_bytes(newest.read_bytes()[:200])
    with caplog.at_level(logging.WARNING):
        assert folder.newest().step == 1
    assert "step-000000000002.ckpt is left out: the checksum" in caplog.text
    folder.save(example(3))
    assert [int(path.stem.split("-")[1]) for path in folder.paths()] == [1, 3]


def test_leftovers_of_cut_writes_are_removed(tmp_path):
    (tmp_path / "step-000000000009.ckpt.tmp").write_bytes(b"half")
    folder = CheckpointFolder(tmp_path)
    assert folder.newest() is None
    assert not list(tmp_path.iterdir())


def test_write_durably_replaces(tmp_path):
    path = tmp_path / "file"
    for data in (b"one", b"two"):
        write_durably(path, data)
        assert path.read_bytes() == data
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_walltime_counts_the_next_stretch():
    now = 0.0
    stop = StopRequest(10.0, clock=lambda: now)
    now = 4.0
    assert stop.reason() is None  # the next look is expected at 8 s
    now = 7.0
    assert stop.reason() == "the walltime of 10 s"  # the next one at 10 s
    assert stop.elapsed_s == 7.0
    assert StopRequest(clock=lambda: now).reason() is None
