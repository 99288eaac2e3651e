"""Levels of theory by the path of a model, from the sweep file to the hull."""

from __future__ import annotations

import shutil
import warnings

import pytest
from jobflow import run_locally
from random_nep import random_nep
from tiny_sweeps import CRYSTAL, tiny_sweep

from haloflow.engines.potentials import identify, level_of
from haloflow.errors import SweepError
from haloflow.makers.step import release_claims
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of
from haloflow.workflows.plan import plan_sweep

STAGES = ("relax", "hull", "melt_quench", "md")


def sweep_at(level, **changes):
    return tiny_sweep(level=level, systems=[CRYSTAL], **changes)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return random_nep(tmp_path_factory.mktemp("model") / "nep.txt", scale=0.02)


def test_a_model_by_path_reaches_its_hull_and_names_one_level(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (candidate,) = plan_sweep(sweep_at(f"nep:{model}", relax={"max_steps": 3})).candidates
    level = identify(f"nep:{model}").level
    assert str(model.parent) not in level
    assert candidate.document.levels == dict.fromkeys(STAGES, level)
    steps = [step for step in candidate.steps if step.kind in ("relax", "hull", "md")]
    jobs = {step.identity: step.to_job() for step in steps}
    with open_store(tmp_path / "store") as store, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)  # jobflow's
        outputs = run_locally(
            list(jobs.values()), log=False, raise_immediately=True, store=store.jobstore
        )
        release_claims()
    documents = {step.name: step_of(outputs[jobs[step.identity].uuid][1].output) for step in steps}
    assert documents["hull"].energy_above_hull_ev_per_atom.value is not None
    assert {document.level for document in documents.values()} == {level}
    assert documents["md-300K"].provenance.parameters["level"] == f"nep:{model}"


def test_a_moved_model_file_is_the_same_candidate_and_the_same_steps(model, tmp_path):
    moved = shutil.copy(model, tmp_path / "nep.txt")
    (here,), (there,) = (plan_sweep(sweep_at(f"nep:{path}")).candidates for path in (model, moved))
    assert there.document.candidate_id == here.document.candidate_id
    assert there.document.steps == here.document.steps
    mixed = sweep_at(f"nep:{model}", stages={"hull": f"nep:{moved}"})
    assert plan_sweep(mixed).candidates[0].document.steps == here.document.steps


def test_keywords_of_a_calculator_count_in_any_order_and_a_file_by_its_content(model, tmp_path):
    moved = shutil.copy(model, tmp_path / model.name)
    first = f"ase:some.module:Some?model={model}&cutoff=5.0"
    second = f"ase:some.module:Some?cutoff=5&model={moved}"
    assert level_of(first) == level_of(second)
    assert str(model) not in level_of(first)
    random_nep(tmp_path / model.name, seed=2)
    assert level_of(second) != level_of(first)


def test_a_level_without_a_potential_is_its_own_name():
    assert level_of("r2scan") == "r2scan"
    assert level_of("chgnet-r2scan") == "chgnet-r2scan"


def test_tethered_species_come_in_any_order_and_are_held_by_every_candidate():
    steps = [
        plan_sweep(
            tiny_sweep(md={"tether": {"species": species, "alpha_ev_a2": 1.0}})
        ).candidates[0].document.steps
        for species in (["Na", "Cl"], ["Cl", "Na"])
    ]  # fmt: skip
    assert steps[0] == steps[1]
    with pytest.raises(SweepError) as caught:
        plan_sweep(tiny_sweep(md={"tether": {"species": ["Cl", "Ta"], "alpha_ev_a2": 1.0}}))
    assert str(caught.value) == (
        "md.tether.species: NaCl glass holds no Ta. Given: Cl, Ta. Allowed: Cl, Na. "
        "What to do: tether species that every candidate holds, or make a sweep of its own."
    )
