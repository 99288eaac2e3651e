"""How far a campaign is: counted right, failures grouped, time left from what is known."""

from __future__ import annotations

import json
import time
from collections import Counter

import many_candidates
import pytest
import sample_candidates
from web_client import WebClient

from haloflow.dashboard.api.kept import GOOD_FOR_S
from haloflow.dashboard.app import create_app
from haloflow.dashboard.recent import Lately, Recent
from haloflow.makers.progress import FILE_NAME
from haloflow.makers.step import step_directory
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.query import find_summaries
from haloflow.workflows.campaign import campaign
from haloflow.workflows.campaign_steps import count_steps
from haloflow.workflows.status import update_summaries

WAITING = "md-600K"


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path) as opened:
        sample_candidates.fill(opened)
        update_summaries(opened)
        yield opened


def test_states_are_those_of_all_steps(embedded, mongodb, embedded_store):
    found = embedded.data("/campaign")
    other = mongodb.data("/campaign")
    assert {**found, "taken_at": ""} == {**other, "taken_at": ""}
    steps = {
        step.identity: step
        for one in find_summaries(embedded_store.summaries)
        for step in one.steps
    }
    states = Counter(step.state for step in steps.values())
    assert found["states"] == {
        **{name: states[name] for name in ("waiting", "running", "done", "failed", "skipped")},
        "total": len(steps),
    }
    wall_s = sum(step.wall_s for step in steps.values())
    assert found["core_hours"] == pytest.approx(wall_s / 3600)
    assert sum(stage["total"] for stage in found["stages"]) == len(steps)


def test_a_sweep_is_counted_alone_and_an_unknown_one_refused(embedded, embedded_store):
    found = embedded.data("/campaign?sweep=synthetic-glasses")
    known = [
        one for one in find_summaries(embedded_store.summaries) if "synthetic-glasses" in one.sweeps
    ]
    assert found["n_candidates"] == len(known)
    error = embedded.error("/campaign?sweep=synthetic-glass")
    assert error["problem"] == "unknown sweep"
    assert "synthetic-glasses" in error["remedy"]
    sweeps = {row["name"]: row for row in embedded.data("/sweeps")}
    assert sweeps["synthetic-glasses"]["n_candidates"] == len(known)
    assert sweeps["synthetic-glasses"]["n_complete"] == sum(
        all(step.state in {"done", "skipped"} for step in one.steps) for one in known
    )


def test_of_very_many_candidates_steps_are_estimated_and_it_is_said(embedded_store, mongodb_store):
    whole = count_steps(embedded_store, {})
    some = count_steps(embedded_store, {}, 100)
    assert whole.note == ""
    n = whole.n_candidates
    assert some.note == f"Steps, cost and time are estimated from 100 of {n} candidates."
    assert (some.n_candidates, some.n_complete) == (n, whole.n_complete)
    for stage, known in whole.stages.items():
        if stage != "registries":  # only one candidate has it
            total = sum(known.states.values())
            assert sum(some.stages[stage].states.values()) == pytest.approx(total, rel=0.2)
            assert some.stages[stage].mean_s == pytest.approx(known.mean_s, rel=0.05)
    assert some.open.items() <= whole.open.items()
    assert count_steps(mongodb_store, {}, 100) == some
    crystals = count_steps(embedded_store, {"phase": "crystal"}, 50)
    assert crystals.n_candidates < n
    assert crystals.n_complete < crystals.n_candidates


def test_in_a_sample_steps_that_all_share_count_once_and_the_newest_are_known(store):
    template, _ = sample_candidates.searched_crystal()
    for n in range(30):
        steps = {"phase-NaCl": "f" * 64, "md-700K": f"{n:064x}"}
        one = template.model_copy(update={"candidate_id": f"c{n:02}", "steps": steps})
        sample_candidates.fill(store, [(one, {})])
    update_summaries(store)
    other = template.model_copy(update={"candidate_id": "a-new", "steps": {"md-700K": "e" * 64}})
    sample_candidates.fill(store, [(other, {})])
    update_summaries(store)
    found = count_steps(store, {"candidate_id": {"$gte": "a-new"}}, 10)
    assert found.n_candidates >= 31
    assert found.stages["relax"].states["waiting"] == 1
    assert found.stages["md"].states["waiting"] >= 25
    assert found.open["e" * 64].candidate_id == "a-new"


def test_nothing_that_runs_leaves_the_time_open(store):
    found = campaign(store)
    assert found.eta_s is None
    assert found.eta_note == "nothing runs"


def test_a_running_step_tells_its_share_and_time_left(store):
    candidate, _ = sample_candidates.searched_crystal()
    identity = candidate.steps[WAITING]
    with Claims(store.claims).held(identity, Owner.here()):
        collection = Claims(store.claims)._collection
        row = next(iter(collection.find({"_id": identity})))
        row["claimed_at"] = row["claimed_at"].replace(year=row["claimed_at"].year - 1)
        collection.replace_one({"_id": identity}, row)
        folder = step_directory(store.files_dir, identity)
        folder.mkdir(parents=True)
        progress = {"stage": "production", "done": 25, "total": 100, "updated_at": time.time()}
        (folder / FILE_NAME).write_text(json.dumps(progress))
        client = WebClient(create_app(store))
        found = client.data("/campaign")
        (one,) = found["running"]
        assert one["candidate_id"] == candidate.candidate_id
        assert (one["step"], one["stage"], one["share"]) == (WAITING, "production", 0.25)
        year_s = 365 * 86400
        assert one["seconds_left"] == pytest.approx(3 * year_s, rel=0.01)
        md = next(stage for stage in found["stages"] if stage["stage"] == "md")
        assert (md["running"], md["waiting"]) == (1, 0)
        assert found["eta_s"] is not None
        waiting = [stage for stage in found["stages"] if stage["waiting"]]
        left = 3 * year_s + sum(stage["waiting"] * stage["mean_s"] for stage in waiting)
        assert found["eta_s"] == pytest.approx(left, rel=0.01)


