"""The grade of atoms in CHGNet and MACE: what their readouts see tells what they know."""

from __future__ import annotations

import numpy as np
import pytest
from pair_potential import Pair
from scipy.spatial.transform import Rotation
from tiny_frames import rattled_salt
from tiny_mace import write_tiny_mace

from haloflow.engines.active_set import ElementDomain, FeatureReadout
from haloflow.engines.domain import domain_guard, domain_path, share_above
from haloflow.engines.feature_domain import (
    FeatureDomain,
    features_of,
    load_domain,
    readout_of,
)
from haloflow.engines.finetune_mace import new_mace, starting_model
from haloflow.engines.labels import label_frames
from haloflow.engines.mace_shape import MaceShape
from haloflow.engines.md import MDSettings, run_md
from haloflow.engines.potential_loaders import third_party_quiet
from haloflow.engines.potentials import identify, load_potential
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import InputError, PotentialError
from haloflow.quantity import Status

KINDS = ("chgnet", "mace")
TRAIN = {"n": 20, "seed": 1, "spread_a": 0.1}


def write_chgnet(path):
    """Write CHGNet as a fine-tuning does."""
    with third_party_quiet():
        import torch

        model = load_potential("chgnet-r2scan").calculator.model
        torch.save({"model": model.as_dict(), "elements": ["Cl", "Na"]}, path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "chgnet": write_chgnet(folder / "tiny.chgnet.pth"),
        "mace": write_tiny_mace(folder / "tiny.mace.model"),
    }


@pytest.fixture(scope="module")
def domains(models):
    return {kind: made(kind, models[kind]) for kind in KINDS}


def made(kind, model, frames=None):
    calculator = load_potential(f"{kind}:{model}").calculator
    return FeatureDomain.of_frames(model, calculator, frames or rattled_salt(**TRAIN), "a teacher")


def test_chgnet_makes_its_energies_of_these_features():
    calculator, atoms = load_potential("chgnet-r2scan").calculator, rattled_salt(1, seed=3)[0]
    with third_party_quiet():
        import torch

        seen = torch.as_tensor(features_of(calculator, atoms), dtype=torch.float32)
        energies = calculator.model.mlp(seen)[:, 0].double().numpy()
    calculator.calculate(atoms)
    found = calculator.results["energies"] - calculator.reference[atoms.numbers - 1]
    assert found == pytest.approx(energies, abs=1e-5)


@pytest.mark.parametrize(("n_layers", "max_l"), [(1, 0), (2, 0), (2, 1)])
def test_gradients_are_those_of_the_readouts_of_mace(tmp_path, n_layers, max_l):
    """Of each kind of weights, up to the constants by which e3nn norms its layers."""
    (atoms,) = label_frames(rattled_salt(1, seed=3), Pair(), tmp_path / "labels", signature="x")
    shape = MaceShape(
        channels=4, max_l=max_l, n_layers=n_layers, max_ell=1, n_bessel=4, radial_neurons=4
    )
    file = tmp_path / "own.mace.model"
    starting_model(file, lambda: new_mace(shape, [atoms]))
    calculator = load_potential(f"mace:{file}?dtype=float64").calculator
    (model,) = calculator.models
    own = readout_of(calculator).gradients(features_of(calculator, atoms))
    assert (own[:, -1] == 1.0).all()
    weights = [model.readouts[0].linear.weight]
    if n_layers > 1:
        weights += [model.readouts[1].linear_1.weight, model.readouts[1].linear_2.weight]
    with third_party_quiet():
        import torch

        for weight in weights:
            weight.requires_grad_()
        batch = calculator._atoms_to_batch(atoms).to_dict()
        energies = model(batch, compute_force=False)["node_energy"]
        for number, weight in enumerate(weights):
            rows = [torch.autograd.grad(e, weight, retain_graph=True)[0] for e in energies]
            wanted = torch.stack(rows).numpy()
            if number == 1:
                of_channels = wanted.reshape(len(atoms), shape.channels, -1)
                wanted = of_channels.swapaxes(1, 2).reshape(len(atoms), -1)
            found, own = np.split(own, [wanted.shape[1]], axis=1)
            constant = (found * wanted).sum() / (found * found).sum()
            assert constant * found == pytest.approx(wanted, abs=1e-9 * np.abs(wanted).max())
    assert own.shape == (len(atoms), 1), "nothing is left but the constant"


