"""Retention: only what rules name, only of complete candidates, marked before it is deleted."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sample_candidates
from kept_elsewhere import KINDS, STEP, Elsewhere, fill_with_a_run
from pydantic import ValidationError
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.errors import StoreError, SweepError, TrajectoryError
from haloflow.identity import file_sha256
from haloflow.makers.run_data import production_of
from haloflow.quantity import Status
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.checking import check_store
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of, summary_of
from haloflow.stores.results import stored_output
from haloflow.stores.retention import THINNED, Retention, plan_retention, record_rules
from haloflow.stores.saved_runs import PRUNING, RunSaver
from haloflow.workflows.fetching import fetch_files
from haloflow.workflows.frames import read_frames, stored_trajectories
from haloflow.workflows.pruning import prune
from haloflow.workflows.sweep import parse_sweep

pytestmark = pytest.mark.usefixtures("quick_settings")
ALL = Retention(failed="release", superseded="release", preparation="release")


@pytest.fixture
def filled(tmp_path):
    with open_store(tmp_path / "store") as store:
        yield store, *fill_with_a_run(store)


def of(store, run):
    return step_of(stored_output(store, run.identity))


def released(plan):
    return {(one.part, one.rule) for one in plan.releases}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_released_is_gone_everywhere_and_said_everywhere(
    kind, request, tmp_path, monkeypatch
):
    monkeypatch.setattr("haloflow.workflows.pruning._STRAY_AGE_S", 0.0)
    elsewhere = Elsewhere(kind, tmp_path, request)
    elsewhere.use()
    with elsewhere.opened("a") as store:
        _, run, frames = fill_with_a_run(store)
        stray = tmp_path / "stray"
        stray.write_bytes(b"of a run that was killed")
        store.files.put(stray, file_sha256(stray))
        rules = Retention(preparation="release", keep_every=3)
        assert released(plan_retention(store, rules)) == {
            ("equilibration", "preparation: release"), ("production", "keep_every: 3"),
        }  # fmt: skip
        done = prune(store, rules)
        assert (done.n_files, done.n_strays, done.failures) == (6, 1, {})
        now = of(store, run)
        marks = {file.released.rule for file in now.files if file.released}
        assert marks == {"preparation: release", "keep_every: 3"}
        assert all("@" in file.released.by for file in now.files if file.released)
        kept = [file for file in now.files if file.released is None]
        assert dict(store.files.target.sizes()) == {f.sha256: f.n_bytes for f in kept}
        found = check_store(store)
        assert (found.findings, found.n_released, found.n_files) == ([], 6, 1)
        (state,) = (s for s in summary_of(store.summaries.query_one({})).steps if s.name == STEP)
        assert state.files == now.files, "the summary says so too"
    shutil.rmtree(tmp_path / "a")
    with elsewhere.opened("b", read_only=True) as store:
        with pytest.raises(TrajectoryError, match="released by the rule 'keep_every: 3' on 2"):
            production_of(now, store.files)
        listed = {one.part: one for one in stored_trajectories({STEP: now}, store.files)}
        assert "released by the rule" in listed["production"].problem
        assert (listed["production-thinned"].n_frames, listed["production-thinned"].problem) == (
            15, "",
        )  # fmt: skip
        part = read_frames(now, None, store.files, most_frames=99, most_positions=10**6)
        assert np.allclose(part.positions_a, frames.positions[::3], atol=1e-4)
        assert part.times_ps[1] == pytest.approx(0.3)
        brought = fetch_files({STEP: now}, store.files, tmp_path / "out")
        assert (brought.n_fetched, len(brought.released), brought.failures) == (1, 6, {})
    with elsewhere.opened("b") as store:
        again = prune(store, rules)
        assert (again.plan.releases, again.n_files, again.n_strays) == ([], 0, 0)


def test_killed_between_mark_and_deletion_the_next_one_deletes(filled, monkeypatch):
    store, _, run, _ = filled
    with monkeypatch.context() as patch:
        patch.setattr("haloflow.workflows.pruning._delete", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prune(store, Retention(preparation="release"))
    first = store.files_dir / run.files[0].path
    assert first.exists()
    assert check_store(store).findings == []
    done = prune(store)
    assert (done.n_files, first.exists()) == (3, False)


@pytest.mark.parametrize("every", [3, 5])
def test_killed_after_a_thinned_copy_another_rule_can_follow(filled, monkeypatch, every):
    store, _, run, _ = filled
    with monkeypatch.context() as killed:
        killed.setattr("haloflow.workflows.pruning.Mark.model_copy", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prune(store, Retention(keep_every=5))
    done = prune(store, Retention(keep_every=every))
    assert (done.n_files, done.failures) == (3, {})
    (thinned,) = (
        file for file in of(store, run).files if file.released is None and THINNED in file.role
    )
    assert thinned.n_frames == 45 // every
    assert check_store(store).findings == []


def test_of_equal_files_none_stays(filled):
    store, candidate, run, _ = filled
    twice = run.files[0].model_copy(update={"path": f"twice/{run.files[0].path}"})
    place = store.files_dir / twice.path
    place.parent.mkdir(parents=True)
    shutil.copyfile(store.files_dir / run.files[0].path, place)
    both = run.model_copy(update={"files": [run.files[0], twice]})
    sample_candidates.fill(store, [(candidate, {STEP: both})])
    done = prune(store, Retention(preparation="release"))
    assert (done.n_files, done.n_bytes) == (2, 2 * twice.n_bytes)
    assert not place.exists()
    assert not (store.files_dir / run.files[0].path).exists()


def test_a_run_whose_candidate_is_not_complete_is_not_touched(filled):
    store, candidate, _, _ = filled
    steps = candidate.steps | {"transport": "0" * 64}
    sample_candidates.fill(store, [(candidate.model_copy(update={"steps": steps}), {})])
    SummaryBuilder.of(store).run()
    plan = plan_retention(store, ALL)
    assert (plan.releases, plan.n_unfinished) == ([], 1)


def test_a_run_that_no_candidate_has_any_more_is_superseded(filled):
    store, candidate, run, _ = filled
    steps = {name: one for name, one in candidate.steps.items() if name != STEP}
    sample_candidates.fill(store, [(candidate.model_copy(update={"steps": steps}), {})])
    SummaryBuilder.of(store).run()
    assert released(plan_retention(store, Retention(preparation="release"))) == set()
    plan = plan_retention(store, Retention(superseded="release"))
    assert released(plan) == {
        ("equilibration", "superseded: release"), ("production", "superseded: release"),
    }  # fmt: skip
    assert plan.n_bytes == sum(file.n_bytes for file in run.files)


def test_of_failed_runs_nothing_stays(tmp_path):
    with open_store(tmp_path / "store") as store:
        _, run, _ = fill_with_a_run(store, Status.DIVERGED)
        assert {r for _, r in released(plan_retention(store, ALL))} == {"failed: release"}
        prune(store, ALL)
        assert all(file.released for file in of(store, run).files)
        assert production_of(of(store, run).model_copy(update={"files": []}), store.files) is None


def test_sweeps_have_rules_and_the_most_careful_one_counts(filled):
    store, candidate, _, _ = filled
    (sweep,) = candidate.sweeps
    assert plan_retention(store).releases == []
    record_rules(store, sweep, Retention(preparation="release", keep_every=4, max_gb=1.0))
    assert released(plan_retention(store)) == {
        ("equilibration", "preparation: release"), ("production", "keep_every: 4"),
    }  # fmt: skip
    both = candidate.model_copy(update={"sweeps": [sweep, "other"]})
    sample_candidates.fill(store, [(both, {})])
    SummaryBuilder.of(store).run()
    assert plan_retention(store).releases == [], "the other sweep keeps everything"
    record_rules(store, "other", Retention(preparation="release"))
    assert released(plan_retention(store)) == {("equilibration", "preparation: release")}
    record_rules(store, "other", None)
    assert plan_retention(store).releases == []
    merged = Retention(keep_every=4, max_gb=1.0, after_days=1).with_(
        Retention(keep_every=2, max_gb=3.0, after_days=5, failed="release")
    )
    assert merged == Retention(keep_every=2, max_gb=3.0, after_days=5)


def test_a_superseded_run_may_be_that_of_any_sweep(filled):
    store, candidate, run, _ = filled
    steps = {name: one for name, one in candidate.steps.items() if name != STEP}
    bobs = candidate.model_copy(update={"steps": steps, "sweeps": ["bobs"]})
    sample_candidates.fill(store, [(bobs, {})])
    SummaryBuilder.of(store).run()
    record_rules(store, "anns", Retention(superseded="release"))
    assert plan_retention(store).releases == [], "bob keeps everything"
    record_rules(store, "bobs", Retention(preparation="release"))
    assert plan_retention(store).releases == []
    record_rules(store, "bobs", Retention(superseded="release"))
    assert {one.identity for one in plan_retention(store).releases} == {run.identity}
    row = store.candidates.query_one({"candidate_id": candidate.candidate_id})
    store.candidates.update([{**row, "steps": None}])
    assert plan_retention(store).releases == [], "nobody knows what that candidate has"


def test_size_takes_productions_alone(filled):
    store, candidate, run, _ = filled
    small = Retention(max_gb=1e-9)
    assert released(plan_retention(store, small)) == {("production", "max_gb: 1e-09")}
    prune(store, Retention(keep_every=5))
    assert plan_retention(store, small).releases == [], "the thinned copy stays"
    steps = {name: one for name, one in candidate.steps.items() if name != STEP}
    sample_candidates.fill(store, [(candidate.model_copy(update={"steps": steps}), {})])
    SummaryBuilder.of(store).run()
    assert plan_retention(store, small).releases == [], "superseded runs are kept"
    assert len(of(store, run).files) == 7


def test_of_broken_runs_size_takes_nothing(tmp_path):
    with open_store(tmp_path / "store") as store:
        fill_with_a_run(store, Status.DIVERGED)
        assert plan_retention(store, Retention(max_gb=1e-9)).releases == []


@pytest.mark.parametrize("is_newer", [True, False])
def test_a_candidate_whose_summary_is_not_up_to_date_holds_its_runs(filled, is_newer):
    store, candidate, run, _ = filled
    row = store.candidates.query_one({"candidate_id": candidate.candidate_id})
    row["steps"]["diffusion-new"] = "d" * 64  # reads the run, and has no result yet
    store.candidates.update([row | ({"schema_version": 99} if is_newer else {})])
    plan = plan_retention(store, ALL)
    assert (plan.releases, plan.n_unfinished) == ([], 1)
    done = prune(store, ALL)
    assert (done.plan.releases, done.plan.n_unfinished, done.n_files) == ([], 1, 0)
    del row["steps"]["diffusion-new"]
    store.candidates.update([row | ({"schema_version": 99} if is_newer else {})])
    assert bool(prune(store, ALL).plan.releases) is not is_newer
    assert bool(of(store, run).files[0].released) is not is_newer


def test_age_and_size_limit_what_goes(filled):
    store, _, run, _ = filled
    row = store.outputs.query_one({"output.identity": run.identity})
    store.outputs.update([{**row, "completed_at": "2026-01-01T00:00:00"}], key=["uuid", "index"])
    at = datetime(2026, 1, 3, tzinfo=UTC)
    rules = Retention(preparation="release", after_days=3)
    assert plan_retention(store, rules, at).releases == []
    assert plan_retention(store, rules, at + timedelta(days=1)).releases
    n_bytes = sum(file.n_bytes for file in run.files)
    assert plan_retention(store, Retention(max_gb=n_bytes / 1e9)).releases == []
    plan = plan_retention(store, Retention(max_gb=(n_bytes - 1) / 1e9))
    assert len(plan.releases) == 1
    assert plan.releases[0].rule.startswith("max_gb: ")
    assert plan.n_bytes_kept + plan.n_bytes == n_bytes


def test_a_damaged_run_is_left_as_it_is(filled):
    store, _, run, _ = filled
    (store.files_dir / run.files[4].path).write_bytes(b"damaged")
    done = prune(store, Retention(keep_every=2))
    assert list(done.failures) == [run.identity]
    assert "checksum" in done.failures[run.identity]
    assert not any(file.released for file in of(store, run).files)
    assert (store.files_dir / run.files[3].path).exists()


def test_a_file_that_another_document_needs_stays(filled, tmp_path):
    store, candidate, run, _ = filled
    copied = [
        file.model_copy(update={"role": "trajectory-production", "path": f"other/{file.path}"})
        for file in run.files[:3]
    ]
    other = run.model_copy(update={"identity": "c" * 64, "files": copied})
    for ours, theirs in zip(run.files[:3], copied, strict=True):
        place = store.files_dir / theirs.path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store.files_dir / ours.path, place)
    steps = candidate.steps | {"md-700K": other.identity}
    changed = candidate.model_copy(update={"steps": steps})
    sample_candidates.fill(store, [(changed, {"md-700K": other})])
    SummaryBuilder.of(store).run()
    done = prune(store, Retention(preparation="release"))
    assert (done.n_files, done.n_shared) == (0, 3)
    assert check_store(store).findings == []


def test_pruning_and_running_keep_out_of_each_others_way(tmp_path, request, monkeypatch):
    elsewhere = Elsewhere("folder", tmp_path, request)
    elsewhere.use()
    with elsewhere.opened("a") as store:
        claims = Claims(store.claims)
        with claims.held("5" * 64, Owner.here()), pytest.raises(StoreError, match="is at work"):
            prune(store, ALL)
        monkeypatch.setattr("haloflow.stores.saved_runs._LONGEST_PRUNING_S", 0.2)
        saver = RunSaver(store, "5" * 64, tmp_path / "step", 0.0)
        with (
            claims.held(PRUNING, Owner.here()),
            pytest.raises(StoreError, match="pruned for too long for a step to wait"),
        ):
            saver.restore()
        assert not saver.restore()


def test_the_command_only_says_what_would_go_unless_told(filled, monkeypatch):
    store, _, run, _ = filled
    monkeypatch.setenv("COLUMNS", "200")

    def haloflow(*words):
        said = CliRunner().invoke(app, ["db", "prune", *words, "--store", store.uri])
        assert said.exit_code == 0, said.output
        return said.stdout

    assert "No sweep has rules" in haloflow()
    said = haloflow("--preparation", "--keep-every", "5")
    assert "preparation: release" in said
    assert "Nothing was changed" in said
    assert all(file.released is None for file in of(store, run).files)
    said = haloflow("--preparation", "--keep-every", "5", "--apply")
    assert "6 files deleted" in said
    assert "There is nothing to release." in haloflow("--preparation")
    record_rules(store, "quick", ALL)
    assert "Rules of the sweeps quick" in haloflow()


def test_rules_in_a_sweep_are_checked():
    whole = {"name": "x", "systems": [{"crystal": "NaCl_B1"}]}
    assert parse_sweep(whole | {"retention": {"keep_every": 10}}).retention.keep_every == 10
    with pytest.raises(SweepError, match=r"retention\.keep_every: 1 is not allowed"):
        parse_sweep(whole | {"retention": {"keep_every": 1}})
    with pytest.raises(SweepError, match=r"retention\.old: unknown key"):
        parse_sweep(whole | {"retention": {"old": True}})
    with pytest.raises(ValidationError):
        Retention(failed="delete")
    with pytest.raises(SweepError) as caught:
        parse_sweep(whole | {"trajectory_store": "s3://key:secret@bucket/x"})
    assert "must not hold a secret" in str(caught.value)
    assert "secret@" not in str(caught.value)
