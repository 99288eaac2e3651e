"""Sweeps that nobody looks at: what is lost runs again."""

from __future__ import annotations

import os
import signal

import pytest
from cluster import wait_for
from pair_potential import DELAY_S
from pymongo.errors import AutoReconnect
from tiny_sweeps import tiny_sweep

from haloflow.errors import StoreError
from haloflow.stores.claims import Claims, Owner
from haloflow.workflows.managers import task, watching
from haloflow.workflows.managers.campaigns import campaigns, submit_sweep
from haloflow.workflows.managers.task import look_after_others
from haloflow.workflows.managers.watching import recover_all, watch


@pytest.fixture
def store(site, manager_here):
    open_manager = manager_here(site)
    with site.open() as opened:
        submit_sweep(tiny_sweep(), opened, open_manager())
        yield opened


def lost_to_a_kill(site, store):
    """Let a worker be killed within a step; return the step's firework."""
    command = ("rlaunch", "-c", str(site.config), "singleshot")
    process = site.start(*command, **{DELAY_S: "60"})
    try:
        wait_for(lambda: Claims(store.claims).live(), "the step to begin")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    (row,) = (row for row in site.fireworks() if row["state"] == "RUNNING")
    return row["fw_id"]


def state_of(site, fw_id):
    (state,) = (row["state"] for row in site.fireworks() if row["fw_id"] == fw_id)
    return state


def test_workers_look_after_each_other(site, store):
    lost = lost_to_a_kill(site, store)
    code, out = site.run("rlaunch", "-c", str(site.config), "singleshot", HALOFLOW_WATCH_S="1")
    assert code == 0, out
    assert state_of(site, lost) == "READY"


def test_a_line_of_cron_finds_what_is_lost(site, store):
    lost = lost_to_a_kill(site, store)
    assert "tiny: 1 step lost and run again" in site.haloflow("recover")
    assert state_of(site, lost) == "READY"
    assert "tiny: 0 steps lost and run again" in site.haloflow("recover")


def test_of_many_jobs_one_looks_now_and_then(store, monkeypatch):
    opened = []

    def manager():
        opened.append(campaigns)
        raise StoreError("no business of the job's")

    look_after_others(store, manager)
    look_after_others(store, manager)
    assert len(opened) == 1
    monkeypatch.setattr(
        task.get_settings(), "__dict__", {**vars(task.get_settings()), "watch_s": 0}
    )
    look_after_others(store, manager)
    assert len(opened) == 2


def test_one_watches_until_all_has_come_to_rest(store, monkeypatch):
    said, looks = [], []

    def settled(_store):
        looks.append(len(looks))
        if looks[-1] == 0:
            raise AutoReconnect("away for a moment")
        return looks[-1] == 2

    monkeypatch.setattr(watching, "_is_settled", settled)
    watch(store, 0.01, said.append)
    assert len(looks) == 3
    assert "away for a moment" in said[0]
    assert said[1:] == [said[-1]]
    assert said[-1].endswith("nothing runs or waits for a worker")
    assert Claims(store.meta).live(["watchdog"]) == {}


def test_a_second_watchdog_has_nothing_to_do(store):
    said = []
    with Claims(store.meta).held("watchdog", Owner.here()):
        watch(store, 60, said.append)
    assert len(said) == 1
    assert f"process {os.getpid()} on" in said[0]
    assert "looks after the sweeps of this store" in said[0]


def test_trouble_that_does_not_end_ends_the_watch(store, monkeypatch):
    monkeypatch.setattr(watching, "_MOST_TROUBLE_S", 0.0)

    def recover(_store):
        raise StoreError("the server is gone for good")

    monkeypatch.setattr(watching, "recover_all", recover)
    with pytest.raises(StoreError, match="gone for good"):
        watch(store, 0.01, lambda _words: None)


def test_what_waits_is_left_alone(store):
    assert recover_all(store) == {"tiny": set()}
