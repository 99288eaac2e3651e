"""Fine-tuning CHGNet: killed and resumed it is the same network; errors say what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from page_blocks import ROOT
from pair_potential import Pair
from tiny_frames import ELEMENTS, rattled_salt, write_tiny_sets

from haloflow.engines.assessment import errors_of
from haloflow.engines.finetune import fine_tune
from haloflow.engines.finetune_settings import FineTuneSettings, finetune_settings
from haloflow.engines.labels import label_frames, read_labelled, write_labelled
from haloflow.engines.potentials import identify, load_potential
from haloflow.errors import (
    CheckpointError,
    CoverageError,
    EngineError,
    InputError,
    InterruptedRunError,
    UnknownNameError,
)

PARENT = "chgnet-r2scan"
DEADLINE_S = 120
N_TRAIN, BATCH, EPOCHS = 4, 2, 3
N_BATCHES = N_TRAIN // BATCH * EPOCHS


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    return write_tiny_sets(tmp_path_factory.mktemp("sets"), N_TRAIN)


def settings(**more):
    return FineTuneSettings(**{"epochs": EPOCHS, "batch": BATCH, **more})


@pytest.fixture(scope="module")
def whole(sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    seen = []
    done = fine_tune(
        PARENT, *sets, folder, settings(), signature="tiny",
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    return done, folder, seen


def test_it_learns_and_is_a_level_of_its_own(whole, sets):
    done, _, seen = whole
    assert seen == [(n + 1, N_BATCHES) for n in range(N_BATCHES)]
    assert [row.epoch for row in done.history] == [0, 1, 2, 3]
    best = done.history[done.best_epoch]
    assert best.validation_loss == min(row.validation_loss for row in done.history)
    assert best.force_mev_a < 0.8 * done.history[0].force_mev_a
    identity = identify(f"chgnet:{done.path}")
    assert identity.weights_sha256 == done.sha256 != identify(PARENT).weights_sha256
    assert identity.level == f"chgnet:{done.path.name}@{done.sha256[:12]}"
    model = load_potential(f"chgnet:{done.path}")
    assert model.identity.elements == ELEMENTS, "it knows what it was trained on"
    errors = errors_of(model.calculator, read_labelled(sets[1]))
    assert errors.force_mae_mev_a == pytest.approx(best.force_mev_a, rel=1e-3)
    assert errors.energy_mae_mev_per_atom == pytest.approx(best.energy_mev_per_atom, rel=1e-2)


def test_references_take_the_mean_error_off(whole, sets):
    """The labels' energies lie 7 eV per atom above the parent's; forces know nothing of it."""
    done, _, _ = whole
    assert done.history[0].energy_mev_per_atom < 20
    assert done.reference_shift_ev["Na"] == pytest.approx(done.reference_shift_ev["Cl"])
    parent = load_potential(PARENT).calculator
    frames = read_labelled(sets[0])
    gaps = []
    for frame in frames:
        parent.calculate(frame.copy())
        gaps.append((frame.get_potential_energy() - parent.results["energy"]) / len(frame))
    assert np.mean(gaps) == pytest.approx(done.reference_shift_ev["Na"], abs=1e-3)
    assert np.mean(gaps) > 5


def test_a_step_is_that_of_the_trainer_of_chgnet(sets, tmp_path):
    """One batch, references kept: the same weights as chgnet's own Trainer gives."""
    import torch
    from chgnet.data.dataset import collate_graphs
    from chgnet.model import CHGNet
    from chgnet.trainer import Trainer
    from pymatgen.io.ase import AseAtomsAdaptor

    from haloflow.engines.potential_loaders import third_party_quiet

    own = settings(
        epochs=1, batch=N_TRAIN, gradient_clip=None, references="keep", learning_rate=1e-4
    )
    done = fine_tune(PARENT, *sets, tmp_path / "own", own, signature="step")
    with third_party_quiet():
        model = CHGNet.load(model_name="r2scan", use_device="cpu", verbose=False)
        rows = []
        order = np.random.default_rng([own.seed, 0]).permutation(N_TRAIN)
        frames = read_labelled(sets[0])
        for frame in (frames[i] for i in order):
            structure = AseAtomsAdaptor.get_structure(frame)
            labels = {
                "e": torch.tensor(frame.get_potential_energy() / len(frame)),
                "f": torch.tensor(frame.get_forces(), dtype=torch.float32),
                "s": torch.tensor(frame.get_stress(voigt=False) * 160.21766208).float(),
            }
            rows.append((model.graph_converter(structure), labels))
        loader = [collate_graphs(rows)]
        trainer = Trainer(
            model, targets="efs", epochs=1, learning_rate=1e-4, use_device="cpu", print_freq=100
        )
        trainer.train(loader, loader, save_dir=str(tmp_path / "theirs"))
    assert done.best_epoch == 1
    found = torch.load(done.path, weights_only=True)["model"]["state_dict"]
    before = CHGNet.load(model_name="r2scan", use_device="cpu", verbose=False).state_dict()
    gap, moved = (
        sum(float((after[name] - other[name]).abs().sum()) for name in before)
        for after, other in ((found, model.state_dict()), (found, before))
    )
    assert moved > 1.0
    assert gap < 1e-3 * moved, "rounding decides where a gradient is next to nothing"


