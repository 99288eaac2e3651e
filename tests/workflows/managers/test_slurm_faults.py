"""SIGKILL inside a job of Slurm, and of what sends jobs there."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from cluster import wait_for
from pair_potential import DELAY_S
from queued_sweeps import acknowledged, assert_survived, lay_out, n_evaluations
from tiny_sweeps import CRYSTAL

from haloflow.stores.claims import Claims

pytest.importorskip("fireworks")
IN_MD = 150
"""Evaluations after which the crystal's relaxations are done and its MD is at work."""


def at_work(site):
    """Return the process that holds a claim, if one does."""
    with site.open() as store:
        claims = list(Claims(store.claims).live().values())
    return psutil.Process(claims[0].owner.pid) if claims else None


def test_sigkill_in_a_job_and_of_qlaunch(site, slurm, undisturbed):
    site.environment[DELAY_S] = "0.05"
    site.queue_through(slurm)
    lay_out(site, systems=[CRYSTAL])
    site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    sender = site.start("qlaunch", "-c", str(site.config), "-r", "rapidfire", "--sleep", "1")
    wait_for(lambda: n_evaluations(site) > IN_MD, "the MD")
    before = acknowledged(site)
    os.killpg(sender.pid, signal.SIGKILL)
    sender.communicate()
    worker = wait_for(lambda: at_work(site), "a claim")
    worker.kill()
    wait_for(lambda: not slurm.jobs(), "the end of the job")
    del site.environment[DELAY_S]
    site.queue_through(slurm)
    assert "1 step lost and run again" in site.haloflow("resume")
    site.qlaunch()
    assert_survived(site, undisturbed, before, cause="run again once: .*lost with its process")
