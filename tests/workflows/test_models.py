"""Trained models of a store, and which of them `auto` takes, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Composition
from tiny_frames import rattled_salt
from tiny_sweeps import CRYSTAL, GLASS, tiny_sweep
from trained_models import (  # noqa: F401  (a fixture)
    ERRORS,
    change_machine,
    fine_tuning,
    own_machine,
    put_check,
    put_model,
)

from haloflow.engines import availability
from haloflow.engines.domain import NepDomain
from haloflow.engines.potentials import identify
from haloflow.errors import CoverageError, InputError, UnknownNameError
from haloflow.identity import step_uuid
from haloflow.makers.domain_check import domain_of_level
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.workflows.models import (
    RunDomain,
    choose_model,
    find_model,
    known_models,
    misses,
    stored_models,
)
from haloflow.workflows.plan import plan_sweep

pytestmark = pytest.mark.usefixtures("own_machine")


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as opened:
        yield opened


def salt(kelvin=(300.0, 600.0), formula="NaCl"):
    return RunDomain(Composition(formula), kelvin)


def test_the_fastest_that_covers_the_run(store):
    slow, fast = put_model(store, 1, us=60.0), put_model(store, 2, us=20.0)
    broken = put_model(store, 3, us=5.0, status=Status.OUT_OF_DOMAIN)
    models = stored_models(store)
    assert [m.document.identity for m in models] == [broken.identity, fast.identity, slow.identity]
    choice = choose_model(models, salt())
    assert choice.model.identity == fast.identity
    assert identify(choice.name).weights_sha256 == fast.weights_sha256
    assert choice.reason == (
        f"{fast.level} is the fastest model that covers it (20 us per atom and step, "
        "forces 76 meV/A off; teacher chgnet-r2scan-d3)"
    )


def test_a_student_that_a_check_found_wrong_is_not_taken(store):
    fast, slow = put_model(store, 1, us=5.0), put_model(store, 2, us=60.0)
    put_check(store, fast)
    assert choose_model(stored_models(store), salt()).model.identity == slow.identity
    (checked, _) = stored_models(store)
    choice = choose_model([checked], salt(), "chgnet-r2scan-d3")
    assert choice.model is None
    assert (
        "it differs from its teacher: NaCl at 300 K: density / g/cm3 2.3, teacher 2"
        in choice.reason
    )


def test_a_check_that_cannot_be_read_is_named(store):
    document = put_check(store, put_model(store, 1))
    damaged = document.model_dump(mode="json") | {"check": "gone"}
    store.outputs.update(
        [{"uuid": step_uuid(document.identity), "index": 1, "output": damaged}], key="uuid"
    )
    known = known_models(store)
    assert sum(not model.is_shipped for model in known.models) == 1
    (note,) = known.notes
    assert note.startswith(f"check {document.identity[:12]} cannot be used: ")


def test_auto_takes_no_model_that_cannot_be_evaluated_here(store, monkeypatch):
    put_model(store, 1)
    monkeypatch.setitem(availability._EVALUATED_BY, "nep", "not-a-package")
    choice = choose_model(stored_models(store), salt(), "chgnet-r2scan-d3")
    assert choice.model is None
    assert "not-a-package is not installed here: pip install" in choice.reason
    assert "haloflow[nep]" in choice.reason


def test_auto_takes_no_bad_model_and_none_of_another_teacher(store):
    """Forces 5 eV/A off, an unfinished training, labels of another functional."""
    good = put_model(store, 1, us=60.0)
    (sound,) = stored_models(store)
    wrong = ERRORS.model_copy(update={"force_mae_mev_a": 5000.0})
    bad = {
        "its test forces are 5000 meV/A off, 120 allowed": {"errors": {"test": wrong}},
        "its errors on test frames are not known": {"errors": {}},
        "no epoch of its training was better": {"fine_tuning": fine_tuning([1.0, 2.0])},
        "its teacher is chgnet-0.3.0, not chgnet-r2scan-d3": {"teacher": "chgnet-0.3.0"},
    }
    models = [
        replace(sound, document=good.model_copy(update={"us_per_atom_step": 1.0, **changes}))
        for changes in bad.values()
    ]
    choice = choose_model([*models, sound], salt(), "chgnet-r2scan-d3")
    assert choice.model.identity == good.identity
    assert choice.model.us_per_atom_step == 60.0
    choice = choose_model(models, salt(), "chgnet-r2scan-d3")
    assert choice.model is None
    for why in bad:
        assert why in choice.reason


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (salt((300.0, 900.0)), "300 to 900 K are asked, it knows 200 to 700 K"),
        (salt((100.0, 300.0)), "100 to 300 K are asked, it knows 200 to 700 K"),
        (salt(formula="Na2O"), "it does not know O"),
        (salt(formula="Na3Cl2"), "0.60 of the atoms are Na, it knows 0.50 to 0.50"),
    ],
    ids=["hot", "cold", "element", "composition"],
)
def test_a_miss_says_where(store, run, why):
    document = put_model(store, 1)
    assert why in misses(document, run)
    with pytest.raises(InputError, match="no trained model covers") as caught:
        choose_model(stored_models(store), run)
    assert why in str(caught.value)
    assert "`student` in a sweep file" in str(caught.value)
    choice = choose_model(stored_models(store), run, "chgnet-r2scan-d3")
    assert choice.name == "chgnet-r2scan-d3"
    assert choice.model is None
    assert why in choice.reason


def test_compositions_between_those_of_its_frames_are_covered(store):
    document = put_model(store, 1, formulas=("NaCl", "Na3Cl"))
    assert misses(document, salt(formula="Na2Cl")) == []
    assert misses(document, salt(formula="NaCl2")) != []


def test_models_whose_files_are_gone_are_not_offered(store, tmp_path, monkeypatch):
    document = put_model(store, 1)
    assert len(stored_models(store)) == 1
    (store.files_dir / document.files[0].path).unlink()
    assert len(stored_models(store)) == 1, "this machine has it by now"
    change_machine(monkeypatch, tmp_path / "machine-b")
    assert stored_models(store) == []
    (note,) = known_models(store).notes
    assert note.startswith(f"nep:{document.weights_sha256[:12]} cannot be used: the files of a")
    assert "student.nep.txt" in note
    plan = plan_sweep(tiny_sweep(stages={"md": "auto"}, systems=[GLASS]), store)
    assert note in plan.warnings
    with pytest.raises(InputError) as caught:
        choose_model([], salt())
    assert "the store holds no trained model" in str(caught.value)


def test_a_model_that_another_machine_trained(store, tmp_path, monkeypatch):
    """Fetched files lie in a cache, each by itself; a domain belongs beside its weights."""
    document = put_model(store, 1)
    cache = {}
    for file in document.files:
        cache[file.path] = tmp_path / file.sha256
        (store.files_dir / file.path).rename(cache[file.path])
    monkeypatch.setattr(store.files, "local", lambda file: cache[file.path])
    (model,) = stored_models(store)
    assert model.name == f"nep:{document.weights_sha256[:12]}"
    assert dict(identify(model.name).settings)["domain"].startswith("student.nep.domain.npz@")


def test_auto_in_a_sweep_says_what_it_took_and_why(store):
    document = put_model(store, 1, kelvin=(250.0, 700.0))
    asked = {"stages": {"melt_quench": "auto", "md": "auto"}}
    plan = plan_sweep(tiny_sweep(**asked), store)
    for candidate in plan.candidates:
        assert candidate.document.levels["md"] == document.level
        assert f"md: auto is {document.level} is the fastest" in " ".join(candidate.notes)
    steps = {step.name: step for step in plan.candidates[0].steps}
    assert steps["md-seed1-300K"].maker.level.startswith("nep:")
    assert steps["relax-seed1"].maker.level == tiny_sweep().stages.relax
    hot = plan_sweep(tiny_sweep(**asked, md={"temperatures_k": [300, 900]}), store)
    glass, crystal = hot.candidates
    assert glass.document.levels["md"] == "chgnet-r2scan-d3"
    assert glass.document.levels["melt_quench"] == document.level
    assert crystal.document.levels["md"] == document.level, "it is asked for 300 K only"
    assert any("300 to 900 K are asked" in warning for warning in hot.warnings)
    assert glass.document.candidate_id != plan.candidates[0].document.candidate_id


def test_auto_of_every_stage_keeps_the_hull_at_one_level(store):
    put_model(store, 1, kelvin=(250.0, 700.0))
    (plan,) = plan_sweep(tiny_sweep(level="auto", systems=[CRYSTAL]), store).candidates
    assert plan.document.levels["relax"] == plan.document.levels["hull"] == "chgnet-r2scan"
    assert plan.document.levels["md"].startswith("nep:student.nep.txt@")


def test_auto_without_a_store_falls_back(monkeypatch):
    plan = plan_sweep(tiny_sweep(stages={"md": "auto"}, systems=[GLASS]))
    assert plan.candidates[0].document.levels["md"] == "chgnet-r2scan-d3"
    assert "the store holds no trained model" in " ".join(plan.warnings)
    strange = {
        "components": {"YbCl3": 1, "NaCl": 1}, "phase": "glass",
        "oxidation_states": {"YbCl3": {"Yb": 3, "Cl": -1}}, "volumes_a3": {"YbCl3": 100},
    }  # fmt: skip
    with pytest.raises(CoverageError, match=r"stages\.md: chgnet-r2scan-d3 does not cover Yb"):
        plan_sweep(tiny_sweep(stages={"md": "auto"}, systems=[strange]))


def test_grades_of_a_stored_model_are_those_it_was_stored_with(store):
    document = put_model(store, 1)
    (model,) = stored_models(store)
    frame = rattled_salt(1, seed=1)[0]
    there = NepDomain.load(store.files_dir / document.files[0].path).grade(frame)
    assert domain_of_level(model.name).grade(frame) == there
    assert np.isfinite(there)


def test_a_model_is_found_by_the_start_of_its_hash(store):
    document = put_model(store, 1)
    put_model(store, 2)
    models = stored_models(store)
    assert find_model(models, document.weights_sha256[:6]).document.identity == document.identity
    for wrong in ("zz", ""):
        with pytest.raises(UnknownNameError, match="trained model"):
            find_model(models, wrong)