def test_killed_and_resumed_is_the_same_network(whole, sets, tmp_path):
    """SIGKILL between two checkpoints: what is lost is trained again."""
    marker = tmp_path / "there"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from haloflow.engines.finetune import fine_tune\n"
        "from haloflow.engines.finetune_settings import FineTuneSettings\n"
        "def wait(done, total):\n"
        "    if done == 3:\n"
        f"        Path({str(marker)!r}).touch(); time.sleep({DEADLINE_S})\n"
        f"fine_tune({PARENT!r}, Path({str(sets[0])!r}), Path({str(sets[1])!r}),\n"
        f"          Path({str(tmp_path / 'run')!r}),\n"
        f"          FineTuneSettings(epochs={EPOCHS}, batch={BATCH}), signature='tiny',\n"
        "          on_progress=wait)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + DEADLINE_S
    while not marker.exists():
        assert process.poll() is None, "the training ended too early"
        assert time.monotonic() < deadline, "no batch in time"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    seen = []
    resumed = fine_tune(
        PARENT, *sets, tmp_path / "run", settings(), signature="tiny",
        on_progress=lambda done, _: seen.append(done),
    )  # fmt: skip
    assert seen == list(range(3, N_BATCHES + 1)), "it goes on after the last whole epoch"
    assert resumed.sha256 == whole[0].sha256
    assert resumed.history == whole[0].history


def test_walltime_saves_the_batches_of_an_epoch(whole, sets, tmp_path):
    with pytest.raises(InterruptedRunError, match="a fine-tuning was stopped by the wall") as info:
        fine_tune(PARENT, *sets, tmp_path, settings(), signature="tiny", walltime_s=0.01)
    assert f"0 of {N_BATCHES} batches are done" in str(info.value)
    first = []

    def stop_in_the_middle(done, _total):
        first.append(done)
        if done == 3:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM"):
        fine_tune(
            PARENT, *sets, tmp_path, settings(), signature="tiny", on_progress=stop_in_the_middle
        )
    assert first == [1, 2, 3]
    rest = []
    done = fine_tune(
        PARENT, *sets, tmp_path, settings(), signature="tiny",
        on_progress=lambda done, _: rest.append(done),
    )  # fmt: skip
    assert rest == [4, 5, 6], "no batch is trained twice"
    assert done.sha256 == whole[0].sha256


