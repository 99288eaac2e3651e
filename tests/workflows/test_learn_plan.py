"""The rounds of a sweep that learns, before anything runs."""

from __future__ import annotations

import pytest
from learning_store import put, put_set, put_student
from tiny_sweeps import CRYSTAL, GLASS, tiny_sweep
from trained_models import own_machine  # noqa: F401  (a fixture)

from haloflow.errors import SweepError
from haloflow.makers.learned_md import LearnedMDMaker
from haloflow.stores.connection import open_store
from haloflow.workflows.learning import in_order
from haloflow.workflows.managers.task import Ending, Orders, run_queued
from haloflow.workflows.outdated import outdated_results
from haloflow.workflows.plan import plan_sweep

pytestmark = pytest.mark.usefixtures("own_machine")
SHARED = ["training_set-round1", "student-round1", "training_set-round2", "student-round2"]
ENSEMBLE = {"n_frames": 2, "temperature_k": 400}


@pytest.fixture
def held(tmp_path):
    with open_store(tmp_path / "store") as store:
        student, name = put_student(store)
        yield store, student, name


def learning(name, md=None, **changes):
    section = {"parent": name, "learn": True} | changes.pop("student", {})
    return tiny_sweep(stages={"md": md or name}, student=section, **changes)


def named(plan, number=0):
    return {step.name: step for step in plan.candidates[number].steps}


def test_rounds_are_shared_and_analyses_take_the_last_runs(held):
    store, student, name = held
    plain = plan_sweep(tiny_sweep(stages={"md": name}, ensemble=ENSEMBLE), store)
    plan = plan_sweep(learning(name, ensemble=ENSEMBLE), store)
    glass, crystal = named(plan), named(plan, 1)
    assert {n: glass[n].identity for n in SHARED} == {n: crystal[n].identity for n in SHARED}
    first = [*(glass[f"round0-md-seed1-{t}K"] for t in (300, 400)), crystal["round0-md-300K"]]
    before = {s.identity for s in plain.steps.values() if s.kind == "md"}
    assert {step.identity for step in first} == before, "shared with sweeps that do not learn"
    frames, taught = glass["training_set-round1"], glass["student-round1"]
    assert set(frames.after) == before
    assert frames.parents["set0"] == "7" * 64
    assert taught.parents == {"training_set": frames.identity, "parent": student.identity}
    second = glass["training_set-round2"]
    assert second.parents["set0"] == frames.identity
    assert {glass["round1-md-seed1-300K"].identity, frames.identity} < set(second.after)
    assert glass["student-round2"].parents["parent"] == taught.identity
    last = glass["md-seed1-300K"]
    assert isinstance(last.maker, LearnedMDMaker)
    assert last.parents == first[0].parents | {
        "run": glass["round1-md-seed1-300K"].identity,
        "student": glass["student-round2"].identity,
    }
    for stage in ("diffusion", "transport", "structure", "landscape"):
        step = glass[f"{stage}-seed1"]
        assert set(step.after) == {glass[f"md-seed1-{t}K"].identity for t in (300, 400)}
        assert set(step.parents.values()) == set(step.after)
        used = {reference.uuid for reference in step.inputs["runs"]}
        assert used == {glass[f"md-seed1-{t}K"].to_job().uuid for t in (300, 400)}
    assert glass["frame-seed1-400K-01"].after == (glass["md-seed1-400K"].identity,)
    assert glass["frame-seed1-400K-01"].identity in glass["ensemble-seed1"].after
    kept = {"melt_quench-seed1", "relax-seed1", "hull-seed1"}
    assert {glass[n].identity for n in kept} == {named(plain)[n].identity for n in kept}


def test_parents_come_first_and_steps_are_those_of_the_document(held):
    store, _, name = held
    plan = plan_sweep(learning(name, seeds=2), store)
    seen = set()
    for identity, step in in_order(plan.steps).items():
        assert seen.issuperset(step.after)
        seen.add(identity)
    assert seen == plan.steps.keys()
    for candidate in plan.candidates:
        assert candidate.document.steps == {s.name: s.identity for s in candidate.steps}
        own = set()
        for step in candidate.steps:
            assert (set(step.after) & {s.identity for s in candidate.steps}) <= own
            own.add(step.identity)


def test_planned_again_it_is_the_same(held):
    """What a round has handed on, or made, does not change the plan."""
    store, student, name = held
    before = plan_sweep(learning(name), store)
    handed = student.model_copy(update={"identity": "4" * 64, "handed_from": student.identity})
    put(store, handed)
    put_set(store, student, 5, handed_from="7" * 64)
    assert plan_sweep(learning(name), store).steps.keys() == before.steps.keys()
    one = plan_sweep(learning(name, student={"learn_rounds": 1}), store)
    assert [n for n in named(one) if n in SHARED] == SHARED[:2]
    assert named(one)["student-round1"].identity == named(before)["student-round1"].identity
    assert one.candidates[0].document.candidate_id == before.candidates[0].document.candidate_id


