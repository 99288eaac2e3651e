"""Whole sweeps in one piece: reuse, force, failures, what observers are told."""

from __future__ import annotations

import shutil

import pytest
from pair_potential import FAILING_WHILE
from tiny_sweeps import tiny_sweep

from haloflow.errors import ClaimError, SweepError
from haloflow.makers.progress import Progress
from haloflow.makers.step import step_directory
from haloflow.quantity import Status
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.run import run_sweep
from haloflow.workflows.status import candidate_states, find_summary, step_documents


class Diary:
    """Observer that writes everything down."""

    def __init__(self):
        self.events = []

    def planned(self, plan):
        self.events.append(("planned", plan.n_steps))

    def started(self, label):
        self.events.append(("started", label.identity))

    def progressed(self, label, progress):
        assert isinstance(progress, Progress)
        assert 0 <= progress.done <= progress.total
        self.events.append(("progressed", label.identity))

    def finished(self, label, wall_s):
        assert wall_s > 0
        self.events.append(("finished", label.identity))

    def failed(self, label, message):
        self.events.append(("failed", label.identity, message))


def states(place):
    with open_store(place.store) as store:
        found = candidate_states(store, "tiny")
    return {state.name: state for candidate in found for state in candidate.steps}


def test_a_run_leaves_whole_documents_and_files(undisturbed):
    with open_store(undisturbed.store) as store:
        for candidate in candidate_states(store):
            documents = step_documents(store, candidate.document)
            assert documents.keys() == candidate.document.steps.keys()
            assert all(state.state == "done" for state in candidate.steps)
            summary = find_summary(store, candidate.document.candidate_id)
            assert summary.complete
            for document in documents.values():
                assert document.identity in candidate.document.steps.values()
                for file in document.files:
                    assert (store.files_dir / file.path).stat().st_size == file.n_bytes


def test_a_second_run_reuses_everything_and_evaluates_nothing(undisturbed):
    before, count, diary = undisturbed.completed_at(), undisturbed.n_evaluations, Diary()
    n_steps = len(undisturbed.steps)
    report = undisturbed.run(observer=diary)
    assert (report.n_done, report.n_reused, report.n_failed) == (0, n_steps, 0)
    assert diary.events == [("planned", n_steps)]
    assert undisturbed.completed_at() == before
    assert undisturbed.n_evaluations == count


def test_more_temperatures_add_only_what_is_new(undisturbed):
    more = undisturbed.sweep.model_copy(
        update={"md": undisturbed.sweep.md.model_copy(update={"temperatures_k": [300, 400, 500]})}
    )
    with open_store(undisturbed.store) as store:
        plan = plan_sweep(more, store)
        known = {candidate.document.candidate_id for candidate in candidate_states(store)}
    analyses = undisturbed.after("md-seed1-300K")
    assert "diffusion-seed1" in analyses
    assert {step.name for step in plan.to_run.values()} == {"md-seed1-500K", *analyses}
    assert {c.document.candidate_id for c in plan.candidates} == known


def test_force_runs_everything_again_from_the_start(undisturbed, tmp_path):
    place = type(undisturbed)(tmp_path)
    shutil.copytree(undisturbed.store, place.store)
    before, diary = place.completed_at(), Diary()
    report = place.run(force=True, observer=diary)
    assert (report.n_done, report.n_reused, report.n_failed) == (len(place.steps), 0, 0)
    assert place.n_evaluations == undisturbed.n_evaluations
    after = place.completed_at()
    assert after.keys() == before.keys()
    assert all(after[uuid] > before[uuid] for uuid in before)
    order = [event[1] for event in diary.events if event[0] == "started"]
    done = [event[1] for event in diary.events if event[0] == "finished"]
    assert sorted(order) == sorted(done) == sorted(report.plan.steps)
    assert any(event[0] == "progressed" for event in diary.events)


def test_force_is_refused_while_another_process_is_at_it(undisturbed):
    identity = next(iter(plan_sweep(undisturbed.sweep).steps))
    with open_store(undisturbed.store) as store:
        with Claims(store.claims).held(identity, Owner.here()) as mine:
            assert mine
            with pytest.raises(ClaimError) as caught:
                undisturbed.run(force=True)
        assert store.outputs.count() == len(undisturbed.steps)
    text = str(caught.value)
    assert text.startswith("another process runs steps of this sweep, which cannot be run again")
    assert text.endswith("What to do: wait for that process, or stop it.")