def test_a_damaged_checkpoint_costs_an_epoch_and_all_of_them_the_training(whole, sets, tmp_path):
    done, folder, _ = whole
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    older, newest = sorted((folder / "checkpoints").iterdir())
    for path in (older, newest):
        (run / "checkpoints" / path.name).write_bytes(path.read_bytes())
    damaged = run / "checkpoints" / newest.name
    damaged.write_bytes(newest.read_bytes()[:-100])
    again = fine_tune(PARENT, *sets, run, settings(), signature="tiny")
    assert again.sha256 == done.sha256
    (run / "trained.json").unlink()
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"haloflow checkpoint 1\n" + path.read_bytes()[300:])
    with pytest.raises(CheckpointError, match="all checkpoints of a run are damaged"):
        fine_tune(PARENT, *sets, run, settings(), signature="tiny")


def test_finished_training_returns_at_once(whole, sets, tmp_path):
    done, folder, _ = whole
    start = time.monotonic()
    assert fine_tune(PARENT, *sets, folder, settings(), signature="tiny") == done
    assert time.monotonic() - start < 3.0
    with pytest.raises(CheckpointError, match="the directory holds another fine-tuning"):
        fine_tune(PARENT, *sets, folder, settings(seed=2), signature="tiny")
    (tmp_path / "trained.json").write_text((folder / "trained.json").read_text())
    (tmp_path / done.path.name).write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="network of a finished fine-tuning is missing or"):
        fine_tune(PARENT, *sets, tmp_path, settings(), signature="tiny")
    unfinished = tmp_path / "unfinished"
    (unfinished / "checkpoints").mkdir(parents=True)
    for path in (folder / "checkpoints").iterdir():
        (unfinished / "checkpoints" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(CheckpointError, match="the directory holds another fine-tuning"):
        fine_tune(PARENT, *sets, unfinished, settings(seed=2), signature="tiny")


def test_early_stopping_keeps_the_best(sets, tmp_path):
    """At this rate nothing gets better: the network from before the first step is taken."""
    own = settings(
        epochs=20, patience=2, batch=N_TRAIN, learning_rate=0.1, final_learning_rate=0.1,
        frozen=["atom_embedding", "angle_layers.0"],
    )  # fmt: skip
    done = fine_tune(PARENT, *sets, tmp_path, own, signature="early")
    assert (done.best_epoch, done.history[-1].epoch) == (0, 2)
    assert done.n_free < 412_366
    import torch

    last = json.loads((tmp_path / "trained.json").read_text())["result"]["history"][-1]
    assert last["validation_loss"] > done.history[0].validation_loss
    found = torch.load(done.path, weights_only=True)["model"]["state_dict"]
    parent = load_potential(PARENT).calculator.model.state_dict()
    changed = [name for name in found if not torch.equal(found[name], parent[name])]
    assert changed == ["composition_model.fc.weight"]


def test_frozen_parts_stay(sets, tmp_path):
    import torch

    own = settings(epochs=1, batch=N_TRAIN, frozen=["atom_embedding", "bond_conv_layers.0"])
    done = fine_tune(PARENT, *sets, tmp_path, own, signature="frozen")
    assert done.best_epoch == 1
    found = torch.load(done.path, weights_only=True)["model"]["state_dict"]
    parent = load_potential(PARENT).calculator.model.state_dict()
    same = {name for name in found if torch.equal(found[name], parent[name])}
    assert {n for n in found if n.startswith(("atom_embedding.", "bond_conv_layers.0."))} <= same
    assert "bond_conv_layers.1.twoBody_bond.mlp_core.layers.0.weight" not in same


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        (["atom_embeding"], "frozen parts of a network do not exist"),
        (
            ["atom_embedding", "bond_basis_expansion", "bond_embedding", "bond_weights_ag",
             "bond_weights_bg", "angle_basis_expansion", "angle_embedding", "atom_conv_layers",
             "bond_conv_layers", "angle_layers", "readout_norm", "mlp"],
            "a network is frozen as a whole",
        ),
    ],
)  # fmt: skip
def test_wrong_frozen_parts(sets, tmp_path, frozen, message):
    with pytest.raises(InputError, match=message) as caught:
        fine_tune(PARENT, *sets, tmp_path, settings(frozen=frozen), signature="frozen")
    assert "atom_conv_layers" in str(caught.value)


