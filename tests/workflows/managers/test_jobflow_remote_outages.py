"""A MongoDB that goes away under jobflow-remote: runner, jobs and sweep are there afterwards."""

from __future__ import annotations

import re

import psutil
import pytest
from cluster import LONG_S, wait_for
from outages import hang, kill
from pair_potential import DELAY_S
from queued_sweeps import acknowledged, assert_survived, lay_out, n_evaluations
from remote_site import JobflowRemoteSite
from tiny_sweeps import CRYSTAL

pytest.importorskip("jobflow_remote")
IN_MD = 150
"""Evaluations after which the crystal's relaxations are done and its MD is at work."""


@pytest.fixture
def remote(tmp_path, server, slurm):
    made = JobflowRemoteSite(tmp_path / "site", server.uri, slurm.environment)
    try:
        yield made
    finally:
        made.close()


def is_gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_killed_it_costs_nothing_and_hanging_no_more_than_jobs_that_wait_no_longer(
    remote, server, undisturbed
):
    quick = {DELAY_S: "0.03", "HALOFLOW_PATIENCE_S": "3", "HALOFLOW_WATCH_S": "3600"}
    remote.environment |= quick  # which the runner hands down
    remote.setup("--scheduler", "slurm", "--partition", "debug", "--no-preflight")
    lay_out(remote, systems=[CRYSTAL])
    remote.haloflow("submit", "tiny.yaml", "--to", "jobflow-remote")
    wait_for(lambda: n_evaluations(remote) > IN_MD, "the MD")
    worker = wait_for(lambda: remote.worker_of("md-300K"), "its claim")
    seen = acknowledged(remote)
    kill(server)
    worked = n_evaluations(remote)
    wait_for(lambda: n_evaluations(remote) > worked + 20, "more work")
    seen |= acknowledged(remote)
    hang(server, until=lambda: is_gone(worker))
    wait_for(lambda: remote.jobs(state="FAILED", **{"job.name": "md-300K"}), "the failure")
    assert "the MongoDB server cannot be used" in remote.haloflow("status")
    seen |= acknowledged(remote)
    assert re.search(r"\d steps? lost and run again", remote.haloflow("resume"))
    remote.wait_until_settled(LONG_S)
    cause = r"run again (once|\d times): .*the MongoDB server cannot be used"
    assert_survived(remote, undisturbed, seen, cause=cause)
    assert set(remote.states()) == {"COMPLETED"}
    assert "nothing to do" in remote.haloflow("resume")
