"""What a sweep takes over from others: whole results, and all temperatures of a candidate."""

from __future__ import annotations

import shutil
import threading
import time

import pytest
from tiny_sweeps import tiny_sweep

from haloflow.makers.step import step_directory
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.run import _forget_all
from haloflow.workflows.status import (
    find_candidate,
    find_summary,
    record_candidates,
    step_documents,
)


@pytest.fixture
def copy(undisturbed, tmp_path):
    place = type(undisturbed)(tmp_path)
    shutil.copytree(undisturbed.store, place.store)
    return place


def test_a_partial_result_is_made_again_once_another_sweep_has_made_the_rest(copy, undisturbed):
    steps, analyses = copy.steps, copy.after("md-seed1-400K")
    lost = steps["md-seed1-400K"].identity
    with open_store(copy.store) as store:
        kept = store.outputs.query_one({"output.identity": lost})
        gone = [lost, *(steps[name].identity for name in analyses)]
        store.outputs.remove_docs({"output.identity": {"$in": gone}})
        directory = step_directory(store.files_dir, lost)
    aside = directory.rename(copy.folder / "aside")
    damaged = directory / "production" / "checkpoints"
    shutil.copytree(aside / "production" / "checkpoints", damaged)
    for checkpoint in damaged.iterdir():
        checkpoint.write_bytes(b"damaged")
    assert copy.run(workers=1).n_failed == 1
    partial = step_of(copy.outputs()[steps["diffusion-seed1"].identity])
    assert partial.provenance.parents == [steps["md-seed1-300K"].identity]

    with open_store(copy.store) as store:
        store.outputs.update(kept)
    shutil.rmtree(directory)
    aside.rename(directory)
    report = copy.run(workers=1)
    assert (report.n_done, report.n_failed) == (len(analyses), 0)
    theirs = undisturbed.outputs()
    for name in analyses:
        ours = step_of(copy.outputs()[steps[name].identity])
        expected = step_of(theirs[steps[name].identity])
        assert ours.provenance.parents == expected.provenance.parents
        assert (ours.status, ours.note) == (expected.status, expected.note)
    assert copy.run(workers=1).n_done == 0


def at(sweep, *temperatures_k):
    md = sweep.md.model_copy(update={"temperatures_k": list(temperatures_k)})
    return sweep.model_copy(update={"md": md})


def test_other_temperatures_extend_a_candidate(copy):
    first, copy.sweep = copy.sweep, at(copy.sweep, 300, 500)
    report = copy.run(workers=1)
    assert report.failures == []
    glass = {"md-seed1-300K", "md-seed1-400K", "md-seed1-500K"}
    with open_store(copy.store) as store:
        plans = [plan_sweep(sweep, store) for sweep in (first, copy.sweep, at(first, 500))]
        candidate = find_candidate(store, "NaCl glass")
        summary = find_summary(store, "NaCl glass")
        documents = step_documents(store, candidate)
    assert all(not plan.to_run for plan in plans)
    assert {name for name in candidate.steps if name.startswith("md-seed1")} == glass
    assert summary.complete
    assert list(summary.diffusivity_cm2_s) == ["300K", "400K", "500K"]
    points = documents["diffusion-seed1"].points
    assert [point.temperature_k for point in points] == [300, 400, 500]

    plan = plans[2]
    assert {plan.steps[i].name for i in plan.of_others} == {"md-seed1-300K", "md-seed1-400K"}
    with open_store(copy.store) as store:
        _forget_all(store, plan)
        left = find_summary(store, "NaCl glass")
        assert set(step_documents(store, candidate)) == {"md-seed1-300K", "md-seed1-400K"}
        assert left.candidate_id == candidate.candidate_id


def test_a_run_that_never_ended_keeps_its_place_and_holds_nothing_up(tmp_path):
    with open_store(tmp_path) as store:
        record_candidates(store, plan_sweep(tiny_sweep(), store))
        plan = plan_sweep(tiny_sweep(md={"temperatures_k": [300, 500]}), store)
        record_candidates(store, plan)
        steps = find_candidate(store, "NaCl glass").steps
    assert "md-seed1-400K" not in {step.name for step in plan.steps.values()}
    assert {"md-seed1-300K", "md-seed1-400K", "md-seed1-500K"} <= steps.keys()


def test_two_processes_that_record_at_once_lose_nothing(tmp_path, monkeypatch):
    plans = [plan_sweep(tiny_sweep(name=f"sweep{seed}", seeds=[seed])) for seed in (1, 2)]
    has_read = threading.Event()
    with open_store(tmp_path) as slow, open_store(tmp_path) as fast:
        read = slow.candidates.query_one

        def read_and_dawdle(*arguments):
            found = read(*arguments)
            has_read.set()
            time.sleep(0.3)
            return found

        monkeypatch.setattr(slow.candidates, "query_one", read_and_dawdle)
        thread = threading.Thread(target=record_candidates, args=(slow, plans[0]))
        thread.start()
        assert has_read.wait(30)
        record_candidates(fast, plans[1])
        thread.join()
        glass = find_candidate(fast, "NaCl glass")
    assert glass.sweeps == ["sweep1", "sweep2"]
    assert {"melt_quench-seed1", "melt_quench-seed2"} <= glass.steps.keys()