def test_a_loss_that_is_not_finite(sets, tmp_path):
    own = settings(weight_energy=1e38, weight_force=1e38)
    with pytest.raises(EngineError, match="lost its way: the loss is not finite") as caught:
        fine_tune(PARENT, *sets, tmp_path, own, signature="lost")
    assert "lower learning_rate" in str(caught.value)


def write(folder, frames, name="frames.xyz"):
    write_labelled(folder / name, frames)
    return folder / name


def test_frames_without_labels(sets, tmp_path):
    empty = write(tmp_path, [], "empty.xyz")
    with pytest.raises(InputError, match="a fine-tuning has no frames of validation"):
        fine_tune(PARENT, sets[0], empty, tmp_path / "a", settings(), signature="t")
    frames = read_labelled(sets[0])
    del frames[3].calc.results["stress"]
    bare = write(tmp_path, frames)
    with pytest.raises(InputError, match="lacks labels that a fine-tuning learns") as caught:
        fine_tune(PARENT, bare, sets[1], tmp_path / "b", settings(), signature="t")
    assert "frame 3 of train without a finite stress" in str(caught.value)
    assert "weight_stress: 0" in str(caught.value)
    own = settings(epochs=1, weight_stress=0.0)
    done = fine_tune(PARENT, bare, sets[1], tmp_path / "c", own, signature="t")
    assert done.history[-1].stress_gpa is None
    frames[3].calc.results["energy"] = np.nan
    with pytest.raises(InputError, match="lacks labels") as caught:
        fine_tune(PARENT, write(tmp_path, frames), sets[1], tmp_path / "d", own, signature="t")
    assert "energy" in str(caught.value)


def test_wrong_elements_and_lonely_atoms(sets, tmp_path):
    strange = rattled_salt(2, seed=3)
    for frame in strange:
        frame.symbols[:4] = "Yb"
    labelled = label_frames(strange, Pair(), tmp_path / "labels", signature="pair")
    with pytest.raises(CoverageError, match="does not cover Yb"):
        fine_tune(
            PARENT, write(tmp_path, labelled), sets[1], tmp_path / "a", settings(), signature="t"
        )
    lonely = rattled_salt(1, seed=4)[0]
    lonely = lonely[[0, 1, 4]]
    lonely.set_cell([40.0, 40.0, 40.0])
    lonely.positions[0] += 20.0
    frames = label_frames([lonely], Pair(), tmp_path / "lonely", signature="pair")
    with pytest.raises(InputError, match="frame with atoms that have no neighbours") as caught:
        fine_tune(
            PARENT, write(tmp_path, frames), sets[1], tmp_path / "b", settings(), signature="t"
        )
    assert "frame 0 of train" in str(caught.value)


@pytest.mark.parametrize("parent", ["chgnet-r2scan-d3", "sevennet-0"])
def test_what_cannot_be_fine_tuned(sets, tmp_path, parent):
    with pytest.raises(InputError, match="a potential cannot be fine-tuned") as caught:
        fine_tune(parent, *sets, tmp_path, settings(), signature="t")
    assert "chgnet-r2scan" in str(caught.value)


def test_unknown_parent(sets, tmp_path):
    with pytest.raises(UnknownNameError):
        fine_tune("chgnet-r2scn", *sets, tmp_path, settings(), signature="t")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs of a fine-tuning is out of range"),
        ({"learning_rate": 1e-6}, "final_learning_rate of a fine-tuning is out of range"),
        ({"gradient_clip": 0.0}, "gradient_clip of a fine-tuning is out of range"),
        ({"loss": "mse"}, "loss of a fine-tuning is not known"),
        ({"references": "fit"}, "references of a fine-tuning is not known"),
        ({"epoch": 3}, "unknown settings of a fine-tuning"),
    ],
)
def test_wrong_settings(values, message):
    with pytest.raises(InputError, match=message):
        finetune_settings(values)
