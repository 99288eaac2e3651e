"""Fine-tuning as part of a sweep: planned, run by the workers, kept, and found by `auto`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pair_potential import LEVEL
from tiny_sweeps import CRYSTAL, GLASS, tiny_sweep
from trained_models import ERRORS, own_machine  # noqa: F401  (a fixture)
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.dashboard.collect import collect_report
from haloflow.dashboard.report import render_report
from haloflow.engines.domain import domain_path
from haloflow.engines.trained_models import DOMAIN, WEIGHTS, find_trained
from haloflow.errors import CoverageError, InputError, SweepError
from haloflow.makers.finetune import FineTuneMaker
from haloflow.makers.training_set import TrainingSetMaker
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.models import TrainedModelDocument
from haloflow.stores.records import step_of
from haloflow.stores.results import stored_output
from haloflow.workflows.managers.resources import Usual, resources_of
from haloflow.workflows.models import RunDomain, choose_model, stored_models
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.run import run_sweep

FINE_TUNE = {
    "training": {"epochs": 2, "batch": 4}, "frames_per_run": 4, "least_distance": 0.02,
    "packing_n_atoms": 12, "packing_density_scales": [0.8], "strains": [0.0],
    "rattles_a": [0.1],
}  # fmt: skip


def asking(**changes):
    section = {**FINE_TUNE, **changes.pop("fine_tune", {})}
    return tiny_sweep(**{"systems": [GLASS], "fine_tune": section, **changes})


def test_each_candidate_has_a_model_of_its_own():
    plan = plan_sweep(asking())
    (glass,) = plan.candidates
    steps = {step.name: step for step in glass.steps}
    frames, model = steps["fine_tune_frames"], steps["fine_tune"]
    assert isinstance(frames.maker, TrainingSetMaker)
    assert isinstance(model.maker, FineTuneMaker)
    assert (frames.maker.level, model.maker.parent) == (LEVEL, "chgnet-r2scan")
    assert model.maker.training == {"seed": 1, "epochs": 2, "batch": 4}
    runs = {step.identity for step in glass.steps if step.kind in ("md", "melt_quench")}
    assert set(frames.after) == runs
    assert model.after == (frames.identity,)
    without = plan_sweep(tiny_sweep(systems=[GLASS]))
    assert plan.n_steps == without.n_steps + 2
    assert plan.core_hours > without.core_hours
    assert plan.candidates[0].document.candidate_id == without.candidates[0].document.candidate_id


def test_a_family_shares_one_model():
    plan = plan_sweep(asking(systems=[GLASS, CRYSTAL], fine_tune={"scope": "sweep"}))
    first, second = (plan.document.steps for plan in plan.candidates)
    assert first["fine_tune"] == second["fine_tune"]
    student = {**FINE_TUNE, "nep": {"epochs": 4}, "max_rounds": 1}
    del student["training"]
    both = plan_sweep(
        asking(systems=[GLASS, CRYSTAL], fine_tune={"scope": "sweep"}, student=student)
    )
    steps = both.candidates[0].document.steps
    assert steps["training_set"] == steps["fine_tune_frames"], "the same frames are labelled once"


def test_a_small_mace_instead():
    plan = plan_sweep(asking(fine_tune={"mace": {"channels": 8}, "parent": "nothing"}))
    (model,) = (step for step in plan.candidates[0].steps if step.name == "fine_tune")
    assert model.maker.mace == {"seed": 1, "channels": 8}
    assert model.maker.levels == ()
    asked = resources_of(model, plan.sweep, Usual(threads=2, device="cuda"))
    assert (asked.cores, asked.gpus) == (2, 1)


def test_a_student_may_be_a_mace():
    section = {key: value for key, value in FINE_TUNE.items() if key != "training"}
    asked = section | {"architecture": "mace", "mace": {"channels": 8}, "training": {"epochs": 3}}
    plan = plan_sweep(tiny_sweep(systems=[GLASS], student=asked))
    steps = {step.name: step for step in plan.candidates[0].steps}
    maker = steps["student"].maker
    assert isinstance(maker, FineTuneMaker)
    assert maker.mace == {"seed": 1, "channels": 8}
    assert maker.training == {"seed": 1, "epochs": 3}
    assert steps["student"].after == (steps["training_set"].identity,)
    for wrong, said in (
        ({"mace": {"layers": 1}}, "unknown settings of a MACE student"),
        ({"training": {"epoch": 1}}, "unknown settings of a fine-tuning"),
        ({"check": {"long_steps": 20}}, "check is for students of the architecture nep"),
        ({"architecture": "nep"}, "mace and training are for students of the architecture mace"),
    ):
        with pytest.raises(SweepError) as caught:
            tiny_sweep(systems=[GLASS], student=asked | wrong)
        assert said in str(caught.value)


def test_a_candidate_with_too_few_runs():
    with pytest.raises(SweepError, match="has too few runs to learn from") as caught:
        plan_sweep(asking(systems=[CRYSTAL]))
    assert "1 melts and MD runs" in str(caught.value)
    assert "scope: sweep" in str(caught.value)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"training": {"epoch": 4}}, "unknown settings of a fine-tuning"),
        ({"training": {"batch": 0}}, "batch of a fine-tuning is out of range"),
        ({"mace": {"layers": 2}}, "unknown settings of a MACE student"),
        ({"scope": "family"}, "fine_tune.scope"),
        ({"rounds": 3}, "fine_tune.rounds"),
    ],
)
def test_wrong_sections_are_refused(section, message):
    with pytest.raises(SweepError) as caught:
        asking(fine_tune=section)
    assert message in str(caught.value)


def test_levels_that_cannot_teach_or_learn():
    with pytest.raises(SweepError, match=r"fine_tune\.teacher: a fine-tune needs a teacher"):
        plan_sweep(asking(stages={"md": "auto"}))
    nep = {"teacher": "vasp-r2scan", "nep": {"epochs": 4}, "max_rounds": 1}
    with pytest.raises(SweepError, match=r"student\.teacher: a NEP has frames of its own runs"):
        plan_sweep(tiny_sweep(systems=[GLASS], student=nep))
    with pytest.raises(InputError, match=r"fine_tune\.parent: a potential cannot be fine-tuned"):
        plan_sweep(asking(fine_tune={"parent": "chgnet-r2scan-d3"}))
    radium = {"components": {"NaCl": 1, "RaCl2": 1}, "phase": "glass",
              "volumes_a3": {"RaCl2": 90.0},
              "oxidation_states": {"RaCl2": {"Ra": 2, "Cl": -1}}}  # fmt: skip
    with pytest.raises(CoverageError, match=r"fine_tune\.parent: chgnet-r2scan does not cover Ra"):
        plan_sweep(asking(systems=[radium]))


@pytest.mark.usefixtures("own_machine")
def test_a_sweep_fine_tunes_and_auto_finds_out_how_good_the_model_is(tmp_path):
    sweep = asking()
    store_folder = str(tmp_path / "store")
    report = run_sweep(sweep, store_folder, workers=1)
    assert report.failures == []
    with open_store(store_folder) as store:
        identity = report.plan.candidates[0].document.steps["fine_tune"]
        model = step_of(stored_output(store, identity))
        assert isinstance(model, TrainedModelDocument)
        assert model.architecture == "chgnet"
        assert model.teacher == LEVEL
        (stored,) = stored_models(store)
        assert stored.document.weights_sha256 == model.weights_sha256
        assert stored.name == f"chgnet:{model.weights_sha256[:12]}"
        beside = domain_path(find_trained(stored.name).path(WEIGHTS))
        assert beside == find_trained(stored.name).path(DOMAIN)
        assert beside.name == "Cl-Na.chgnet.domain.npz"
        cold, hot = model.domain.temperature_k
        run = RunDomain(report.plan.candidates[0].candidate.mixture.composition, (cold, hot))
        assert (model.status, model.errors["test"].force_mae_mev_a > 120) == (
            Status.OUT_OF_DOMAIN, True,
        ), "two epochs are no training"  # fmt: skip
        with pytest.raises(InputError, match="no trained model covers NaCl") as caught:
            choose_model([stored], run)
        assert f"it is out_of_domain: {model.note}" in str(caught.value)
        trained = {"status": Status.OK, "errors": {"test": ERRORS}, "fine_tuning": None}
        good = replace(stored, document=model.model_copy(update=trained))
        assert choose_model([good], run).name == stored.name
        pupil = {"teacher": stored.name, "nep": {"epochs": 4}, "max_rounds": 1}
        steps = plan_sweep(tiny_sweep(systems=[GLASS], student=pupil), store).candidates[0].steps
        assert {s.maker.level for s in steps if s.name in ("training_set", "student")} == {
            stored.name
        }
        page = render_report(collect_report(store))
    assert "Potential against labels" in page
    assert "Training of the potential" in page
    asked = ["models", model.weights_sha256[:8], "--store", store_folder]
    card = CliRunner().invoke(app, asked).stdout
    for said in (
        "began with: chgnet-r2scan; ",
        "that one's errors, test: ",
        "references moved by: ",
        "its runs are watched, and end where an atom's grade passes 10",
    ):
        assert said in card
    assert "training: 2 epochs, the best is" in card
    again = run_sweep(sweep, store_folder, workers=1)
    assert (again.n_done, again.n_failed) == (0, 0)
