"""MACE: small ones from random weights, and fine-tuned ones, on labels of a pair potential."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from pair_potential import Pair
from tiny_frames import ELEMENTS, rattled_salt, write_tiny_sets

from haloflow.engines.assessment import errors_of
from haloflow.engines.finetune import fine_tune
from haloflow.engines.finetune_settings import FineTuneSettings
from haloflow.engines.labels import label_frames, read_labelled, write_labelled
from haloflow.engines.mace_shape import MaceShape, mace_shape
from haloflow.engines.potential_loaders import third_party_quiet
from haloflow.engines.potentials import identify, load_potential
from haloflow.errors import CoverageError, InputError, InterruptedRunError

SHAPE = MaceShape(
    channels=8, n_layers=1, max_ell=1, n_bessel=4, radial_neurons=8, cutoff_a=4.0
)  # fmt: skip


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    return write_tiny_sets(tmp_path_factory.mktemp("sets"), 12)


def settings(**more):
    return FineTuneSettings(**{"epochs": 2, "batch": 4, "learning_rate": 0.01, **more})


@pytest.fixture(scope="module")
def small(sets, tmp_path_factory):
    """A MACE that has learned a little: the foundation of these tests."""
    folder = tmp_path_factory.mktemp("small")
    return fine_tune(
        SHAPE, *sets, folder, settings(epochs=10, learning_rate=0.03), signature="small"
    )


@pytest.fixture(scope="module")
def tuned(small, sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    return fine_tune(f"mace:{small.path}", *sets, folder, settings(), signature="tuned")


def state_of(path):
    with third_party_quiet():
        import torch

        return torch.load(path, weights_only=False).state_dict()


def test_a_small_one_learns_from_random_weights(small, sets):
    assert small.architecture == "mace"
    first, best = small.history[0], small.history[small.best_epoch]
    assert best.force_mev_a < 0.9 * first.force_mev_a
    assert first.energy_mev_per_atom < 15, "its references are refitted"
    model = load_potential(f"mace:{small.path}")
    assert model.identity.elements == ELEMENTS
    errors = errors_of(model.calculator, read_labelled(sets[1]))
    assert errors.force_mae_mev_a == pytest.approx(best.force_mev_a, rel=1e-4)
    assert errors.energy_mae_mev_per_atom == pytest.approx(best.energy_mev_per_atom, rel=1e-2)


def test_forces_and_stress_are_derivatives_of_the_energy(small, sets):
    calculator = load_potential(f"mace:{small.path}?dtype=float64").calculator
    atoms = read_labelled(sets[1])[0].copy()
    atoms.calc = calculator
    forces, stress = atoms.get_forces(), atoms.get_stress(voigt=False)
    energies, strained = [], []
    for step in (-1e-4, 1e-4):
        moved = atoms.copy()
        moved.positions[0, 0] += step
        moved.calc = calculator
        energies.append(moved.get_potential_energy())
        longer = atoms.copy()
        longer.set_cell(atoms.cell.array * [1 + step, 1, 1], scale_atoms=True)
        longer.calc = calculator
        strained.append(longer.get_potential_energy())
    assert forces[0, 0] == pytest.approx(-np.diff(energies)[0] / 2e-4, abs=1e-5)
    assert stress[0, 0] == pytest.approx(np.diff(strained)[0] / 2e-4 / atoms.get_volume(), abs=1e-6)


def test_a_foundation_is_fine_tuned(small, tuned):
    assert tuned.architecture == "mace"
    assert tuned.sha256 != small.sha256
    assert tuned.history[0].force_mev_a == pytest.approx(
        small.history[small.best_epoch].force_mev_a, rel=1e-4
    )
    assert tuned.history[-1].validation_loss < tuned.history[0].validation_loss
    assert identify(f"mace:{tuned.path}").weights_sha256 == tuned.sha256


@pytest.mark.parametrize("is_new", [False, True])
def test_stopped_and_resumed_is_the_same_network(small, tuned, sets, tmp_path, is_new):
    parent = SHAPE if is_new else f"mace:{small.path}"

    def stop(done, _total):
        if done == 4:
            signal.raise_signal(signal.SIGTERM)

    def train(folder, **more):
        return fine_tune(parent, *sets, folder, settings(), signature="tuned", **more)

    with pytest.raises(InterruptedRunError, match="4 of 6 batches are done"):
        train(tmp_path / "stopped", on_progress=stop)
    resumed = train(tmp_path / "stopped")
    if is_new:
        whole, again = (state_of(done.path) for done in (train(tmp_path / "whole"), resumed))
        assert all((whole[name] == again[name]).all() for name in whole)
    else:
        assert resumed.sha256 == tuned.sha256
        assert resumed.history == tuned.history


def test_frozen_parts_and_kept_references_stay(small, sets, tmp_path):
    own = settings(epochs=1, frozen=["interactions"], references="keep")
    done = fine_tune(f"mace:{small.path}", *sets, tmp_path, own, signature="frozen")
    assert done.reference_shift_ev == {}
    before, after = state_of(small.path), state_of(done.path)
    same = {name for name in before if (before[name] == after[name]).all()}
    assert {name for name in before if name.startswith("interactions.")} <= same
    assert "atomic_energies_fn.atomic_energies" in same
    assert any(name.startswith("readouts.") for name in before.keys() - same)


def test_wrong_elements(small, sets, tmp_path):
    strange = rattled_salt(2, seed=3)
    for frame in strange:
        frame.symbols[:2] = "Br"
    labelled = label_frames(strange, Pair(), tmp_path / "labels", signature="pair")
    write_labelled(tmp_path / "train.xyz", labelled)
    with pytest.raises(CoverageError, match="the MACE to begin with does not cover Br"):
        fine_tune(
            f"mace:{small.path}", tmp_path / "train.xyz", sets[1], tmp_path / "run", settings(),
            signature="strange",
        )  # fmt: skip


def test_one_head_of_several(sets, tmp_path):
    with third_party_quiet():
        import torch
        from e3nn import o3
        from mace import modules

        torch.manual_seed(0)
        block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
        model = modules.ScaleShiftMACE(
            r_max=4.0, num_bessel=4, num_polynomial_cutoff=5, max_ell=1, interaction_cls=block,
            interaction_cls_first=block, num_interactions=2, num_elements=2,
            hidden_irreps=o3.Irreps("4x0e"), MLP_irreps=o3.Irreps("4x0e"),
            gate=torch.nn.functional.silu, atomic_energies=np.array([[-1.0, -2.0], [-3.0, -4.0]]),
            avg_num_neighbors=12.0, atomic_numbers=[11, 17], correlation=2, radial_type="bessel",
            radial_MLP=[8], atomic_inter_scale=[0.1, 0.1], atomic_inter_shift=[0.0, 0.0],
            heads=["pbe", "r2scan"],
        )  # fmt: skip
        torch.save(model, tmp_path / "heads.model")
    name = f"mace:{tmp_path / 'heads.model'}"
    with pytest.raises(InputError, match="a MACE of several heads is fine-tuned in one") as caught:
        fine_tune(name, *sets, tmp_path / "a", settings(), signature="h")
    assert "pbe" in str(caught.value)
    own = settings(epochs=1, references="keep")
    done = fine_tune(f"{name}?head=r2scan", *sets, tmp_path / "b", own, signature="h")
    energies = state_of(done.path)["atomic_energies_fn.atomic_energies"]
    assert energies.flatten().tolist() == [-3.0, -4.0]
    assert load_potential(f"mace:{done.path}").identity.elements == ELEMENTS


@pytest.mark.parametrize("parent", ["chgnet-r2scan", SHAPE])
def test_on_a_gpu(sets, tmp_path, parent):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use is in this machine")
    losses = [
        fine_tune(parent, *sets, tmp_path / device, settings(), signature="d", device=device)
        .history[-1].validation_loss
        for device in ("cpu", "cuda")
    ]  # fmt: skip
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": 0}, "channels of a MACE student is out of range"),
        ({"cutoff_a": 1.0}, "cutoff_a of a MACE student is out of range"),
        ({"layers": 2}, "unknown settings of a MACE student"),
    ],
)
def test_wrong_shapes(values, message):
    with pytest.raises(InputError, match=message):
        mace_shape(values)
