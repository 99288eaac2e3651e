"""Training a NEP: killed and resumed it is the same student; errors say what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase import Atoms
from page_blocks import ROOT
from tiny_frames import ELEMENTS, tiny_settings, write_tiny_sets

from haloflow.engines.labels import read_labelled
from haloflow.engines.nep_settings import nep_settings
from haloflow.engines.nep_training import epochs_done, train_nep
from haloflow.engines.potentials import identify, load_potential
from haloflow.errors import (
    CheckpointError,
    EngineError,
    InputError,
    InterruptedRunError,
    MissingDependencyError,
)

EPOCHS = 12
DEADLINE_S = 120


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    return write_tiny_sets(tmp_path_factory.mktemp("sets"))


@pytest.fixture(scope="module")
def whole(sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    seen = []
    done = train_nep(
        ELEMENTS, *sets, folder, tiny_settings(epochs=EPOCHS), signature="tiny",
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    return done, folder, seen


def losses(folder):
    return [line for line in (folder / "loss.out").read_text().splitlines() if line[0] != "#"]


def test_student_learns_and_is_a_level(whole, sets):
    done, _, seen = whole
    assert done.epochs == EPOCHS
    assert seen[-1] == (EPOCHS, EPOCHS)
    identity = identify(f"nep:{done.path}")
    assert identity.elements == ELEMENTS
    assert identity.weights_sha256 == done.sha256
    frames = read_labelled(sets[1])
    calculator = load_potential(f"nep:{done.path}").calculator
    differences = []
    for frame in frames:
        forces = frame.get_forces()
        calculator.calculate(frame.copy())
        differences.append(calculator.results["forces"] - forces)
    rmse = np.sqrt(np.mean(np.square(differences)))
    assert rmse == pytest.approx(done.rmse["validation_force_ev_a"], rel=0.01)
    spread = np.sqrt(np.mean(np.square([frame.get_forces() for frame in frames])))
    assert rmse < 0.5 * spread


def test_killed_and_resumed_is_the_same_student(whole, sets, tmp_path):
    """SIGKILL of the whole process group in the middle: what is lost is trained again."""
    code = (
        "import sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "from tiny_frames import ELEMENTS, tiny_settings\n"
        "from haloflow.engines.nep_training import train_nep\n"
        f"train_nep(ELEMENTS, Path({str(sets[0])!r}), Path({str(sets[1])!r}),\n"
        f"          Path({str(tmp_path)!r}), tiny_settings(epochs={EPOCHS}, checkpoint_epochs=3),\n"
        "          signature='tiny')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + DEADLINE_S
    while epochs_done(tmp_path) < 5 or not (tmp_path / "checkpoint.pt").exists():
        assert process.poll() is None, "the training ended too early"
        assert time.monotonic() < deadline, "no epoch in time"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    trainer_gone(tmp_path, deadline)
    assert not (tmp_path / "trained.json").exists()
    resumed = train_nep(
        ELEMENTS, *sets, tmp_path, tiny_settings(epochs=EPOCHS, checkpoint_epochs=3),
        signature="tiny",
    )  # fmt: skip
    done, folder, _ = whole
    assert losses(tmp_path) == losses(folder)
    assert resumed.sha256 == done.sha256
    assert "Resumed from" in (tmp_path / "output.log").read_text()


def trainer_gone(folder, deadline):
    """Wait until the process that trained has seen that its parent is gone."""
    job = json.loads((folder / "job.json").read_text())
    while True:
        found = subprocess.run(
            ["pgrep", "-f", str(folder / "job.json")], capture_output=True, text=True, check=False
        )
        if not found.stdout:
            return
        assert time.monotonic() < deadline, f"the child of {job['parent_pid']} is still there"
        time.sleep(0.05)


def test_finished_training_returns_at_once(whole, sets):
    done, folder, _ = whole
    start = time.monotonic()
    again = train_nep(ELEMENTS, *sets, folder, tiny_settings(epochs=EPOCHS), signature="tiny")
    assert again == done
    assert time.monotonic() - start < 3.0
    with pytest.raises(CheckpointError, match="the training of another student"):
        train_nep(ELEMENTS, *sets, folder, tiny_settings(epochs=EPOCHS, seed=2), signature="tiny")


def test_walltime_ends_the_process(sets, tmp_path):
    with pytest.raises(InterruptedRunError, match="a training was stopped by the walltime") as info:
        train_nep(
            ELEMENTS, *sets, tmp_path, tiny_settings(epochs=1000), signature="tiny", walltime_s=0.5
        )
    assert "of 1000 epochs are done" in str(info.value)
    trainer_gone(tmp_path, time.monotonic() + DEADLINE_S)


def test_failing_process_says_why(sets, tmp_path):
    with pytest.raises(EngineError, match="the training of a NEP failed") as caught:
        train_nep(("Na", "O"), *sets, tmp_path, tiny_settings(epochs=2), signature="tiny")
    assert "Cl" in str(caught.value)
    assert "goes on from the last checkpoint" in str(caught.value)


def test_missing_frames(sets, tmp_path):
    with pytest.raises(InputError, match="a file for the training of a NEP does not exist"):
        train_nep(ELEMENTS, tmp_path / "no.xyz", sets[1], tmp_path, tiny_settings(), signature="t")


def test_changed_student_is_not_handed_out(whole, sets, tmp_path):
    _, folder, _ = whole
    for name in ("training.json", "trained.json", "nep_best.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "nep_best.txt").write_text("nep4 1 Na\n")
    with pytest.raises(CheckpointError, match="student of a finished training is missing or was"):
        train_nep(ELEMENTS, *sets, tmp_path, tiny_settings(epochs=EPOCHS), signature="tiny")


def test_without_torchnep(monkeypatch, sets, tmp_path):
    monkeypatch.setattr("haloflow.engines.nep_training.find_spec", lambda _name: None)
    with pytest.raises(MissingDependencyError, match="torchnep") as caught:
        train_nep(ELEMENTS, *sets, tmp_path, tiny_settings(), signature="tiny")
    assert "haloflow[nep]" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("cutoff_angular_a", 9.0), ("repulsion_radii", 0.1), ("learning_rate", -1.0)],
)
def test_settings_out_of_range(name, value):
    with pytest.raises(InputError, match=f"{name} of a NEP student is out of range"):
        nep_settings({name: value})


def test_unknown_setting():
    with pytest.raises(InputError, match="unknown settings of a NEP student") as caught:
        nep_settings({"neuron": 30})
    assert "neurons" in str(caught.value)


def test_short_pairs_repel_whatever_was_learned(whole):
    """Atoms that a hot melt throws together meet a wall, though no frame has shown one."""
    done, _, _ = whole
    assert done.path.read_text().startswith("nep4_zbl 2 Cl Na\n")
    reach = {"NaNa": 2.49, "NaCl": 2.01, "Cl2": 1.53}
    calculator = load_potential(f"nep:{done.path}").calculator
    for pair in ("NaNa", "NaCl", "Cl2"):
        for distance in np.arange(0.5, 0.8 * reach[pair], 0.05):
            dimer = Atoms(pair, positions=[[0, 0, 0], [distance, 0, 0]], cell=[15.0] * 3, pbc=True)
            calculator.calculate(dimer)
            assert calculator.results["forces"][1, 0] > 1.0, f"{pair} at {distance:.2f} A"
