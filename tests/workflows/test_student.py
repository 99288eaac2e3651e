"""A student as part of a sweep: planned, run by the workers, kept and found again."""

from __future__ import annotations

import pytest
from pair_potential import LEVEL
from tiny_frames import TINY
from tiny_sweeps import CRYSTAL, tiny_sweep
from trained_models import own_machine, put_model  # noqa: F401  (a fixture)

from haloflow.errors import SweepError
from haloflow.makers.distill import DistillMaker
from haloflow.makers.md import MDMaker
from haloflow.makers.training_set import TrainingSetMaker
from haloflow.stores.connection import open_store
from haloflow.stores.models import TrainedModelDocument
from haloflow.stores.records import step_of
from haloflow.stores.results import stored_output
from haloflow.stores.training import TrainingSetDocument
from haloflow.workflows.models import stored_models
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.run import run_sweep

pytestmark = pytest.mark.usefixtures("own_machine")
STUDENT = {
    "nep": {**TINY, "epochs": 4}, "frames_per_run": 10, "least_distance": 0.02,
    "packing_n_atoms": 12, "packing_density_scales": [0.8], "strains": [0.0, 0.03],
    "trial_steps": 20, "max_rounds": 1, "n_checked": 1, "density_scales": [],
}  # fmt: skip


def test_all_candidates_share_one_student():
    plan = plan_sweep(tiny_sweep(student=STUDENT))
    glass, crystal = plan.candidates
    shared = {name: glass.document.steps[name] for name in ("training_set", "student")}
    assert shared == {name: crystal.document.steps[name] for name in shared}
    steps = {step.name: step for step in glass.steps}
    frames, student = steps["training_set"].maker, steps["student"].maker
    assert isinstance(frames, TrainingSetMaker)
    assert isinstance(student, DistillMaker)
    assert (frames.level, student.level) == (LEVEL, LEVEL)
    assert student.temperatures_k == (300.0, 350.0, 400.0, 600.0)
    runs = [s.identity for c in plan.candidates for s in c.steps if s.kind in ("md", "melt_quench")]
    assert set(steps["training_set"].after) == set(runs)
    assert steps["student"].after == (shared["training_set"],)
    assert plan.core_hours > plan_sweep(tiny_sweep()).core_hours
    assert plan.n_steps == plan_sweep(tiny_sweep()).n_steps + 2
    others = plan_sweep(tiny_sweep(student={**STUDENT, "max_rounds": 2})).candidates[0]
    assert others.document.candidate_id == glass.document.candidate_id
    assert others.document.steps["training_set"] == shared["training_set"]
    assert others.document.steps["student"] != shared["student"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"nep": {"neuron": 4}}, "unknown settings of a NEP student"),
        ({"nep": {"epochs": 0}}, "epochs of a NEP student is out of range"),
        ({"rounds": 3}, "student.rounds"),
    ],
)
def test_wrong_sections_are_refused(section, message):
    with pytest.raises(SweepError) as caught:
        tiny_sweep(student=section)
    assert message in str(caught.value)


def test_a_teacher_has_a_name():
    with pytest.raises(SweepError, match=r"student\.teacher: a student needs a teacher"):
        plan_sweep(tiny_sweep(student=STUDENT, stages={"md": "auto"}))
    named = tiny_sweep(student={**STUDENT, "teacher": LEVEL}, stages={"md": "auto"})
    assert plan_sweep(named).candidates[0].document.steps["student"]


CHECK = {"diffusion_temperatures_k": [350], "diffusion_steps": 80, "long_steps": 40}