@pytest.mark.parametrize("kind", KINDS)
def test_features_do_not_turn_with_the_frame(models, kind):
    calculator, atoms = load_potential(f"{kind}:{models[kind]}").calculator, rattled_salt(1, 5)[0]
    turned = atoms.copy()
    turn = Rotation.from_rotvec([0.4, 1.1, -0.7]).as_matrix()
    turned.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    assert features_of(calculator, turned) == pytest.approx(
        features_of(calculator, atoms), abs=2e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_grade_rises_with_the_distance_from_the_training_frames(domains, kind):
    domain = domains[kind]
    assert max(domain.grade(frame) for frame in rattled_salt(**TRAIN)) <= 1.02
    means = [
        np.mean([domain.grade(f) for f in rattled_salt(8, seed=9, spread_a=spread)])
        for spread in (0.1, 0.2, 0.4)
    ]
    assert means[0] < means[1] < means[2]
    assert share_above(domain, rattled_salt(8, seed=9, spread_a=0.4)) == 1.0


def test_a_grade_needs_no_more_than_a_few_atoms():
    """Where all of them are in the active set, what they leave over says nothing."""
    rng = np.random.default_rng(5)
    known, near = rng.normal(size=(4, 30)), rng.normal(scale=1e-3, size=(4, 30))
    few = ElementDomain.of(FeatureReadout(), known, least_rest=0.003)
    assert few.grades(known).max() <= 1.02
    assert few.grades(known + near).max() < 2
    assert 10 < few.grades(rng.normal(size=(1, 30)))[0] < 1000
    alike = ElementDomain.of(FeatureReadout(), np.ones((5, 30)), least_rest=0.003)
    assert alike.grades(np.ones((1, 30)))[0] == pytest.approx(1.0)


def test_what_is_common_to_all_atoms_does_not_hide_how_they_differ():
    rng = np.random.default_rng(6)
    known = 100.0 + rng.normal(scale=[1.0, 0.02], size=(300, 2))
    domain = ElementDomain.of(FeatureReadout(), known, least_rest=0.003)
    assert domain.grades(np.array([[100.0, 100.0]]))[0] < 1
    assert domain.grades(np.array([[100.0, 101.0]]))[0] > 10


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_elements_are_outside(domains, kind):
    frame = rattled_salt(1, seed=1)[0]
    frame.symbols[0] = "O"
    assert np.isinf(domains[kind].grades(frame)).all()
    lost = rattled_salt(1, seed=1)[0]
    lost.positions[0, 0] = np.nan
    assert np.isinf(domains[kind].grade(lost))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded(models, domains, kind):
    model, domain, name = models[kind], domains[kind], f"{kind}:{models[kind]}"
    alone = identify(name)
    assert load_domain(name) is None, "none was saved yet"
    path = domain.save()
    assert path == domain_path(model) == model.with_name(f"tiny.{kind}.domain.npz")
    frame = rattled_salt(1, seed=7, spread_a=0.3)[0]
    loaded = load_domain(name)
    assert np.array_equal(loaded.grades(frame), domain.grades(frame))
    assert loaded.teacher == "a teacher"
    watched = identify(name)
    assert (watched.level, watched.weights_sha256) == (alone.level, alone.weights_sha256)
    assert dict(watched.settings)["domain"].startswith(f"{path.name}@")
    assert watched.settings != alone.settings, "a guard may end its runs"
    path.unlink()
    assert identify(name) == alone


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_domain(models, domains, kind):
    path = domains[kind].save()
    content = path.read_bytes()
    flipped = bytearray(content)
    middle = len(content) // 2
    flipped[middle : middle + 40] = bytes(255 - byte for byte in content[middle : middle + 40])
    for damaged in (b"", content[:200], bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(PotentialError, match="the domain of a model cannot be read"):
            load_domain(f"{kind}:{models[kind]}")
    path.unlink()


def test_a_domain_of_another_model(domains, models, tmp_path):
    other = write_tiny_mace(tmp_path / "other.mace.model", seed=1)
    domain_path(other).write_bytes(domains["mace"].save().read_bytes())
    with pytest.raises(PotentialError, match="a domain is of another model than the one beside"):
        load_domain(f"mace:{other}")
    domain_path(models["mace"]).unlink()


@pytest.mark.parametrize("name", ["chgnet-r2scan", "gpaw-pbe", "vasp-r2scan", "ase:x:Y"])
def test_other_potentials_have_none(name):
    assert load_domain(name) is None


def test_a_calculator_that_shows_nothing():
    with pytest.raises(InputError, match="shows nothing of what it knows") as caught:
        features_of(Pair(), rattled_salt(1, seed=1)[0])
    assert "Pair" in str(caught.value)


def test_a_mace_of_several_heads(tmp_path):
    """Its last readout makes an energy for each: a slope of their sum is of none."""
    file = write_tiny_mace(tmp_path / "two.mace.model", heads=("first", "second"))
    calculator = load_potential(f"mace:{file}?head=second").calculator
    atoms = rattled_salt(1, seed=1)[0]
    calculator.calculate(atoms)
    for ask in (lambda: features_of(calculator, atoms), lambda: readout_of(calculator)):
        with pytest.raises(InputError, match="a MACE of several heads has no domain") as caught:
            ask()
        assert "heads first, second" in str(caught.value)
        assert "mace:PATH?head=NAME" in str(caught.value)


def test_a_domain_without_frames(models):
    calculator = load_potential(f"mace:{models['mace']}").calculator
    with pytest.raises(InputError, match="needs the frames that it was trained on"):
        FeatureDomain.of_frames(models["mace"], calculator, [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_leaves_the_domain_is_ended(domains, tmp_path, kind):
    """The same start stays inside when it is cold."""
    start, ends = rattled_salt(1, seed=1, spread_a=0.05)[0], {}
    for kelvin in (5.0, 4000.0):
        ends[kelvin] = run_md(
            start, Pair(), MDSettings("nvt-langevin", kelvin, 300, timestep_fs=1.0),
            tmp_path / str(kelvin), signature="domain",
            guards=[domain_guard(domains[kind], every_steps=20)],
        )  # fmt: skip
    assert ends[5.0].status is Status.OK, ends[5.0].note
    assert ends[4000.0].status is Status.OUT_OF_DOMAIN
    assert "has an extrapolation grade of" in ends[4000.0].note
    assert "the model was not trained for this" in ends[4000.0].note


@pytest.mark.parametrize("kind", KINDS)
def test_looking_changes_nothing(models, domains, tmp_path, kind):
    """Domain and run share one calculator: watched or not, the atoms go the same way."""
    calculator = load_potential(f"{kind}:{models[kind]}").calculator
    start, settings = rattled_salt(1, seed=2, spread_a=0.05)[0], MDSettings(
        "nvt-langevin", 50.0, 8, timestep_fs=0.5, trajectory_interval=1
    )  # fmt: skip
    guard = domain_guard(domains[kind], stop_grade=1e9, every_steps=1)
    found = [
        run_md(start, calculator, settings, tmp_path / name, signature="x", guards=guards)
        for name, guards in (("watched", [guard]), ("alone", []))
    ]
    watched, alone = (TrajectoryReader(one.trajectory) for one in found)
    assert np.array_equal(watched.positions(), alone.positions())
