"""Plans: identities that last, costs, reuse, notes, and what is refused before anything runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pair_potential import LEVEL
from tiny_sweeps import CRYSTAL, GLASS, tiny_data, tiny_sweep

from haloflow.engines.potentials import level_of
from haloflow.errors import CoverageError, SweepError, UnknownNameError
from haloflow.identity import step_uuid
from haloflow.stores.connection import open_store
from haloflow.stores.summary import summarize
from haloflow.systems.phases import get_phase
from haloflow.workflows.candidates import expand
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.steps import crystal_steps
from haloflow.workflows.sweep import parse_sweep

TESTS = Path(__file__).parents[1]
PHASES = ("Cl2_Cmce", "NaCl_B1", "Na_bcc")


def steps_of(plan, phase):
    (candidate,) = (c for c in plan.candidates if c.document.phase == phase)
    return {step.name: step for step in candidate.steps}


def identities(**changes):
    return {step.name: i for i, step in plan_sweep(tiny_sweep(**changes)).steps.items()}


def candidate_ids(**changes):
    return {
        c.document.phase: c.document.candidate_id
        for c in plan_sweep(tiny_sweep(**changes)).candidates
    }


def test_a_glass_has_its_steps_per_seed():
    steps = steps_of(plan_sweep(tiny_sweep(seeds=2)), "glass")
    expected = {f"phase-{phase}" for phase in PHASES}
    for seed in ("seed1", "seed2"):
        expected |= {f"{kind}-{seed}" for kind in ("melt_quench", "relax", "hull", "diffusion")}
        expected |= {f"md-{seed}-300K", f"md-{seed}-400K"}
    assert steps.keys() >= expected
    after = {
        name: {s.name for s in steps.values() if s.identity in step.after}
        for name, step in steps.items()
    }
    assert after["melt_quench-seed1"] == set()
    assert after["relax-seed1"] == after["md-seed1-300K"] == {"melt_quench-seed1"}
    assert after["hull-seed2"] == {"relax-seed2", *(f"phase-{phase}" for phase in PHASES)}
    assert after["diffusion-seed2"] == {"md-seed2-300K", "md-seed2-400K"}


def test_a_crystal_has_its_steps():
    plan = plan_sweep(tiny_sweep())
    steps = steps_of(plan, "crystal")
    assert steps.keys() >= {
        "relax", "hull", "md-300K", "diffusion", *(f"phase-{phase}" for phase in PHASES)
    }  # fmt: skip
    assert steps["md-300K"].maker.full_cell
    assert not steps_of(plan, "glass")["md-seed1-300K"].maker.full_cell


def test_a_hull_at_another_level_relaxes_the_candidate_as_its_phases_at_that_level():
    level = f"{LEVEL}&nan_after=0"
    plan = plan_sweep(tiny_sweep(stages={"hull": level}))
    for phase, seed in (("crystal", ""), ("glass", "-seed1")):
        steps = steps_of(plan, phase)
        again, competitor = steps[f"relax-hull{seed}"], steps["phase-Na_bcc"]
        assert again.after == (steps[f"relax{seed}"].identity,)
        assert again.maker == competitor.maker
        assert again.maker.level == level
        assert again.identity in steps[f"hull{seed}"].after
        assert steps[f"relax{seed}"].identity not in steps[f"hull{seed}"].after


def test_a_skew_cell_of_as_many_atoms_is_relaxed_before_md():
    sweep = tiny_sweep(systems=[CRYSTAL])
    (candidate,) = expand(sweep)
    cell = get_phase("NaCl_B1").structure()
    skew = cell.make_supercell([[1, 0, 0], [1, 1, 0], [0, 0, 1]], in_place=False)
    assert len(skew) == len(cell)
    for start, names in ((cell, set()), (skew, {"relax-md"})):
        steps = crystal_steps(candidate, sweep, start).steps
        assert {name for name in steps if name.startswith("relax-")} == names
        assert steps["md-300K"].after == (steps["relax-md" if names else "relax"].identity,)


def test_another_level_or_cell_for_md_starts_from_a_relaxed_supercell():
    larger = steps_of(
        plan_sweep(tiny_sweep(size={"crystal_n_mobile": 32, "crystal_max_atoms": 64})), "crystal"
    )
    assert larger["md-300K"].after == (larger["relax-md"].identity,)
    assert len(larger["relax-md"].inputs["start"]) == 64


def test_steps_come_after_their_parents_and_shared_ones_stand_once():
    plan = plan_sweep(tiny_sweep(seeds=2))
    for candidate in plan.candidates:
        known = set()
        for step in candidate.steps:
            assert known.issuperset(step.after)
            known.add(step.identity)
    total = sum(len(candidate.steps) for candidate in plan.candidates)
    # three phases in both, and the crystal relaxed as itself and as its own competitor
    assert plan.n_steps == total - 4


def test_a_job_carries_the_identity_of_its_step():
    for step in plan_sweep(tiny_sweep()).steps.values():
        job = step.to_job()
        assert job.uuid == step_uuid(step.identity)
        assert job.metadata["haloflow_identity"] == step.identity
        assert job.name == step.name


def test_identities_are_the_same_in_another_process_and_key_order():
    code = (
        "import json, sys\n"
        "from haloflow.workflows.plan import plan_sweep\n"
        "from haloflow.workflows.sweep import parse_sweep\n"
        "plan = plan_sweep(parse_sweep(json.load(sys.stdin)))\n"
        "print(json.dumps({c.document.candidate_id: c.document.steps for c in plan.candidates}))"
    )
    data = tiny_data()
    backwards = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(data.items())
    }
    environment = os.environ | {"PYTHONPATH": str(TESTS), "PYTHONHASHSEED": "7"}
    out = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(backwards), capture_output=True,
        text=True, check=True, env=environment,
    )  # fmt: skip
    here = {c.document.candidate_id: c.document.steps for c in plan_sweep(tiny_sweep()).candidates}
    assert json.loads(out.stdout) == here


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [1, 2, 3]},
        {"md": {"temperatures_k": [300, 400, 500]}},
        {"md": {"crystal_temperatures_k": [300, 900]}},
        {"name": "other"},
        {"screen": {"energy_above_hull_ev_per_atom": 0.2}},
        {"budget": {"core_hours": 100}},
        {"md": {"temperatures_k": [400.0, 300.0]}},
    ],
)
def test_more_seeds_and_temperatures_extend_the_same_candidates(change):
    assert candidate_ids(**change) == candidate_ids()
    before, after = identities(), identities(**change)
    steps = plan_sweep(tiny_sweep()).steps.values()
    unchanged = {step.name for step in steps if step.maker.needs_all_inputs}
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"melt_quench": {"quench_steps": 31}}, {"crystal"}),
        ({"size": {"glass_n_atoms": 20}}, {"crystal"}),
        ({"size": {"crystal_n_mobile": 32, "crystal_max_atoms": 64}}, {"glass"}),
        ({"relax": {"fmax_ev_a": 0.1}}, set()),
        ({"md": {"production_steps": 61}}, set()),
        ({"md": {"timestep_fs": 1}}, set()),
        ({"hull": {"include_hypothetical": True}}, set()),
        ({"level": f"{LEVEL}&nan_after=9"}, set()),
    ],
)
def test_another_protocol_size_or_level_makes_other_candidates(change, same):
    before, after = candidate_ids(), candidate_ids(**change)
    assert {phase for phase in before if before[phase] == after[phase]} == same


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"md": {"production_steps": 61}}, {"md-300K", "analyses"}),
        ({"md": {"seed": 2}}, {"md-300K", "analyses"}),
        ({"md": {"crystal_temperatures_k": [301]}}, {"analyses"}),
        ({"stages": {"md": f"{LEVEL}&nan_after=9"}}, {"md-300K", "analyses"}),
        ({"relax": {"max_steps": 21}}, {"relax", "hull", "md-300K", "analyses", "phases"}),
        ({"seeds": [5]}, set()),
    ],
)
def test_a_setting_changes_the_identities_of_what_it_touches(change, changed):
    before = steps_of(plan_sweep(tiny_sweep()), "crystal")
    after = steps_of(plan_sweep(tiny_sweep(**change)), "crystal")
    found = {
        "phases"
        if name.startswith("phase-")
        else name
        if step.maker.needs_all_inputs
        else "analyses"
        for name, step in before.items()
        if name in after and after[name].identity != step.identity
    }
    assert found == changed


def test_costs_grow_with_steps_and_atoms_and_reuse_lowers_them(tmp_path):
    sweep = tiny_sweep()
    plan = plan_sweep(sweep)
    assert plan.core_hours == pytest.approx(sum(s.cost.core_hours for s in plan.steps.values()))
    assert plan.disk_gb == pytest.approx(sum(s.cost.disk_gb for s in plan.steps.values()))
    assert plan_sweep(tiny_sweep(md={"production_steps": 600})).core_hours > plan.core_hours
    assert plan_sweep(tiny_sweep(size={"glass_n_atoms": 32})).core_hours > plan.core_hours
    with open_store(tmp_path) as store:
        assert plan_sweep(sweep, store).n_reused == 0
        done = [step for step in plan.steps.values() if step.name.startswith("phase-")]
        store.outputs.update(
            [{"uuid": step_uuid(step.identity), "index": 1, "completed_at": "2026",
              "output": {"identity": step.identity}} for step in done]
        )  # fmt: skip
        again = plan_sweep(sweep, store)
    assert again.n_reused == len(done) == len(PHASES)
    assert again.n_steps == plan.n_steps
    assert again.core_hours == pytest.approx(
        plan.core_hours - sum(step.cost.core_hours for step in done)
    )
    assert [c.n_reused for c in again.candidates] == [3, 4]
    assert not set(again.to_run) & {step.identity for step in done}


def test_a_result_that_lacked_a_parent_is_outdated(tmp_path):
    plan = plan_sweep(tiny_sweep())
    with open_store(tmp_path) as store:
        steps = {step.name: step for step in plan.steps.values()}
        for name in ("hull", "diffusion"):
            identity = steps[name].identity
            store.outputs.update(
                {"uuid": step_uuid(identity), "index": 1, "completed_at": "2026",
                 "output": {"identity": identity}}
            )  # fmt: skip
        again = plan_sweep(tiny_sweep(), store)
    assert again.outdated == {steps["diffusion"].identity}
    assert steps["diffusion"].identity in again.to_run
    assert steps["hull"].identity not in again.to_run


def test_notes_say_what_a_small_or_uneven_sample_means():
    plan = plan_sweep(
        tiny_sweep(systems=[{"components": {"NaCl": 1, "TaCl5": 0.3}}], level="chgnet-r2scan")
    )
    (candidate,) = plan.candidates
    text = " ".join(plan.warnings)
    assert f"{candidate.document.n_mobile} mobile ions are fewer than 24" in text
    assert "TaCl5: each component within" in text
    assert all(note.startswith(f"{candidate.document.label}: ") for note in plan.warnings)


def test_a_glass_records_the_formula_units_and_the_x_that_were_made():
    size = {"glass_n_atoms": 42}
    systems = [{"family": "tacl5-na2s", "x": [0.75, 0.5]}, {"family": "nayzrcl", "x": [1.5]}]
    plan = plan_sweep(parse_sweep({"name": "uneven", "systems": systems, "size": size}))
    uneven, even, off_the_line = (c.document for c in plan.candidates)
    assert uneven.units == {"Na2S": 4, "TaCl5": 5}
    assert uneven.variables == {"x": 0.75}
    assert any("4 Na2S, 5 TaCl5: " in n and n.endswith("; x = 0.80") for n in plan.warnings)
    assert uneven.variables_made == {"x": 0.8}
    assert uneven.composition_deviation == pytest.approx(4 / 9 - 3 / 7)
    assert "made as 4 Na2S + 5 TaCl5: x = 0.80" in summarize(uneven, {}).warnings
    assert even.variables_made == {"x": 0.5}
    assert not any(text.startswith("made as") for text in summarize(even, {}).warnings)
    assert off_the_line.units == {"NaCl": 5, "YCl3": 2, "ZrCl4": 5}
    assert off_the_line.variables_made == {}
    assert "made as 5 NaCl + 2 YCl3 + 5 ZrCl4" in summarize(off_the_line, {}).warnings


def test_a_budget_is_a_limit_on_the_estimate():
    for section, value in (("core_hours", 1e-9), ("disk_gb", 1e-9)):
        plan = plan_sweep(tiny_sweep(budget={section: value}))
        with pytest.raises(SweepError) as caught:
            plan.require_budget()
        assert str(caught.value) == (
            f"the sweep would exceed its budget.{section}. "
            f"Given: an estimate of {getattr(plan, section):.3g}. Allowed: 1e-09. "
            f"What to do: shorten the sweep, raise budget.{section}, or pass --over-budget."
        )
    plan_sweep(tiny_sweep(budget={"core_hours": 10, "disk_gb": 1})).require_budget()


def test_an_unknown_level_is_refused_with_its_stage():
    with pytest.raises(UnknownNameError) as caught:
        plan_sweep(tiny_sweep(stages={"hull": "chgnet-r2scn"}))
    assert str(caught.value).startswith("stages.hull: unknown potential. Given: chgnet-r2scn.")
    assert "did you mean chgnet-r2scan or" in str(caught.value)


def test_an_element_that_a_level_does_not_cover_is_refused():
    entry = {
        "components": {"NaCl": 1, "PoCl4": 1},
        "oxidation_states": {"PoCl4": {"Po": 4, "Cl": -1}},
        "volumes_a3": {"PoCl4": 150.0},
    }
    with pytest.raises(CoverageError) as caught:
        plan_sweep(parse_sweep({"name": "po", "systems": [entry]}))
    assert str(caught.value).startswith(
        "stages.relax: chgnet-r2scan does not cover Po. Given: Cl, Na, Po."
    )


def test_documents_carry_what_a_reader_needs():
    glass, crystal = (
        c.document for c in plan_sweep(tiny_sweep(systems=[GLASS, CRYSTAL])).candidates
    )
    assert glass.components == {"NaCl": 1.0}
    assert (glass.n_atoms, glass.n_mobile) == (16, 8)
    assert (crystal.n_atoms, crystal.phase_id) == (8, "NaCl_B1")
    assert glass.levels == dict.fromkeys(("relax", "hull", "melt_quench", "md"), level_of(LEVEL))
    assert (glass.units, glass.composition_deviation) == ({"NaCl": 8}, 0.0)
    assert glass.sweeps == ["tiny"]
    assert glass.screen == {"energy_above_hull_ev_per_atom": 0.1}
    assert glass.candidate_id.startswith("NaCl-glass-")


def test_registries_are_planned_for_crystals_of_chains_alone():
    systems = [{"crystal": "NaTaOCl4_Cmc21"}, {"crystal": "NaTaCl6_P21c"}]
    size = {"crystal_max_atoms": 32}
    plan = plan_sweep(tiny_sweep(systems=systems, size=size, registries=True))
    chains, none = ({step.name: step for step in candidate.steps} for candidate in plan.candidates)
    step = chains["registries"]
    assert "registries" not in none
    assert (step.maker.former, step.maker.level, step.after) == ("Ta", LEVEL, ())
    assert len(step.inputs["start"]) == 14
    without = plan_sweep(tiny_sweep(systems=systems, size=size)).steps
    assert plan.steps.keys() - without.keys() == {step.identity}
    with pytest.raises(SweepError, match="registries: no candidate is a crystal of chains"):
        plan_sweep(tiny_sweep(registries=True))


def test_another_quadrupole_coupling_is_another_candidate_with_the_same_md():
    nmr = {"nmr": {"quadrupole_coupling_mhz": 1.2}}
    plain, known = plan_sweep(tiny_sweep()).steps, plan_sweep(tiny_sweep(**nmr)).steps
    assert {known[i].kind for i in known.keys() - plain.keys()} == {"landscape"}
    assert not set(candidate_ids().values()) & set(candidate_ids(**nmr).values())