def test_a_failing_potential_costs_only_its_candidates_and_can_be_retried(place):
    flag = place.folder / "fail"
    flag.write_text("16")  # atoms of the glass; the crystal's cells are smaller
    diary = Diary()
    report = place.run(environment={FAILING_WHILE: str(flag)}, observer=diary)
    failures = {label.step_name: message for label, message in report.failures}
    glass = {name for name in place.steps if name.endswith("-seed1") or "-seed1-" in name}
    assert failures.keys() == glass
    assert report.n_done == len(place.steps) - len(glass)
    assert "the pair potential was told to fail" in failures.pop("melt_quench-seed1")
    assert set(failures.values()) == {"waits for melt_quench-seed1, which failed"}
    assert len([event for event in diary.events if event[0] == "failed"]) == len(glass)
    found = states(place)
    assert {name for name, state in found.items() if state.state != "done"} == glass
    assert found["melt_quench-seed1"].state == "failed"
    assert "the pair potential was told to fail" in found["melt_quench-seed1"].note
    flag.unlink()
    again = place.run(environment={FAILING_WHILE: str(flag)}, workers=1)
    assert (again.n_done, again.n_reused, again.n_failed) == (len(glass), report.n_done, 0)
    assert {s.state for s in states(place).values()} == {"done"}


def test_a_lost_md_run_leaves_the_rest_and_is_made_up_for(undisturbed, tmp_path):
    place = type(undisturbed)(tmp_path)
    shutil.copytree(undisturbed.store, place.store)
    steps, analyses = place.steps, place.after("md-seed1-400K")
    with open_store(place.store) as store:
        for name in ("md-seed1-400K", *analyses):
            store.outputs.remove_docs({"output.identity": steps[name].identity})
        directory = step_directory(store.files_dir, steps["md-seed1-400K"].identity)
    for checkpoint in directory.glob("production/checkpoints/*"):
        checkpoint.write_bytes(b"damaged")
    report = place.run(workers=1)
    n_kept = len(steps) - 1 - len(analyses)
    assert (report.n_done, report.n_reused, report.n_failed) == (len(analyses), n_kept, 1)
    assert report.failures[0][1].startswith("all checkpoints of a run are damaged. Given: ")
    found = states(place)
    assert found["md-seed1-400K"].state == "failed"
    assert "all checkpoints of a run are damaged" in found["md-seed1-400K"].note
    assert found["diffusion-seed1"].note == "1 of 2 MD runs failed"

    shutil.rmtree(directory)
    again = place.run(workers=1)
    assert (again.n_done, again.n_reused, again.n_failed) == (1 + len(analyses), n_kept, 0)
    whole = step_of(place.outputs()[steps["diffusion-seed1"].identity])
    assert [point.temperature_k for point in whole.points] == [300, 400]
    assert "failed" not in whole.note
    assert states(place)["md-seed1-400K"].state == "done"


def test_a_budget_is_refused_before_anything_runs_and_force_goes_above(tmp_path):
    sweep = tiny_sweep(budget={"core_hours": 1e-9})
    with pytest.raises(SweepError, match=r"the sweep would exceed its budget\.core_hours"):
        run_sweep(sweep, str(tmp_path))
    with open_store(tmp_path) as store:
        assert store.candidates.count() == store.outputs.count() == 0


def test_a_run_needs_workers(tmp_path):
    with pytest.raises(SweepError) as caught:
        run_sweep(tiny_sweep(), str(tmp_path), workers=0)
    assert str(caught.value) == "a run needs workers. Given: 0. Allowed: 1 or more."
    assert not (tmp_path / "haloflow.sqlite").exists()


def test_status_of_a_sample_that_is_too_small_stays_unconverged(undisturbed):
    with open_store(undisturbed.store) as store:
        summary = find_summary(store, "NaCl glass")
    assert summary.sigma_300k_ms_cm.status is not Status.OK
    assert summary.n_mobile == 8
