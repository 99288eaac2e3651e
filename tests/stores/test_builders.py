"""Summaries follow the jobs, candidates, claims and failures of a store, and only these."""

from __future__ import annotations

import pytest
from jobflow import job, run_locally
from small_candidates import CELL, MADE, put

from haloflow.identity import step_uuid
from haloflow.quantity import Quantity
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import HaloflowStore, open_store
from haloflow.stores.documents import StaticDocument
from haloflow.stores.records import summary_of
from haloflow.stores.results import (
    clear_failures,
    failures,
    finished,
    forget,
    record_failure,
    stored_output,
    stored_outputs,
)
from haloflow.workflows.status import update_summaries

pytestmark = pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning")  # in jobflow


@pytest.fixture(params=["embedded", "mongodb"])
def store(request, tmp_path):
    uri = str(tmp_path)
    if request.param == "mongodb":
        uri = f"{request.getfixturevalue('mongod_uri')}/builders{tmp_path.name}"
    with open_store(uri, files_dir=tmp_path / "files") as opened:
        yield opened


@job
def compute(identity):
    return StaticDocument(
        identity=identity,
        provenance=MADE,
        structure=CELL,
        level="l",
        energy_ev_per_atom=Quantity(-3.0),
        max_force_ev_a=0.1,
    )


def run_step(store, identity, folder):
    step = compute(identity)
    step.set_uuid(step_uuid(identity))
    run_locally(step, store=store.jobstore, root_dir=folder, log=False, ensure_success=True)


def states(store, name):
    return [step.state for step in summary(store, name).steps]


def summary(store, name):
    return summary_of(store.summaries.query_one({"candidate_id": name}))


def build(store, *names):
    """Build, and return which candidates were looked at and which summaries have changed."""
    looked, before = [], written(store)
    builder = SummaryBuilder.of(store, names or None)
    process = builder.process_item

    def watch_process(item):
        looked.append(item["candidate"].candidate_id)
        return process(item)

    builder.process_item = watch_process
    builder.run()
    after = written(store)
    return sorted(looked), sorted(name for name in after if after[name] != before.get(name))


def written(store):
    """Return the summaries as they are, with the times of their last changes."""
    marks = {"_id", "_writing"}
    return {
        row["candidate_id"]: {key: value for key, value in row.items() if key not in marks}
        for row in store.summaries.query({})
    }


def test_only_what_changed_is_built_again(store, tmp_path):
    put(store, "done", "a")
    put(store, "open", "bc")
    for identity in "ab":
        run_step(store, identity, tmp_path)
    assert build(store) == (["done", "open"], ["done", "open"])
    assert (states(store, "done"), states(store, "open")) == (["done"], ["done", "waiting"])
    assert summary(store, "done").complete
    assert summary(store, "done").wall_s == 5.0

    before = summary(store, "open")
    assert build(store)[1] == []
    assert summary(store, "open") == before

    assert build(store) == ([], [])
    run_step(store, "c", tmp_path)
    assert build(store) == (["open"], ["open"])
    assert states(store, "open") == ["done", "done"]
    assert summary(store, "open").last_updated > before.last_updated


def test_a_changed_candidate_and_a_step_made_anew_are_noticed(store, tmp_path):
    put(store, "c1", "a")
    put(store, "c2", "b")
    for identity in "ab":
        run_step(store, identity, tmp_path)
    build(store)
    assert build(store) == ([], [])
    put(store, "c1", "ab")
    assert build(store) == (["c1"], ["c1"])
    output = {**stored_output(store, "b"), "note": "made anew"}
    store.jobstore.update({"uuid": step_uuid("b"), "index": 2, "output": output})
    assert build(store) == (["c1", "c2"], ["c1", "c2"])
    assert summary(store, "c2").steps[0].note == "made anew"


def test_named_candidates_are_always_looked_at(store):
    put(store, "c1", "a")
    put(store, "c2", "b")
    assert build(store, "c2") == (["c2"], ["c2"])
    assert build(store, "c2") == (["c2"], [])
    assert store.summaries.count({}) == 1


def test_running_and_failed_steps_are_shown(store):
    put(store, "c1", "ab")
    claims, owner = Claims(store.claims), Owner.here()
    claims.acquire("a", owner)
    record_failure(store, "b", "static-b", "no memory")
    build(store)
    assert states(store, "c1") == ["running", "failed"]
    assert summary(store, "c1").steps[1].note == "no memory"
    claims.release("a", owner)
    clear_failures(store, ["b"])
    build(store)
    assert states(store, "c1") == ["waiting", "waiting"]


def test_a_builder_can_be_serialized(store):
    put(store, "c1", "a")
    again = SummaryBuilder.from_dict(SummaryBuilder.of(store, ["c1"]).as_dict())
    again.run()
    again.finalize()
    assert states(store, "c1") == ["waiting"]


def test_results_are_found_by_identity(store, tmp_path):
    assert stored_output(store, "a") is None
    for identity in "ab":
        run_step(store, identity, tmp_path)
    assert stored_output(store, "a")["identity"] == "a"
    assert stored_outputs(store, "abc").keys() == {"a", "b"}
    assert finished(store, "abc") == {"a", "b"}
    record_failure(store, "c", "static", "first")
    record_failure(store, "c", "static", "second")
    assert failures(store, "abc") == {"c": "second"}
    forget(store, ["a"])
    assert finished(store, "abc") == {"b"}
    assert isinstance(store, HaloflowStore)


def test_one_that_cannot_be_read_stops_no_other(store, tmp_path):
    for name in ("a-fine", "b-formula", "c-record", "d-output", "e-fine"):
        put(store, name, name[0])
    damage(store, "b-formula", formula="no formula!")
    damage(store, "c-record", n_atoms="many")
    for identity in "ade":
        run_step(store, identity, tmp_path)
    damage_output(store, "d", level=None)
    builder = SummaryBuilder.of(store)
    builder.run()
    assert builder.unreadable.keys() == {"b-formula", "c-record", "d-output"}
    assert builder.unreadable["b-formula"].startswith("no formula! is an invalid formula")
    assert "n_atoms" in builder.unreadable["c-record"]
    assert "level" in builder.unreadable["d-output"]
    assert set(store.summaries.distinct("candidate_id")) == {"a-fine", "e-fine"}
    assert states(store, "e-fine") == ["done"]


def test_what_could_not_be_read_is_looked_at_again(store, tmp_path):
    put(store, "whole", "a")
    put(store, "damaged", "b")
    build(store)
    for identity in "ab":
        run_step(store, identity, tmp_path)
    damage_output(store, "b", level=None)
    assert update_summaries(store).keys() == {"damaged"}
    assert update_summaries(store, ["whole"]) == {}
    assert update_summaries(store).keys() == {"damaged"}
    assert states(store, "damaged") == ["waiting"]
    damage_output(store, "b", level="l")
    assert update_summaries(store) == {}
    assert states(store, "damaged") == ["done"]
    assert build(store) == ([], [])


def damage(store, name, **changes):
    row = store.candidates.query_one({"candidate_id": name})
    store.candidates.update({**row, **changes})


def damage_output(store, identity, **changes):
    row = store.outputs.query_one({"uuid": step_uuid(identity)})
    store.outputs.remove_docs({"_id": row["_id"]})
    store.outputs.update({**row, "output": {**row["output"], **changes}})
