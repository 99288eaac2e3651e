"""Looks at others that a job takes: they cost the job no time that its step counts on."""

from __future__ import annotations

import operator
import time
from datetime import UTC, datetime, timedelta

import pytest
import sample_candidates
from fireworks import Firework, LaunchPad, Workflow, fw_config
from fireworks.core.fworker import FWorker
from idle_task import IdleTask
from jobflow import Job
from tiny_sweeps import tiny_sweep

from haloflow.makers.walltime import limited_to, walltime_left_s
from haloflow.stores.connection import open_store
from haloflow.workflows.managers import fireworks_recovery, fireworks_task
from haloflow.workflows.managers.campaigns import Campaign, recover
from haloflow.workflows.managers.fireworks import FireWorksManager
from haloflow.workflows.managers.fireworks_task import IDENTITY, ORDERS, StepFiretask
from haloflow.workflows.managers.task import Ending, Orders

STEPS = {"a": "a" * 64, "b": "b" * 64}


@pytest.fixture
def pad(mongod_uri):
    name = f"looks-{time.monotonic_ns()}"
    made = LaunchPad(host=f"{mongod_uri}/{name}", uri_mode=True, name=name, strm_lvl="ERROR")
    made.reset("", require_password=False, max_reset_wo_password=1)
    for identity in STEPS.values():
        made.add_wf(Workflow([Firework([IdleTask()], spec={IDENTITY: identity})]))
    yield made
    made.connection.drop_database(name)
    made.connection.close()


@pytest.fixture
def store(pad, mongod_uri, tmp_path):
    """A store with a sweep of one step for each firework."""
    uri = f"{mongod_uri}/{pad.name}-store"
    candidate, _ = sample_candidates.searched_crystal()
    with open_store(uri, files_dir=tmp_path) as opened:
        for name, identity in STEPS.items():
            one = {"candidate_id": name, "sweeps": [name], "steps": {"relax": identity}}
            sample_candidates.fill(opened, [(candidate.model_copy(update=one), {})])
        yield opened
    pad.connection.drop_database(f"{pad.name}-store")


@pytest.fixture
def stays(monkeypatch):
    """The numbers of launches of each second look, which is a short one."""
    found, look = [], fireworks_recovery.Recovery._unheard

    def counted(self, launches):
        several = list(launches)
        found.append(len(several))
        return look(self, several)

    monkeypatch.setattr(fireworks_recovery.Recovery, "_unheard", counted)
    monkeypatch.setattr(fireworks_recovery, "_MOST_STAY_S", 0.1)
    return found


def silent(pad):
    """Let all fireworks run, and be silent for five hours."""
    for _ in STEPS:
        pad.checkout_fw(FWorker(), "there")
    old = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
    times = {"state_history.$[].updated_on": old, "state_history.$[].created_on": old}
    pad.launches.update_many({}, {"$set": times})


def sweeps(pad, *, stays=True):
    manager = FireWorksManager(pad, stays=stays)
    return [Campaign(tiny_sweep(name=name), manager) for name in STEPS]


def first_look_was_earlier(pad):
    at = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    pad.launches.update_many({}, {"$set": {"haloflow_first_look.at": at}})


def test_several_sweeps_are_stayed_for_once(pad, store, stays):
    silent(pad)
    assert recover(sweeps(pad), store) == {"a": set(), "b": set()}
    first_look_was_earlier(pad)
    del stays[:]
    assert recover(sweeps(pad), store) == {name: {one} for name, one in STEPS.items()}
    assert stays == [2]
    assert {row["state"] for row in pad.fireworks.find()} == {"READY"}


def test_who_has_no_time_to_stay_notes_what_is_silent_for_who_has(pad, store, stays):
    silent(pad)
    for _ in range(3):
        assert recover(sweeps(pad, stays=False), store) == {"a": set(), "b": set()}
        first_look_was_earlier(pad)
    assert stays == []
    assert recover(sweeps(pad), store) == {name: {one} for name, one in STEPS.items()}


def test_many_answers_take_their_time_and_a_look_reads_only_the_last_sign(pad, monkeypatch):
    """Of a server that is there, whose answer to a long question is late."""
    monkeypatch.setattr(fw_config, "PING_TIME_SECS", 1)
    silent(pad)
    earlier = {"$each": [{"state": "RESERVED"}], "$position": 0}
    pad.launches.update_many({}, {"$push": {"state_history": earlier}})
    recovery = fireworks_recovery.Recovery(pad, None)
    rows = list(recovery._launches_by_id([1, 2]))
    assert [len(row["state_history"]) for row in rows] == [1, 1]
    assert [len(row["state_history"]) for row in pad.launches.find()] == [2, 2]
    read = recovery._launches_by_id

    def slowly(ids):
        time.sleep(0.2)
        return read(ids)

    monkeypatch.setattr(recovery, "_launches_by_id", slowly)
    monkeypatch.setattr(fireworks_recovery, "_PROMPT_S", 0.15)
    assert [one["launch_id"] for one in recovery._unheard(rows)] == [1, 2]


@pytest.mark.parametrize("ending", [Ending.DONE, Ending.INTERRUPTED])
def test_a_step_has_the_time_that_the_look_before_it_left(store, monkeypatch, ending):
    looks, left = [], []
    look_s = 0.3

    def look(_store, manager):
        assert not manager()._stays
        looks.append(time.monotonic())
        time.sleep(look_s)

    def run(_job, _orders, _store, tell):
        left.append(walltime_left_s())
        tell("the walltime of 60 s")
        return ending

    monkeypatch.setattr(fireworks_task, "look_after_others", look)
    monkeypatch.setattr(fireworks_task, "run_queued", run)
    orders = Orders(STEPS["a"], "relax", (), (), 60.0, 1, 0.1)
    task = StepFiretask(job=Job(operator.neg, (1,)), store=store.jobstore)
    task.launchpad = LaunchPad(strm_lvl="ERROR", mongoclient_kwargs={"connect": False})
    action = task.run_task({ORDERS: orders.as_record()})
    task.launchpad.connection.close()
    assert left[0] <= 60.0 - look_s
    assert len(looks) == (1 if ending is Ending.INTERRUPTED else 2)
    assert bool(action.detours) is (ending is Ending.INTERRUPTED)


def test_a_limit_within_another_does_not_stretch_it():
    with limited_to(1.0):
        for inner in (60.0, None):
            with limited_to(inner):
                assert walltime_left_s() <= 1.0
        with limited_to(0.5):
            assert walltime_left_s() <= 0.5
        assert 0.5 < walltime_left_s() <= 1.0
    assert walltime_left_s() is None
