"""A sweep from the melt to MD by a model that learned from VASP's labels, with a stand-in."""

from __future__ import annotations

import pytest
from tiny_sweeps import GLASS, tiny_sweep

from haloflow.engines.vasp_levels import VASP_LEVELS
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.purpose import mark_for_tests
from haloflow.stores.records import step_of
from haloflow.stores.results import stored_outputs
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.run import run_sweep

D3 = "vasp-pbe-d3"
TAUGHT = {
    "teacher": D3, "training": {"epochs": 1, "batch": 4, "learning_rate": 1e-5},
    "frames_per_run": 2, "least_distance": 0.02, "packing_n_atoms": 12,
    "packing_density_scales": [0.8], "most_labels": 5, "least_labelled": 0.8,
    "md": {"temperatures_k": [300], "equilibration_steps": 0, "production_steps": 40},
}  # fmt: skip


def documents(uri, sweep):
    """Return the results of a sweep by the names of their steps."""
    with open_store(uri) as store:
        plan = plan_sweep(sweep, store)
        found = stored_outputs(store, plan.steps)
        return {step.name: step_of(found[i]) for i, step in plan.steps.items() if i in found}


@pytest.mark.timeout(600)  # labels, two trainings and their runs
def test_a_label_that_came_later_is_learned_too(stand_in, tmp_path):
    sweep, uri = tiny_sweep(systems=[GLASS], fine_tune=TAUGHT), str(tmp_path / "store")
    with open_store(uri) as store:
        mark_for_tests(store)
    stand_in.fail(segv={})
    report = run_sweep(sweep, uri, workers=1)
    ((label, said),) = report.failures
    assert label.kind == "label"
    assert "VASP failed: it died by SIGSEGV" in said
    before = documents(uri, sweep)
    assert len([one for one in before.values() if one.kind == "label"]) == 4
    assert (before["fine_tune_frames"].n_failed, before["fine_tune_frames"].status) == (
        1, Status.UNCONVERGED,
    )  # fmt: skip
    ((name, why),) = before["fine_tune_frames"].failed.items()
    assert name.startswith(f"frame {int(label.step_name[-3:])} of ")
    assert why == "its step failed"
    assert taught_by_vasp(before).data_hash == before["fine_tune_frames"].content_hash

    again = run_sweep(sweep, uri, workers=1)
    assert again.failures == []
    after = documents(uri, sweep)
    assert after["fine_tune_frames"].failed == {}
    assert sum(after["fine_tune_frames"].n_frames.values()) == 5
    assert taught_by_vasp(after).data_hash == after["fine_tune_frames"].content_hash
    assert after["fine_tune"].data_hash != before["fine_tune"].data_hash
    kept = {"melt_quench-seed1", "md-seed1-300K", "frame_sample-fine_tune_frames"}
    assert all(after[n].provenance == before[n].provenance for n in kept), "they stay as they were"
    assert not run_sweep(sweep, uri, workers=1).n_done


def taught_by_vasp(found):
    """Check what came of the labels, and return the model."""
    model, run = found["fine_tune"], found["tuned_md-seed1-300K"]
    assert (model.teacher, model.teacher_sha256) == (D3, VASP_LEVELS[D3].sha256())
    assert run.level == model.level
    assert run.provenance.potential.weights_sha256 == model.weights_sha256
    assert run.provenance.parameters["production_steps"] == 40
    assert found["tuned_diffusion-seed1"].level == model.level
    assert found["diffusion-seed1"].level != model.level
    return model