def test_without_learn_nothing_changes(held):
    store, _, name = held
    section = {"parent": name}
    plain = plan_sweep(tiny_sweep(stages={"md": name}, student=section), store)
    said = {"learn": False, "learn_rounds": 5}
    again = plan_sweep(tiny_sweep(stages={"md": name}, student=section | said), store)
    assert again.steps.keys() == plain.steps.keys()
    assert not any("round" in name for name in named(plain))
    ids = [{c.document.candidate_id for c in p.candidates}
           for p in (plain, again, plan_sweep(learning(name), store))]  # fmt: skip
    assert ids[0] == ids[1]
    assert ids[0].isdisjoint(ids[2]), "what learns is a candidate of its own"


def test_the_plan_says_what_it_may_cost(held):
    store, student, name = held
    plain = plan_sweep(tiny_sweep(stages={"md": name}), store)
    plan = plan_sweep(learning(name), store)
    (note,) = [n for n in plan.warnings if n.startswith("learn: ")]
    assert f"learn: 2 rounds after MD at {name}" in note
    assert "where none leaves they cost nothing" in note
    assert f"({plan.core_hours - plain.core_hours:.2g} core-hours)" in note
    level = plan.candidates[0].document.levels["md"]
    assert level == f"{student.level} + learned"
    with pytest.raises(SweepError, match=r"budget\.core_hours"):
        plan_sweep(learning(name, budget={"core_hours": plain.core_hours * 1.1}), store) \
            .require_budget()  # fmt: skip


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"learn": True}, "learn is for sweeps with a parent"),
        ({"learn": True, "parent": "nep:0123456789ab", "check": {}}, "without learn"),
        ({"learn": True, "parent": "auto", "learn_rounds": 0}, "student.learn_rounds"),
    ],
)
def test_wrong_sections_are_refused(section, message):
    with pytest.raises(SweepError) as caught:
        tiny_sweep(student=section)
    assert message in str(caught.value)


def test_md_runs_at_the_student_that_learns(held):
    store, _, name = held
    with pytest.raises(SweepError, match=r"student\.learn: MD does not run at the student") as why:
        plan_sweep(learning(name, md="chgnet-r2scan-d3"), store)
    assert f"stages.md chgnet-r2scan-d3, student.parent {name}" in str(why.value)


def test_auto_is_the_student_of_md(held):
    store, _, name = held
    by_name, by_auto = (plan_sweep(learning(one, md=name), store) for one in (name, "auto"))
    assert by_auto.steps.keys() == by_name.steps.keys()
    wide = {"melt_quench": {"melt_temperature_k": 600}}
    chosen = plan_sweep(learning("auto", md="auto", **wide), store)
    assert chosen.steps.keys() == by_name.steps.keys()
    learned = {"of_round": True, "us_per_atom_step": 1.0}
    put(store, put_student(store, 2)[0].model_copy(update=learned))
    again = plan_sweep(learning("auto", md="auto", **wide), store)
    assert again.steps.keys() == by_name.steps.keys(), "what it has learned does not begin it anew"
    plain = plan_sweep(tiny_sweep(stages={"md": "auto"}), store)
    taken = {step.maker.level for step in plain.steps.values() if step.kind == "md"}
    assert taken != {name}, "others may take it"
    other = {"systems": [GLASS, {"crystal": "NaTaCl6_R-3"}], "size": {"crystal_max_atoms": 64}}
    for md, more in (("chgnet-r2scan-d3", {}), ("auto", other)):
        with pytest.raises(SweepError, match=r"student\.parent: auto is the student") as why:
            plan_sweep(learning("auto", md=md, **more), store)
        assert "MD at chgnet-r2scan-d3" in str(why.value)


def test_a_queue_leaves_out_what_has_no_run_to_go_on_with(held):
    store, student, name = held
    steps = named(plan_sweep(learning(name), store), 1)
    last, taught = steps["md-300K"], steps["student-round2"].identity
    put(store, student.model_copy(update={"identity": taught}))
    orders = Orders(last.identity, last.name, last.after, (), 60.0, 1, 0.1)
    assert run_queued(last.to_job(), orders, store) is Ending.SKIPPED


def test_the_order_of_systems_changes_no_round(held):
    store, _, name = held
    plan, turned = (
        plan_sweep(learning(name, systems=systems), store)
        for systems in ([GLASS, CRYSTAL], [CRYSTAL, GLASS])
    )
    assert set(plan.steps) == set(turned.steps)


def test_what_follows_a_student_that_came_late_is_made_again(held):
    store, _, name = held
    steps = plan_sweep(learning(name, systems=[GLASS]), store).steps
    ids = {step.name: identity for identity, step in steps.items()}
    late = ids["student-round1"]
    stored = {
        identity: {
            "status": "out_of_domain",
            "provenance": {"parents": [one for one in step.parents.values() if one != late]},
        }
        for identity, step in steps.items()
        if identity != late
    }
    found = outdated_results(steps, stored)
    again = {n for n, i in ids.items() if i in found}
    runs = {f"{which}md-seed1-{t}K" for which in ("round1-", "") for t in (300, 400)}
    assert runs | {"training_set-round2", "student-round2", "diffusion-seed1"} <= again
    assert not again & {"training_set-round1", "melt_quench-seed1", "round0-md-seed1-300K"}
