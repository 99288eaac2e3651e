"""jobflow-remote: scancel, Slurm's time limit, and deaths of its runner and of the supervisor."""

from __future__ import annotations

import re

import pytest
from cluster import LONG_S, wait_for
from pair_potential import DELAY_S
from queued_sweeps import acknowledged, assert_survived, lay_out, n_evaluations
from remote_site import JobflowRemoteSite
from tiny_sweeps import CRYSTAL

pytest.importorskip("jobflow_remote")
MD = {"job.name": "md-300K"}


@pytest.fixture
def remote(tmp_path, mongod_uri, slurm):
    made = JobflowRemoteSite(tmp_path, mongod_uri, slurm.environment)
    try:
        yield made
    finally:
        made.close()


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
    slurm.run("scontrol", "update", f"jobid={limited}", "TimeLimit=1")
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
