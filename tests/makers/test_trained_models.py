"""Trained models by their checksum: found, brought, verified, and the same on every machine."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from jobflow import run_locally
from kept_elsewhere import Elsewhere
from tiny_sweeps import CRYSTAL, GLASS, tiny_sweep
from trained_models import change_machine, own_machine, put_model  # noqa: F401  (a fixture)

from haloflow.engines import trained_models
from haloflow.engines.potentials import identify, level_of, require_coverage
from haloflow.engines.trained_models import (
    digits_of,
    find_trained,
    keep_model,
    models_folder,
    models_here,
    name_of,
)
from haloflow.errors import CoverageError, InputError, PotentialError, UnknownNameError
from haloflow.identity import file_sha256
from haloflow.makers.md import MDMaker
from haloflow.makers.step import plan_job, release_claims
from haloflow.makers.trained_models import bring_model, bring_models
from haloflow.settings import cache_folder
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of
from haloflow.stores.results import stored_output
from haloflow.stores.step_files import trim_cache
from haloflow.systems.phases import get_phase
from haloflow.workflows.managers.worker_checks import _check_weights
from haloflow.workflows.plan import plan_sweep

pytestmark = pytest.mark.usefixtures("own_machine")


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("nep:0123456789ab", "0123456789ab"),
        ("mace:0123456789ab?dtype=float32", "0123456789ab"),
        ("nep:Cl-Na.nep.txt@0123456789ab", "0123456789ab"),
        ("nep:./0123456789ab", None),
        ("nep:models/nep.txt", None),
        ("nep:0123", None),
        ("ase:0123456789ab:Pair", None),
        ("chgnet-r2scan", None),
    ],
)
def test_which_names_are_checksums(name, digits):
    assert digits_of(name) == digits


def test_the_name_of_a_level():
    level = "mace:own.model@0123456789ab?dtype=float32"
    assert name_of(level) == "mace:0123456789ab?dtype=float32"
    assert name_of("chgnet-r2scan") == "chgnet-r2scan"


def test_a_plan_of_one_machine_is_run_by_another(tmp_path, monkeypatch, request):
    """They share a store and a place of files, but no folder."""
    elsewhere = Elsewhere("folder", tmp_path, request)
    elsewhere.use()
    with elsewhere.opened("a") as store:
        document = put_model(store, 1)
        name = f"nep:{document.weights_sha256[:12]}"
        for file in document.files:
            store.files.put(store.files_dir / file.path, file.sha256)
        asked = tiny_sweep(systems=[CRYSTAL], stages={"md": name})
        (candidate,) = plan_sweep(asked, store).candidates
        by_path = MDMaker(level=f"nep:{store.files_dir / document.files[0].path}")
        assert MDMaker(level=name).identity({}) == by_path.identity({}), "as it was by its path"
    assert candidate.document.levels["md"] == document.level == level_of(name)
    (planned,) = [step for step in candidate.steps if step.name == "md-300K"]
    assert planned.maker.level == name

    change_machine(monkeypatch, tmp_path / "machine-b")
    assert models_here() == []
    maker = planned.maker
    salt = get_phase("NaCl_B1").structure()
    with elsewhere.opened("b") as store:
        identity = planned.identity
        job = plan_job(maker, {"start": salt}, planned.parents, name="md", identity=identity)
        run_locally(job, log=False, store=store.jobstore, raise_immediately=True)
        release_claims()
        ran = step_of(stored_output(store, identity))
        assert not (store.files_dir / document.files[0].path).exists()
    assert ran.level == document.level
    assert ran.domain.n_graded > 0, "its domain came along"
    (here,) = models_here()
    assert here.weights_sha256 == document.weights_sha256
    assert here.path("weights").is_relative_to(tmp_path / "machine-b")


def test_a_name_that_no_one_knows(store):
    document = put_model(store, 1)
    known = f"nep:{document.weights_sha256[:12]}"
    with pytest.raises(UnknownNameError, match="unknown trained model") as caught:
        bring_models(["nep:ffffffffffff"], store)
    assert known in str(caught.value.allowed)
    assert "name the store that trained it" in caught.value.remedy
    with pytest.raises(UnknownNameError, match="trained model"):
        plan_sweep(tiny_sweep(stages={"md": known}))
    with pytest.raises(UnknownNameError, match="trained model"):
        bring_models([known.replace("nep:", "mace:")], store)
    bring_models([known], store)
    assert plan_sweep(tiny_sweep(stages={"md": known})).n_steps


def test_what_was_changed_on_this_machine_is_brought_again(store):
    document = put_model(store, 1)
    model = bring_model(document, store.files)
    weights = model.path("weights")
    assert weights.parent.parent == models_folder()
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-5] + b"9.9\n\n")
    with pytest.raises(PotentialError, match="a file of a trained model is not what it was"):
        identify(model.name)
    bring_models([model.name], store)
    assert weights.read_bytes() == whole
    model.path("domain").unlink()
    with pytest.raises(PotentialError) as caught:
        find_trained(model.name)
    assert "student.nep.domain.npz (No such file or directory)" in str(caught.value)
    assert str(weights.parent) in caught.value.remedy
    bring_models([model.name], store)
    model.card.write_text("{")
    assert models_here() == []
    bring_models([model.name], store)
    assert find_trained(model.name) == model


def test_many_may_bring_the_same_model_at_once(store):
    document = put_model(store, 1)
    sources = {
        role: store.files_dir / file.path
        for role, file in zip(("weights", "domain"), document.files, strict=True)
    }
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(keep_model, document.model_dump_json(), sources) for _ in range(24)]
        kept = {job.result(timeout=60) for job in jobs}
    assert kept == {find_trained(f"nep:{document.weights_sha256[:12]}")}
    assert len([*models_folder().rglob("*.*")]) == 3


def test_files_that_are_damaged_in_the_store_are_refused(store):
    document = put_model(store, 1)
    path = store.files_dir / document.files[1].path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(PotentialError, match="cannot be had") as caught:
        bring_model(document, store.files)
    assert "a file of a trained model was changed" in str(caught.value)
    assert models_here() == []
    assert not list(models_folder().rglob("*.part"))
    bare = document.model_copy(update={"files": document.files[:1]})
    with pytest.raises(PotentialError, match="cannot be had") as caught:
        bring_model(bare, store.files)
    assert "names no domain" in str(caught.value)


def test_a_document_that_names_other_weights_is_refused(store, tmp_path):
    document = put_model(store, 1)
    other = put_model(store, 2)
    lying = document.model_copy(update={"weights_sha256": other.weights_sha256})
    sources = {
        role: store.files_dir / file.path
        for role, file in zip(("weights", "domain"), document.files, strict=True)
    }
    for wrong in (lying, document.model_copy(update={"weights_sha256": "../" * 3})):
        with pytest.raises(PotentialError, match="names other weights than its files") as caught:
            keep_model(wrong.model_dump_json(), sources)
        assert document.weights_sha256[:12] in str(caught.value)
    with pytest.raises(PotentialError, match="cannot be had"):
        bring_model(lying, store.files)
    assert models_here() == []
    model = bring_model(document, store.files)
    model.card.write_text(lying.model_dump_json())
    assert models_here() == [], "a card that lies is none"


@pytest.mark.parametrize("stage", ["fine_tune.teacher", "fine_tune.parent", "neb.level"])
def test_every_level_that_a_sweep_names_is_brought(stage, store, tmp_path, monkeypatch):
    name = f"nep:{put_model(store, 1).weights_sha256[:12]}"
    section, field = stage.split(".")
    asked = tiny_sweep(systems=[GLASS], **{section: {field: name}})
    change_machine(monkeypatch, tmp_path / "machine-b")
    assert models_here() == []
    if stage == "fine_tune.parent":
        with pytest.raises(InputError, match=r"fine_tune\.parent: .* cannot be fine-tuned"):
            plan_sweep(asked, store)
    else:
        assert plan_sweep(asked, store).n_steps
    assert [model.name for model in models_here()] == [name]
    assert asked.levels()[stage] == name


def test_a_trained_model_says_what_it_covers_before_it_is_loaded(tmp_path):
    weights = tmp_path / "Cl-Na.mace.model"
    weights.write_bytes(b"weights")
    sha256 = file_sha256(weights)
    card = {
        "architecture": "mace", "level": f"mace:{weights.name}@{sha256[:12]}", "teacher": "t",
        "weights_sha256": sha256, "domain": {"elements": ["Cl", "Na"]},
        "files": [{"role": "weights", "path": weights.name, "sha256": sha256}],
    }  # fmt: skip
    name = keep_model(json.dumps(card), {"weights": weights}).name
    assert identify(name).elements == ("Cl", "Na")
    with pytest.raises(CoverageError, match=f"{name} does not cover Ta"):
        require_coverage(identify(name), ["Na", "Ta"])


def test_a_worker_that_examines_itself_brings_the_models(store):
    document = put_model(store, 1)
    name = f"nep:{document.weights_sha256[:12]}"
    (check,) = _check_weights(store, {name: document.weights_sha256})
    assert (check.subject, check.verdict) == (name, "ok")
    (check,) = _check_weights(store, {"nep:ffffffffffff": "f" * 64})
    assert check.verdict == "problem"


def test_trimming_the_cache_leaves_models_alone(store):
    model = bring_model(put_model(store, 1), store.files)
    trim_cache(cache_folder(), 0.0)
    assert find_trained(model.name).damage() == ""


def test_a_model_of_the_package_is_the_same_potential(store, tmp_path, monkeypatch):
    """Its files have the name of a family there; identities have that of the training."""
    model = bring_model(put_model(store, 1), store.files)
    before = identify(model.name)
    shipped = tmp_path / "students"
    shipped.mkdir()
    for role, ending in (("weights", "nep.txt"), ("domain", "nep.domain.npz")):
        (shipped / f"na-cl.{ending}").write_bytes(model.path(role).read_bytes())
    (shipped / "na-cl.json").write_bytes(model.card.read_bytes())
    monkeypatch.setattr(trained_models, "SHIPPED", shipped)
    found = find_trained(model.name)
    assert found.is_shipped
    assert found.path("weights") == shipped / "na-cl.nep.txt"
    assert identify(model.name) == before
    change_machine(monkeypatch, tmp_path / "machine-b")
    assert identify(model.name) == before
    (shipped / "na-cl.nep.txt").write_text("nep4 1 Na\n")
    with pytest.raises(PotentialError) as caught:
        identify(model.name)
    assert caught.value.remedy == "reinstall haloflow"


def test_a_damaged_model_of_the_package_hides_no_good_one(store, tmp_path, monkeypatch):
    model = bring_model(put_model(store, 1), store.files)
    shipped = tmp_path / "students"
    shipped.mkdir()
    (shipped / "na-cl.nep.txt").write_text("nep4 1 Na\n")
    (shipped / "na-cl.json").write_bytes(model.card.read_bytes())
    monkeypatch.setattr(trained_models, "SHIPPED", shipped)
    assert find_trained(model.name) == model
    assert [found.is_shipped for found in models_here()] == [False]
