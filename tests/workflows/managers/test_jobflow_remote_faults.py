"""jobflow-remote: scancel, Slurm's time limit, and deaths of its runner and of the supervisor."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from cluster import LONG_S, wait_for
from pair_potential import DELAY_S
from queued_sweeps import acknowledged, assert_survived, lay_out, n_evaluations
from tiny_sweeps import CRYSTAL

from haloflow.stores.claims import Claims, Owner

pytest.importorskip("jobflow_remote")
MD = {"job.name": "md-300K"}


def running_md(remote):
    """Return the id in the queue of the MD that runs."""
    rows = [row for row in remote.jobs(**MD) if row["state"] == "RUNNING"]
    return rows[0]["remote"]["process_id"] if rows else None


def failed_md(remote):
    return [row for row in remote.jobs(**MD) if row["state"] == "FAILED"]


def in_md(remote, slurm, after):
    """Wait for MD at work in a job of the queue that is not `after`; return its id."""
    job = wait_for(lambda: (now := running_md(remote)) != after and now, "the MD")
    count = n_evaluations(remote)
    wait_for(lambda: n_evaluations(remote) > count + 20, "MD at work")
    assert job in slurm.jobs()
    return job


def test_scancel_the_time_limit_and_the_death_of_the_supervisor(remote, slurm, undisturbed):
    remote.environment[DELAY_S] = "0.2"  # the runner hands its environment down
    remote.setup("--scheduler", "slurm", "--partition", "debug", "--no-preflight")
    lay_out(remote, systems=[CRYSTAL])
    remote.haloflow("submit", "tiny.yaml", "--to", "jobflow-remote")
    cancelled = in_md(remote, slurm, None)
    before = acknowledged(remote)
    slurm.run("scancel", cancelled)
    wait_for(lambda: failed_md(remote), "the failure")
    assert "the job was killed: slurmstepd" in remote.haloflow("status")
    assert "1 step lost and run again" in remote.haloflow("resume")
    limited = in_md(remote, slurm, cancelled)
    slurm.shorten(limited)
    wait_for(lambda: failed_md(remote), "the time limit")
    assert re.search(r"CANCELLED .* DUE TO TIME LIMIT", remote.haloflow("status"))
    remote.kill_supervisor()
    remote.kill_runner()
    del remote.environment[DELAY_S]
    assert "1 step lost and run again" in remote.haloflow("resume")
    assert len(remote.runners()) == 1
    remote.wait_until_settled(LONG_S)
    assert_survived(remote, undisturbed, before, cause=r"run again once: .*DUE TO TIME LIMIT")
    assert "nothing to do" in remote.haloflow("resume")


@pytest.mark.usefixtures("nothing_starts")
def test_a_dead_runner_is_restarted_though_living_processes_have_claimed_all_steps(remote):
    remote.environment["HALOFLOW_WATCH_S"] = "3600"  # the watchdog is no help
    remote.setup("--scheduler", "slurm", "--partition", "debug", "--no-preflight")
    lay_out(remote, systems=[CRYSTAL])
    remote.haloflow("submit", "tiny.yaml", "--to", "jobflow-remote")
    with remote.open() as store:
        claims, elsewhere = Claims(store.claims), replace(Owner.here(), host="node7#")
        steps = {i for row in store.candidates.query({}) for i in row["steps"].values()}
        assert all(claims.acquire(identity, elsewhere) for identity in steps)
        assert claims.live(steps).keys() == steps
    (runner,) = remote.runners()
    remote.kill_runner()
    assert "tiny: 0 steps lost and run again" in remote.haloflow("recover")
    (another,) = remote.runners()
    assert another != runner
    with remote.open() as store:
        assert Claims(store.claims).live(steps).keys() == steps
