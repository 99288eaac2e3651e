"""What was taken for the queue and is not in it, or never got there, is put back."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest
from cluster import wait_for
from pymongo import MongoClient
from tiny_sweeps import CRYSTAL, tiny_sweep

from haloflow.workflows.managers.attempts import MOST_IDLE
from haloflow.workflows.managers.campaigns import (
    campaigns,
    cancel,
    go_on,
    pause,
    retry,
    submit_sweep,
)
from haloflow.workflows.managers.follow import campaign_state


@pytest.fixture
def store(site, slurm, manager_here):
    """Give the store of a submitted sweep, on a machine with a queue."""
    site.queue_through(slurm)
    open_manager = manager_here(site)
    with site.open() as opened:
        submit_sweep(tiny_sweep(systems=[CRYSTAL]), opened, open_manager())
        yield opened


def put_back(store):
    """Recover, as any command or worker does; return how many steps were lost."""
    with campaigns(store) as (campaign,):
        return len(campaign.recover(store))


@pytest.mark.usefixtures("nothing_starts")
def test_a_job_cancelled_while_it_waits(site, store, slurm):
    site.qlaunch_now(1)
    (job,) = slurm.jobs()
    assert put_back(store) == 0  # it waits, as it should
    assert "RESERVED" in site.states()
    with campaigns(store) as (campaign,):
        state = campaign_state(campaign, store)
        assert (state.next_positions, state.starter) == ([1], "")
    slurm.run("scancel", job)
    wait_for(lambda: not slurm.jobs(), "an empty queue")
    assert put_back(store) == 1
    assert site.states() == {"READY", "WAITING"}
    with campaigns(store) as (campaign,):
        assert campaign_state(campaign, store).starter == "qlaunch -r rapidfire"
    site.qlaunch_now(1)
    (again,) = slurm.jobs()
    assert int(again) > int(job)
    with campaigns(store) as (campaign,):
        n_steps = len(campaign.identities(store))
        assert len(pause(campaign, store)) == n_steps
        wait_for(lambda: not slurm.jobs(), "what is paused to leave the queue")
        assert put_back(store) == 0
        assert site.states() == {"PAUSED"}
        assert len(go_on(campaign, store)["resumed"]) == n_steps
        assert site.states() == {"READY", "WAITING"}
    site.qlaunch_now(1)
    assert len(slurm.jobs()) == 1
    with campaigns(store) as (campaign,):
        cancel(campaign, store)
    assert slurm.jobs() == {}


def test_killed_before_the_queue_heard_of_it(site, store, tmp_path):
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "sbatch").write_text(f"#!/bin/sh\ntouch {commands}/called\nexec sleep 60\n")
    (commands / "sbatch").chmod(0o755)
    path = f"{commands}{os.pathsep}{site.environment['PATH']}"
    qlaunch = ("qlaunch", "-c", str(site.config), "-r", "singleshot")
    process = site.start(*qlaunch, PATH=path)
    try:
        wait_for((commands / "called").exists, "sbatch")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert "RESERVED" in site.states()
    wait_for(lambda: put_back(store) == 1, "the reservation to be given up")
    assert site.states() == {"READY", "WAITING"}


def test_killed_before_it_noted_its_launch(site, store):
    def take(at):  # what FireWorks writes first
        with MongoClient(site.server) as client:
            fireworks = client[site.pad_name].fireworks
            taken = {"$set": {"state": "RESERVED", "updated_on": at}}
            fireworks.update_one({"fw_id": min(row["fw_id"] for row in site.fireworks())}, taken)

    take(datetime.now(UTC) + timedelta(hours=1))
    assert put_back(store) == 0
    take(datetime.now(UTC))
    wait_for(lambda: put_back(store) == 1, "the firework to be put back")
    assert site.states() == {"READY", "WAITING"}


def test_jobs_that_cannot_begin_come_to_an_end(site, store, slurm):
    site.queue_through(slurm, pre_rocket="echo 'module: command not found' >&2; exit 1")
    for n_lost in (1,) * (MOST_IDLE - 1) + (0,):
        site.qlaunch_now(1)
        wait_for(lambda: not slurm.jobs(), "the end of the job")
        assert put_back(store) == n_lost
    with campaigns(store) as (campaign,):
        (failure,) = campaign_state(campaign, store).failures
        assert failure.cause == (
            "its jobs left the queue again and again without having begun: "
            "module: command not found"
        )
        retry(campaign, store, ["without having begun"])
    assert site.states() == {"READY", "WAITING"}
