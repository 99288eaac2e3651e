"""What looks lost in a LaunchPad for a moment, and is not."""

from __future__ import annotations

import getpass
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sample_candidates
from fireworks import Firework, LaunchPad, Workflow, fw_config
from fireworks.core.fworker import FWorker
from idle_task import IdleTask
from tiny_sweeps import tiny_sweep

from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.workflows.managers import fireworks_recovery
from haloflow.workflows.managers.batch import QueueView
from haloflow.workflows.managers.campaigns import Campaign
from haloflow.workflows.managers.fireworks import FireWorksManager
from haloflow.workflows.managers.fireworks_recovery import Recovery
from haloflow.workflows.managers.fireworks_task import IDENTITY

STEP = "9" * 64
LOST_AFTER_S = 300.0


@pytest.fixture
def pad(mongod_uri):
    name = f"recovery-{time.monotonic_ns()}"
    made = LaunchPad(host=f"{mongod_uri}/{name}", uri_mode=True, name=name, strm_lvl="ERROR")
    made.reset("", require_password=False, max_reset_wo_password=1)
    made.add_wf(Workflow([Firework([IdleTask()])]))
    yield made
    made.connection.drop_database(name)
    made.connection.close()


def state_of(pad, fw_id):
    return pad.fireworks.find_one({"fw_id": fw_id})["state"]


def age(pad, fw_id, seconds=3600.0):
    """Let all that is known of a firework be as old as this."""
    old = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    pad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"updated_on": old}})
    times = {"state_history.$[].updated_on": old, "state_history.$[].created_on": old}
    pad.launches.update_many({"fw_id": fw_id}, {"$set": times})


class Before:
    """A collection before whose next answer to a question something happens."""

    def __init__(self, collection, happens):
        self._collection, self._happens = collection, [happens]

    def __getattr__(self, name):
        return getattr(self._collection, name)

    def find(self, *args, **kwargs):
        if self._happens:
            self._happens.pop()()
        return self._collection.find(*args, **kwargs)


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_job_that_starts_between_two_looks_goes_on(pad, is_sent):
    worker = FWorker()
    firework, launch_id = pad.reserve_fw(worker, "there")
    fw_id = firework.fw_id
    if is_sent:
        pad.set_reservation_id(launch_id, "77")
    age(pad, fw_id)
    recovery = Recovery(pad, None)
    pad.launches = Before(pad.launches, lambda: pad.checkout_fw(worker, "there", fw_id=fw_id))
    assert recovery._never_sent([fw_id], LOST_AFTER_S) == set()
    assert state_of(pad, fw_id) == "RUNNING"


def test_what_was_sent_nowhere_is_put_back(pad):
    fw_id = pad.fireworks.find_one({})["fw_id"]
    pad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": "RESERVED"}})
    age(pad, fw_id)
    assert Recovery(pad, None)._never_sent([fw_id], LOST_AFTER_S) == {fw_id}
    assert state_of(pad, fw_id) == "READY"


def start(pad):
    firework, launch_id = pad.checkout_fw(FWorker(), "there")
    return firework.fw_id, launch_id


def look(pad, fw_id):
    return Recovery(pad, None).put_back({fw_id: STEP}, {}, LOST_AFTER_S)


def first_look_was_earlier(pad, seconds):
    look = pad.launches.find_one({})["haloflow_first_look"]
    at = datetime.fromisoformat(look["at"]) - timedelta(seconds=seconds)
    pad.launches.update_many({}, {"$set": {"haloflow_first_look.at": at.isoformat()}})


def test_after_an_outage_whoever_looks_first_puts_nothing_back(pad, monkeypatch):
    monkeypatch.setattr(fw_config, "PING_TIME_SECS", 60)
    monkeypatch.setattr(fireworks_recovery, "_MOST_STAY_S", 0.1)
    fw_id, launch_id = start(pad)
    for _ in range(2):  # two outages, after which the job is heard of again
        age(pad, fw_id)
        assert look(pad, fw_id) == set()
        first_look_was_earlier(pad, 70)
        assert look(pad, fw_id) == set(), "it has not had the time for two pings"
        pad.ping_launch(launch_id)
        first_look_was_earlier(pad, 3600)
        assert look(pad, fw_id) == set()
    age(pad, fw_id, 3000.0)
    assert look(pad, fw_id) == set()
    assert state_of(pad, fw_id) == "RUNNING"
    first_look_was_earlier(pad, 130)
    assert look(pad, fw_id) == {fw_id}
    assert state_of(pad, fw_id) == "READY"


def silent_for_long_at_a_second_look(pad):
    """Let a job be as silent as an hour ago, at the first look: the server was away since."""
    fw_id, launch_id = start(pad)
    age(pad, fw_id, 2 * 3600.0)
    assert look(pad, fw_id) == set()
    first_look_was_earlier(pad, 3600)
    return fw_id, launch_id


