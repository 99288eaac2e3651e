"""Sweeps whose frames VASP labels: what is planned, what goes together, what stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from pair_potential import LEVEL
from sample_documents import quenched
from tiny_sweeps import CRYSTAL, GLASS, tiny_sweep

from haloflow.engines.vasp_levels import is_vasp
from haloflow.errors import CoverageError, SweepError
from haloflow.identity import step_uuid
from haloflow.makers.md import MDMaker
from haloflow.makers.tuned_md import TunedMDMaker
from haloflow.makers.vasp_labels import VaspLabelMaker
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.samples import Steps, step_state
from haloflow.systems.phases import get_phase
from haloflow.workflows.chain import output_of
from haloflow.workflows.managers.resources import stage_of
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.sweep import load_sweep

EXAMPLE = Path(__file__).parents[2] / "examples" / "namocl4_fine_tuned.yaml"
D3 = "vasp-pbe-d3"
SECTION = {
    "teacher": D3, "training": {"epochs": 2}, "frames_per_run": 4, "packing_n_atoms": 12,
    "packing_density_scales": [0.8], "strains": [0.0], "rattles_a": [0.1], "most_labels": 6,
}  # fmt: skip


def taught(systems=(GLASS,), **section):
    return tiny_sweep(systems=list(systems), fine_tune=SECTION | section)


def named(plan, number=0):
    return {step.name: step for step in plan.candidates[number].steps}


def test_frames_are_sampled_labelled_one_by_one_and_gathered():
    plan = plan_sweep(taught())
    steps = named(plan)
    sample = steps["frame_sample-fine_tune_frames"]
    runs = {step.identity for step in steps.values() if step.kind in ("md", "melt_quench")}
    assert set(sample.after) == runs
    assert (sample.maker.most_frames, sample.maker.levels) == (6, ())
    melt = output_of(steps["melt_quench-seed1"])
    assert sample.inputs["starts"] == {"1": melt, "2": melt}
    labels = [steps[f"label-fine_tune_frames-{n:03d}"] for n in range(1, 7)]
    assert [label.maker for label in labels] == [
        VaspLabelMaker(level=D3, number=n) for n in range(1, 7)
    ]
    assert all(label.after == (sample.identity,) for label in labels)
    assert len({label.identity for label in labels}) == 6
    assert {stage_of(label) for label in labels} == {"relax"}
    gathered = steps["fine_tune_frames"]
    assert gathered.kind == "training_set"
    assert set(gathered.after) == {sample.identity, *(label.identity for label in labels)}
    assert steps["fine_tune"].after == (gathered.identity,)
    all_of_them = named(plan_sweep(taught(most_labels=200)))
    n_offered = 3 * SECTION["frames_per_run"] + 1  # of runs, and a packing
    assert len([name for name in all_of_them if name.startswith("label-")]) == n_offered


def test_the_same_frames_serve_several_levels():
    one, other = (named(plan_sweep(taught(teacher=level))) for level in (D3, "vasp-r2scan"))
    name = "frame_sample-fine_tune_frames"
    assert one[name].identity == other[name].identity
    name = "label-fine_tune_frames-001"
    assert one[name].identity != other[name].identity


def test_a_student_that_is_a_mace_may_learn_from_vasp():
    section = {k: v for k, v in SECTION.items() if k != "training"}
    asked = section | {"architecture": "mace", "mace": {"channels": 8}}
    steps = named(plan_sweep(tiny_sweep(systems=[GLASS], student=asked)))
    assert steps["student"].after == (steps["training_set"].identity,)
    labels = [steps[f"label-training_set-{n:03d}"].identity for n in range(1, 7)]
    assert set(labels) < set(steps["training_set"].after)


def test_nothing_else_is_another_step_than_before():
    plain, asked = plan_sweep(tiny_sweep(systems=[GLASS])), plan_sweep(taught(md={}))
    assert plain.steps.keys() < asked.steps.keys()
    ids = [plan.candidates[0].document.candidate_id for plan in (plain, asked)]
    assert ids[0] == ids[1]
    by_potential = plan_sweep(taught(teacher=LEVEL))
    again = plan_sweep(taught(teacher=LEVEL, most_labels=50, least_labelled=0.5))
    assert by_potential.steps.keys() == again.steps.keys()


def test_the_model_runs_every_sample_in_the_sweep_that_trains_it():
    sweep = taught([GLASS, CRYSTAL], scope="sweep", md={"production_steps": 90})
    plan = plan_sweep(sweep)
    glass, crystal = (named(plan, number) for number in (0, 1))
    assert glass["fine_tune"].identity == crystal["fine_tune"].identity
    runs = [glass[f"tuned_md-seed1-{kelvin}K"] for kelvin in (300, 400)]
    own = glass["md-seed1-400K"]
    for run in runs:
        assert set(run.after) == {glass["melt_quench-seed1"].identity, glass["fine_tune"].identity}
        assert run.inputs["start"] == own.inputs["start"]
    maker = runs[1].maker
    assert isinstance(maker, TunedMDMaker)
    assert (maker.production_steps, maker.temperature_k, maker.levels) == (90, 400.0, ())
    same = {"equilibration_steps", "timestep_fs", "mobile", "anions", "full_cell", "seed"}
    assert {n: getattr(maker, n) for n in same} == {n: getattr(own.maker, n) for n in same}
    for analysis in ("diffusion", "transport", "structure", "landscape"):
        tuned = glass[f"tuned_{analysis}-seed1"]
        assert tuned.maker == glass[f"{analysis}-seed1"].maker
        assert set(tuned.after) == {run.identity for run in runs}
    assert "tuned_md-300K" in crystal
    assert crystal["tuned_md-300K"].maker.full_cell
    assert {s.maker.level for s in glass.values() if type(s.maker) is MDMaker} == {LEVEL}
    waiting = [step_state(name, "x", None, is_running=False, failures={}) for name in glass]
    assert {one.kind for one in waiting if one.name.startswith("tuned_md")} == {"md"}
    named_ones = named(plan_sweep(taught(md={"temperatures_k": [350]})))
    assert [n for n in named_ones if n.startswith("tuned_md")] == ["tuned_md-seed1-350K"]
    with pytest.raises(SweepError, match="a temperature stands twice"):
        taught(md={"temperatures_k": [350, 350]})


def test_runs_by_the_model_are_skipped_with_the_glass_that_broke_down():
    (candidate,) = plan_sweep(taught(md={})).candidates
    melt = candidate.document.steps["melt_quench-seed1"]
    broken = quenched(get_phase("NaCl_B1").structure(), melt).model_copy(
        update={"status": Status.DECOMPOSED}
    )
    states = {one.name: one for one in Steps.of(candidate.document, {melt: broken}, (), {}).states}
    for name in ("md-seed1-300K", "tuned_md-seed1-300K", "tuned_diffusion-seed1"):
        assert (states[name].state, states[name].status) == ("skipped", Status.DECOMPOSED)


def test_a_teacher_has_to_know_the_elements():
    radium = {"components": {"NaCl": 1, "EsCl3": 1}, "phase": "glass",
              "volumes_a3": {"EsCl3": 90.0},
              "oxidation_states": {"EsCl3": {"Es": 3, "Cl": -1}}}  # fmt: skip
    with pytest.raises(CoverageError, match=r"fine_tune\.teacher: vasp-pbe-d3 does not cover Es"):
        plan_sweep(taught([radium], mace={"channels": 8}))


def stored(store, steps, *, without=()):
    """Store bare results of `steps`, made without those of the names `without`."""
    missing = {step.identity for step in steps.values() if step.name in without}
    rows = [
        {"uuid": step_uuid(step.identity), "index": 1, "completed_at": "2026",
         "output": {"identity": step.identity,
                    "provenance": {"parents": sorted(set(step.after) - missing)}}}
        for step in steps.values() if step.identity not in missing
    ]  # fmt: skip
    store.outputs.update(rows, key="uuid")


LEARNED = {
    "fine_tune_frames", "fine_tune", "tuned_md-seed1-300K", "tuned_md-seed1-400K",
    *(f"tuned_{name}-seed1" for name in ("diffusion", "transport", "structure", "landscape")),
}  # fmt: skip
LABELS = {f"label-fine_tune_frames-{n:03d}" for n in range(1, 7)}


@pytest.mark.parametrize(
    ("lost", "anew"),
    [
        (set(), set()),
        ({"label-fine_tune_frames-002"}, LEARNED),
        ({"md-seed1-300K"}, LEARNED | LABELS | {"frame_sample-fine_tune_frames"}),
    ],
)
def test_what_was_learned_of_fewer_frames_is_learned_again(tmp_path, lost, anew):
    sweep = taught(md={})
    steps = named(plan_sweep(sweep))
    with open_store(tmp_path) as store:
        stored(store, steps, without=lost)
        plan = plan_sweep(sweep, store)
    names = {steps_by.name for i, steps_by in plan.steps.items() if i in plan.outdated}
    analyses = {"diffusion-seed1", "transport-seed1", "structure-seed1", "landscape-seed1"}
    assert names - analyses == anew
    assert {plan.steps[i].name for i in plan.to_run} == names | lost


def test_the_example_is_the_protocol_of_wei_binci_and_ceder():
    plan = plan_sweep(load_sweep(EXAMPLE))
    assert len(plan.candidates) == 4
    models = {step.identity for step in plan.steps.values() if step.name == "fine_tune"}
    assert len(models) == 4, "one for each composition and phase"
    for candidate in plan.candidates:
        steps = {step.name: step for step in candidate.steps}
        labels = [s for s in steps.values() if isinstance(s.maker, VaspLabelMaker)]
        assert {label.maker.level for label in labels} == {D3}
        assert is_vasp(steps["fine_tune_frames"].maker.level)
        own = [s.maker for s in steps.values() if isinstance(s.maker, TunedMDMaker)]
        assert {maker.production_steps * maker.timestep_fs for maker in own} == {5e6}
        parents = {identity for s in steps.values() if s.maker in own for identity in s.after}
        assert steps["fine_tune"].identity in parents
        hulls = [s for s in steps.values() if s.kind in ("hull", "ensemble")]
        assert {hull.maker.level for hull in hulls} == {"vasp-r2scan"}