def test_stages_of_which_none_has_ended_leave_the_time_open(store):
    candidate, _ = sample_candidates.searched_crystal()
    other = candidate.model_copy(
        update={
            "candidate_id": "other",
            "steps": {"landscape": "1" * 64, WAITING: candidate.steps[WAITING]},
        }
    )
    sample_candidates.fill(store, [(other, {})])
    update_summaries(store)
    with Claims(store.claims).held(candidate.steps[WAITING], Owner.here()):
        found = campaign(store)
    assert found.eta_s is None
    assert found.eta_note == "no step of md, landscape has ended yet"


def test_failures_are_grouped_by_cause_numbers_aside(store):
    template, _ = sample_candidates.searched_crystal()
    errors = [f"the cell has {n} atoms in /tmp/run{n}/a\nline\n{n}" for n in range(5)]
    errors += ["out of memory", ""]
    for n, error in enumerate(errors):
        one = template.model_copy(
            update={"candidate_id": f"c{n}", "label": f"c{n}", "steps": {"md-700K": f"{n:064x}"}}
        )
        sample_candidates.fill(store, [(one, {})])
        row = {"identity": f"{n:064x}", "step": "md-700K", "error": error}
        store.failures.update([row], key="identity")
    update_summaries(store)
    found = WebClient(create_app(store)).data("/campaign")
    counts = {group["cause"]: group["count"] for group in found["failures"]}
    assert counts == {
        "the cell has 0 atoms in /tmp/run0/a": 5, "out of memory": 1, "no message": 1,
    }  # fmt: skip
    first = found["failures"][0]
    assert first["stages"] == {"md": 5}
    assert len(first["examples"]) == 3
    assert first["examples"][1]["candidate_id"] == "c1"
    assert first["examples"][1]["tail"].endswith("line\n1")
    assert found["n_failures"] == 7


def test_core_hours_count_threads(store):
    before = campaign(store)
    for row in store.outputs.query({}):
        row["output"]["provenance"]["threads"] = 4
        store.outputs.update([row], key="uuid")
    after = campaign(store)
    assert set(after.threads.values()) == {1, 4}
    assert after.core_hours == pytest.approx(4 * before.core_hours)


def test_an_empty_store_has_nothing_left(tmp_path):
    with open_store(tmp_path) as store:
        found = WebClient(create_app(store)).data("/campaign")
    assert found["states"]["total"] == 0
    assert (found["eta_s"], found["eta_note"]) == (0, "all steps have ended")


def test_the_recent_are_kept_and_the_oldest_dropped():
    made = []
    recent = Recent(2)
    for key in "abaca":
        recent.get(key, lambda key=key: made.append(key) or key)
    assert made == ["a", "b", "c"]
    recent.get("b", lambda: made.append("b"))
    assert made[-1] == "b"


def test_what_is_dear_is_made_again_half_of_the_time_at_most(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("haloflow.dashboard.recent.time.monotonic", lambda: now[0])

    def make():
        now[0] += 2.0
        return now[0]

    lately = Lately(4, good_for_s=1.0)
    assert lately.get("a", make) == 2.0
    now[0] += 1.9
    assert lately.get("a", make) == 2.0
    now[0] += 0.2
    assert lately.get("a", make) == pytest.approx(6.1)
    lately = Lately(4, good_for_s=1.0)
    assert [lately.get("b", lambda: "x"), lately.get("b", lambda: "y")] == ["x", "x"]
    now[0] += 1.5
    assert lately.get("b", lambda: "y") == "y"


def test_what_nobody_has_written_to_is_kept_for_ever_and_else_for_some_seconds(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("haloflow.dashboard.recent.time.monotonic", lambda: now[0])
    lately = Lately(4, good_for_s=5.0)
    assert lately.get("a", lambda: "x", version=1) == "x"
    now[0] += 1e6
    assert lately.get("a", lambda: "y", version=1) == "x"
    assert lately.get("a", lambda: "y", version=2) == "y"
    now[0] += 4.9
    assert lately.get("a", lambda: "z", version=3) == "y"
    now[0] += 0.2
    assert lately.get("a", lambda: "z", version=3) == "z"


@pytest.mark.parametrize("path", ["/stats", "/figures/pareto", "/sweeps", "/campaign"])
def test_what_is_written_is_told_after_some_seconds(tmp_path, monkeypatch, path):
    now = [0.0]
    monkeypatch.setattr("haloflow.dashboard.recent.time.monotonic", lambda: now[0])
    with open_store(tmp_path) as writer:
        many_candidates.fill(writer, 20)
        with open_store(tmp_path, read_only=True) as reader:
            client = WebClient(create_app(reader))

            def look():
                found = client.data(path)
                return found if isinstance(found, list) else {**found, "taken_at": ""}

            first = look()
            row = writer.summaries.query_one({"sigma_300k_ms_cm.status": "ok"})
            writer.summaries.remove_docs({"candidate_id": row["candidate_id"]})
            now[0] += GOOD_FOR_S + 0.1
            assert look() != first