def test_a_server_that_comes_and_goes_is_back_for_a_ping_before_the_second_look(pad, monkeypatch):
    monkeypatch.setattr(fw_config, "PING_TIME_SECS", 4)
    fw_id, launch_id = silent_for_long_at_a_second_look(pad)
    ping = threading.Timer(0.5, pad.ping_launch, (launch_id,))
    ping.start()
    assert look(pad, fw_id) == set()
    ping.join()
    assert state_of(pad, fw_id) == "RUNNING"


def test_a_server_that_answers_late_at_the_second_look_tells_nothing(pad, monkeypatch):
    monkeypatch.setattr(fw_config, "PING_TIME_SECS", 1)
    fw_id, _ = silent_for_long_at_a_second_look(pad)
    with monkeypatch.context() as away:
        away.setattr(fireworks_recovery, "_PROMPT_S", 0.0)
        assert look(pad, fw_id) == set()
    assert look(pad, fw_id) == {fw_id}
    assert state_of(pad, fw_id) == "READY"


def test_a_job_that_is_silent_for_six_hours_is_lost_at_one_look(pad):
    fw_id, _ = start(pad)
    age(pad, fw_id, 7 * 3600)
    assert look(pad, fw_id) == {fw_id}


def test_a_job_whose_step_has_a_living_claim_is_left_alone(pad, tmp_path, mongod_uri):
    fw_id, _ = start(pad)
    pad.fireworks.update_one({"fw_id": fw_id}, {"$set": {f"spec.{IDENTITY}": STEP}})
    age(pad, fw_id, 7 * 3600)
    with open_store(f"{mongod_uri}/{pad.name}-store", files_dir=tmp_path) as store:
        candidate, _ = sample_candidates.searched_crystal()
        sample_candidates.fill(
            store, [(candidate.model_copy(update={"steps": {"relax": STEP}}), {})]
        )
        sweep = tiny_sweep(name=candidate.sweeps[0])
        campaign = Campaign(sweep, FireWorksManager(pad))
        assert campaign.identities(store) == {STEP}
        claims, away = Claims(store.claims), replace(Owner.here(), host="node7#")
        assert claims.acquire(STEP, away)
        assert campaign.recover(store) == set()
        assert state_of(pad, fw_id) == "RUNNING"
        claims.release(STEP, away)
        assert campaign.recover(store) == {STEP}


HERE = {"haloflow_of": f"{getpass.getuser()}@here"}


@pytest.mark.parametrize(
    ("sent_by", "launch_dir", "is_own"),
    [
        (HERE, "gone", True),
        ({"haloflow_of": f"{getpass.getuser()}@there"}, ".", False),
        ({"haloflow_of": "somebody@here"}, ".", False),
        ({}, ".", True),
        ({}, "gone", False),
    ],
)
@pytest.mark.parametrize("state", ["RESERVED", "RUNNING"])
def test_what_other_clusters_and_users_sent_is_theirs(
    pad, tmp_path, monkeypatch, *, sent_by, launch_dir, is_own, state
):
    folder = str(tmp_path / launch_dir)
    sender = FWorker(name="haloflow", env=sent_by)
    firework, launch_id = pad.reserve_fw(sender, folder)
    fw_id = firework.fw_id
    pad.set_reservation_id(launch_id, "555")
    if state == "RUNNING":
        pad.checkout_fw(sender, folder, fw_id=fw_id)
    worker = FWorker(name="haloflow", env=HERE)
    monkeypatch.setattr(fireworks_recovery.FWorker, "auto_load", lambda: worker)
    queue = QueueView(frozenset({"12"}))
    monkeypatch.setattr(fireworks_recovery, "look_at_queue", lambda _: queue)
    recovery = Recovery(pad, "SLURM")
    assert [job_id for _, job_id in recovery.sent([fw_id])] == (["555"] if is_own else [])
    assert recovery.put_back({fw_id: STEP}, {}, LOST_AFTER_S) == ({fw_id} if is_own else set())
    assert state_of(pad, fw_id) == ("READY" if is_own else state)


def test_a_configuration_of_another_user_owns_nothing(pad, monkeypatch):
    env = {"haloflow_of": "somebody@here"}
    firework, launch_id = pad.reserve_fw(FWorker(name="haloflow", env=env), "gone")
    pad.set_reservation_id(launch_id, "555")
    monkeypatch.setattr(
        fireworks_recovery.FWorker, "auto_load", lambda: FWorker(name="haloflow", env=env)
    )
    assert list(Recovery(pad, "SLURM").sent([firework.fw_id])) == []