def test_a_check_comes_after_the_student_and_the_teachers_runs():
    plain = plan_sweep(tiny_sweep(student=STUDENT))
    plan = plan_sweep(tiny_sweep(student={**STUDENT, "check": CHECK}))
    glass, crystal = plan.candidates
    steps = {step.name: step for step in crystal.steps}
    moving, check = steps["student-md-350K"], steps["student_check"]
    assert plan.n_steps == plain.n_steps + 2
    assert plan.core_hours > plain.core_hours
    assert isinstance(moving.maker, MDMaker)
    assert (moving.maker.level, moving.maker.production_steps) == (LEVEL, 80)
    assert moving.after == ((glass.document.steps["melt_quench-seed1"]),)
    mine = {name for name in glass.document.steps if name.startswith("md-")}
    assert {glass.document.steps[name] for name in mine} < set(check.after)
    assert {steps["student"].identity, moving.identity} < set(check.after)
    assert check.maker.long_temperatures_k == (300.0, 350.0, 400.0)
    assert glass.document.steps["student"] == plain.candidates[0].document.steps["student"]


@pytest.mark.parametrize(
    "changes", [{"systems": [CRYSTAL]}, {"stages": {"md": "chgnet-r2scan"}}], ids=["glass", "md"]
)
def test_a_check_needs_runs_of_the_teacher(changes):
    student = {**STUDENT, "teacher": LEVEL, "check": CHECK}
    with pytest.raises(SweepError, match=r"student\.check: the teacher runs no glass"):
        plan_sweep(tiny_sweep(student=student, **changes))


def test_a_parent_without_its_frames_is_refused(tmp_path):
    with open_store(tmp_path / "store") as store:
        name = f"nep:{put_model(store, 1).weights_sha256[:12]}"
        with pytest.raises(SweepError, match=r"student\.parent") as caught:
            plan_sweep(tiny_sweep(student={**STUDENT, "parent": name}), store)
    assert f"{name}, no frames 111111111111" in str(caught.value)


def test_a_sweep_trains_its_student_and_runs_nothing_twice(tmp_path):
    sweep = tiny_sweep(student={**STUDENT, "check": CHECK})
    store_folder = str(tmp_path / "store")
    report = run_sweep(sweep, store_folder, workers=2)
    assert report.failures == []
    with open_store(store_folder) as store:
        steps = report.plan.candidates[0].document.steps
        frames, student = (
            step_of(stored_output(store, steps[name])) for name in ("training_set", "student")
        )
        assert isinstance(frames, TrainingSetDocument)
        assert isinstance(student, TrainedModelDocument)
        assert {group.origin for group in frames.groups} == {
            "melt_quench", "md", "crystal", "packing",
        }  # fmt: skip
        assert student.teacher == LEVEL
        checked = step_of(stored_output(store, steps["student_check"]))
        assert checked.weights_sha256 == student.weights_sha256
        assert [run.temperature_k for run in checked.check.runs] == [300, 400, 350]
        assert len(checked.check.long_runs) == 3
        assert set(student.errors_by_temperature) == {"300 to 600 K"}
        assert [model.document.identity for model in stored_models(store)] == [student.identity]
        _goes_on(store, student, steps)
    again = run_sweep(sweep, store_folder, workers=2)
    assert (again.n_done, again.n_failed) == (0, 0)


def _goes_on(store, student, steps):
    """Plan a sweep that runs at the student's level and teaches it what it finds there."""
    name = f"nep:{student.weights_sha256[:12]}"
    asked = tiny_sweep(student={**STUDENT, "parent": name}, stages={"md": name})
    planned = {step.name: step for step in plan_sweep(asked, store).candidates[0].steps}
    assert planned["md-seed1-300K"].maker.level == name
    assert planned["training_set"].parents["set0"] == steps["training_set"]
    assert planned["student"].parents["parent"] == steps["student"]
    assert {planned[n].maker.level for n in ("training_set", "student")} == {LEVEL}, "its teacher"
    for given, allowed in (("nep:ffffffffffff", name), (name, "no store")):
        with pytest.raises(SweepError, match=r"student\.parent: the store does not hold") as caught:
            plan_sweep(
                tiny_sweep(student={**STUDENT, "parent": given}),
                None if allowed == "no store" else store,
            )
        assert allowed in str(caught.value)
