"""A fine-tuned CHGNet as a step: errors, parity, identity, and a run at its level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pair_potential import LEVEL
from salt_sets import salt_set

from haloflow.dashboard.figures_fine_tuning import model_parity_figure, training_figure
from haloflow.engines.feature_domain import load_domain
from haloflow.engines.potentials import identify, load_potential
from haloflow.errors import CoverageError, InputError
from haloflow.identity import file_sha256
from haloflow.makers.finetune import FineTuneMaker
from haloflow.makers.md import MDMaker
from haloflow.makers.training_set import read_set
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.training import SPLITS
from haloflow.systems.phases import get_phase

OTHER = "ase:pair_potential:Pair?depth_ev=0.08&size_a=2.5"
PARENT = "chgnet-r2scan"


def maker(**training):
    return FineTuneMaker(
        parent=PARENT, training={"epochs": 4, "batch": 2, "learning_rate": 2e-3, **training}
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_workshop):
    with open_store(tmp_path_factory.mktemp("finetune") / "store") as store:
        workshop = make_workshop(store)
        frames = salt_set(workshop)
        yield workshop, frames, workshop.run(maker(), frames)


def test_the_document_tells_what_it_is(made):
    workshop, frames, model = made
    (weights,) = workshop.files(model, "weights")
    assert weights.name == "Cl-Na.chgnet.pth"
    assert (model.architecture, model.status) == ("chgnet", Status.OK)
    assert file_sha256(weights) == model.weights_sha256
    assert identify(f"chgnet:{weights}").level == model.level
    assert model.parent == identify(PARENT).weights_sha256
    assert (model.teacher, model.data_hash) == (LEVEL, frames.content_hash)
    assert model.domain.elements == ["Cl", "Na"]
    assert model.fine_tuning.parent_level == PARENT
    assert [row.epoch for row in model.fine_tuning.history] == [0, 1, 2, 3, 4]
    assert not model.fine_tuning.stopped_early
    assert model.provenance.parents == [frames.identity]
    assert 0 < model.us_per_atom_step < 1e6
    assert set(model.repulsion_ev_a) == {"Cl-Cl", "Cl-Na", "Na-Na"}


def test_errors_by_split_element_and_temperature(made):
    workshop, frames, model = made
    (weights,) = workshop.files(model, "weights")
    calculator = load_potential(f"chgnet:{weights}").calculator
    for split in SPLITS:
        table, differences, symbols = model.errors[split], [], []
        energies, stresses = [], []
        for frame in read_set(frames, workshop.store.files, split):
            calculator.calculate(frame.copy())
            found = calculator.results
            differences.append(found["forces"] - frame.get_forces())
            energies.append((found["energy"] - frame.get_potential_energy()) / len(frame))
            stresses.append((found["stress"] - frame.get_stress()) * 160.21766208)
            symbols += list(frame.symbols)
        forces = 1e3 * np.vstack(differences)
        assert table.n_frames == frames.n_frames[split]
        assert table.force_mae_mev_a == pytest.approx(np.abs(forces).mean())
        assert table.force_rmse_mev_a == pytest.approx(np.sqrt(np.square(forces).mean()))
        assert table.energy_mae_mev_per_atom == pytest.approx(1e3 * np.abs(energies).mean())
        assert table.stress_rmse_gpa == pytest.approx(np.sqrt(np.square(stresses).mean()))
        for symbol in ("Cl", "Na"):
            own = forces[np.array(symbols) == symbol]
            assert table.force_mae_of_element_mev_a[symbol] == pytest.approx(np.abs(own).mean())
            rmse = table.force_rmse_of_element_mev_a[symbol]
            assert rmse == pytest.approx(np.sqrt(np.square(own).mean()))
        rows = model.fine_tuning.errors_at[split]
        assert sum(row.errors.n_frames for row in rows) == table.n_frames
        weighted = sum(r.errors.force_mae_mev_a * r.errors.n_frames for r in rows)
        assert weighted / table.n_frames == pytest.approx(table.force_mae_mev_a)
    assert {row.temperature_k for rows in model.fine_tuning.errors_at.values() for row in rows} == {
        200.0, 400.0, None,
    }  # fmt: skip


def test_it_is_better_than_what_it_began_with(made):
    _, _, model = made
    before, after = model.fine_tuning.parent_errors, model.errors["test"]
    assert before.n_frames == after.n_frames
    assert after.force_mae_mev_a < 0.9 * before.force_mae_mev_a
    assert before.energy_mae_mev_per_atom < 100, "its references are shifted alike"


def test_parity_holds_labels_and_values_of_all_frames(made):
    workshop, frames, model = made
    (path,) = workshop.files(model, "parity")
    with np.load(path, allow_pickle=False) as parity:
        for split in SPLITS:
            labels, values = parity[f"{split}.forces"]
            own = read_set(frames, workshop.store.files, split)
            assert labels == pytest.approx(np.vstack([f.get_forces() for f in own]), abs=1e-5)
            mae = 1e3 * np.abs(values - labels).mean()
            assert mae == pytest.approx(model.errors[split].force_mae_mev_a, rel=1e-4)
            stress = parity[f"{split}.stress"]
            assert stress.shape == (2, len(own), 6)
            gap = np.abs(np.diff(parity[f"{split}.energy"], axis=0)).mean() * 1e3
            assert gap == pytest.approx(model.errors[split].energy_mae_mev_per_atom)
            assert len(parity[f"{split}.symbols"]) == len(parity[f"{split}.frame"]) == len(labels)


def test_figures_show_all_splits(made):
    _, frames, model = made
    points = model.fine_tuning.parity
    assert set(points) == set(SPLITS)
    assert len(points["test"].energy_ev_per_atom) == model.errors["test"].n_frames
    assert len(points["train"].force_ev_a) == 3 * 8 * frames.n_frames["train"]
    figure = model_parity_figure(model.fine_tuning)
    assert {trace.get("name") for trace in figure["data"]} == {None, *SPLITS}
    for x, y in (("xaxis", "yaxis"), ("xaxis2", "yaxis2"), ("xaxis3", "yaxis3")):
        assert figure["layout"][x]["range"] == figure["layout"][y]["range"]
    taken = training_figure(model.fine_tuning)["data"][-1]
    assert taken["x"] == [model.fine_tuning.best_epoch]
    assert model_parity_figure(model.fine_tuning.model_copy(update={"parity": {}})) is None


def test_a_small_mace_on_the_same_labels(made):
    workshop, frames, _ = made
    shape = {"channels": 4, "n_layers": 1, "max_ell": 1, "n_bessel": 4, "radial_neurons": 4}
    asked = FineTuneMaker(mace=shape, training={"epochs": 1, "batch": 8})
    model = workshop.run(asked, frames)
    (weights,) = workshop.files(model, "weights")
    assert weights.name == "Cl-Na.mace.model"
    assert (model.architecture, model.parent) == ("mace", None)
    (domain,) = workshop.files(model, "domain")
    assert domain.name == "Cl-Na.mace.domain.npz"
    grades = [
        load_domain(f"mace:{weights}").grade(frame)
        for frame in read_set(frames, workshop.store.files, "train")
    ]
    assert max(grades) <= 1.02
    assert model.fine_tuning.parent_level is None
    assert model.fine_tuning.parent_errors is None
    assert model.fine_tuning.shape["channels"] == 4
    assert model.provenance.potential is None
    assert identify(f"mace:{weights}").level == model.level


def test_an_md_run_at_its_level(made):
    workshop, _, model = made
    (weights,) = workshop.files(model, "weights")
    salt = get_phase("NaCl_B1").structure().to_conventional()
    run = workshop.run(
        MDMaker(
            level=f"chgnet:{weights}", temperature_k=100, equilibration_steps=0,
            production_steps=3, trajectory_interval=1, full_cell=True,
        ),
        salt,
    )  # fmt: skip
    assert run.status is Status.OK, run.note
    assert run.provenance.potential.weights_sha256 == model.weights_sha256
    assert run.provenance.potential.level == model.level
    assert (run.domain.n_graded, run.domain.share_above) == (4, 0.0)
    assert 0 < run.domain.largest_grade < 2
    assert run.domain.teacher == LEVEL
    assert run.domain.teacher_errors.n_frames == 4
    assert run.domain.teacher_errors.force_mae_mev_a > 0


def hot_run(weights):
    return MDMaker(
        level=f"chgnet:{weights}", temperature_k=100, equilibration_steps=0, production_steps=120,
        trajectory_interval=1, full_cell=True,
    )  # fmt: skip


def torn_salt():
    salt = get_phase("NaCl_B1").structure().to_conventional()
    salt.translate_sites([0, 5], [0.22, 0.05, 0.0])
    return salt


def test_an_md_run_that_leaves_its_domain(made):
    workshop, _, model = made
    (weights,), (domain,) = (workshop.files(model, role) for role in ("weights", "domain"))
    assert domain.name == "Cl-Na.chgnet.domain.npz"
    assert (model.select_grade, model.stop_grade) == (2.0, 10.0)
    run = workshop.run(hot_run(weights), torn_salt())
    assert run.status is Status.OUT_OF_DOMAIN
    assert "has an extrapolation grade of" in run.note
    assert run.n_steps < run.n_steps_target
    assert run.domain.share_above > 0.5
    assert run.domain.largest_grade > 10


def moved(weights, folder, domain=None):
    """Copy a model to `folder`, with a domain or without."""
    copied = folder / weights.name
    copied.write_bytes(weights.read_bytes())
    if domain is not None:
        domain.model = copied
        domain.save()
    return copied


def test_a_model_without_a_domain_runs_unwatched_as_before(made, tmp_path):
    workshop, _, model = made
    (weights,) = workshop.files(model, "weights")
    alone = moved(weights, tmp_path)
    asked = replace(hot_run(alone), production_steps=2)
    assert asked.identity({}) != replace(asked, level=f"chgnet:{weights}").identity({})
    run = workshop.run(asked, torn_salt())
    assert "grade" not in run.note
    assert run.domain.share_above is None
    assert run.domain.note.startswith("not watched: no domain lies beside the weights")


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ("vasp-r2scan", "not evaluated by the teacher: vasp-r2scan labels no frames beside a run"),
        ("nep:0123456789ab", "the teacher is not here: unknown trained model"),
    ],
)
def test_a_teacher_that_cannot_check_is_named(made, tmp_path, teacher, said):
    workshop, _, model = made
    (weights,) = workshop.files(model, "weights")
    domain = load_domain(f"chgnet:{weights}")
    domain.teacher = teacher
    copied = moved(weights, tmp_path, domain)
    salt = get_phase("NaCl_B1").structure().to_conventional()
    run = workshop.run(replace(hot_run(copied), production_steps=2), salt)
    assert run.status is Status.OK, run.note
    assert (run.domain.teacher, run.domain.teacher_errors) == (teacher, None)
    assert run.domain.note == said


def test_the_same_settings_are_the_same_step(made):
    workshop, frames, model = made
    assert workshop.run(maker(checkpoint_epochs=2), frames).identity == model.identity
    spelled_out = maker(patience=10, loss="MSE")
    known = {"set0": frames.identity}
    assert spelled_out.identity(known) == model.identity
    others = (maker(epochs=3), maker(frozen=["mlp"]), FineTuneMaker(parent="chgnet-0.3.0"))
    assert len({one.identity(known) for one in (*others, maker())}) == 4


def test_what_cannot_be_learned_from(made):
    workshop, frames, _ = made
    with pytest.raises(InputError, match="labels of different levels cannot be mixed") as caught:
        workshop.run(maker(), [frames, salt_set(workshop, OTHER)])
    assert OTHER in str(caught.value)
    with pytest.raises(InputError, match="a fine-tuning has no frames of train and val") as caught:
        workshop.run(FineTuneMaker(parent=PARENT, formulas=("NaBr",)), frames)
    assert "NaBr" in str(caught.value)
    with pytest.raises(InputError, match="a potential cannot be fine-tuned"):
        workshop.run(FineTuneMaker(parent="chgnet-r2scan-d3"), frames)
    with pytest.raises(InputError, match="unknown settings of a fine-tuning"):
        workshop.run(maker(epoch=2), frames)


def test_a_parent_that_does_not_know_an_element(workshop):
    salt = get_phase("NaCl_B1").structure().to_conventional()
    salt.replace_species({"Na": "Yb"})
    frames = salt_set(workshop, salt=salt)
    with pytest.raises(CoverageError, match="chgnet-r2scan does not cover Yb"):
        workshop.run(maker(), frames)
