"""What looks lost in a LaunchPad for a moment, and is not."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from fireworks import Firework, LaunchPad, Workflow
from fireworks.core.fworker import FWorker
from idle_task import IdleTask

from haloflow.workflows.managers.fireworks_recovery import Recovery

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
