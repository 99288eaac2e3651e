"""Processes that are killed, stopped or wrong: all ends as if nothing had happened."""

from __future__ import annotations

import os
import re
import signal

from cluster import FireWorksSite, MongoServer, wait_for
from pair_potential import DELAY_S
from queued_sweeps import assert_as_undisturbed, lay_out, n_evaluations

LONGEST_LOSS = 500 + 10 + 20
"""A checkpoint interval, its rounding, and first evaluations of parts."""


def submit(site, *more):
    return site.haloflow("submit", "tiny.yaml", "--to", "fireworks", *more)


def start_rlaunch(site, **environment):
    return site.start("rlaunch", "-c", str(site.config), "rapidfire", **environment)


def killed(process):
    """Kill the session of a process, and let it be gone."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def past(site, share, undisturbed):
    return lambda: n_evaluations(site) > share * undisturbed.n_evaluations


def test_killed_in_the_middle_of_a_step_it_goes_on_from_a_checkpoint(site, undisturbed):
    submit(site)
    process = start_rlaunch(site, **{DELAY_S: "0.001"})
    wait_for(past(site, 0.6, undisturbed), "some work")
    killed(process)
    with site.open() as store:
        finished = {row["uuid"]: row["completed_at"] for row in store.outputs.query({})}
    assert "1 step lost and run again" in site.haloflow("resume")
    site.rlaunch()
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
        now = {row["uuid"]: row["completed_at"] for row in store.outputs.query({})}
    assert finished.items() <= now.items()
    assert n_evaluations(site) <= undisturbed.n_evaluations + LONGEST_LOSS
    assert "run again once: the job was lost with its process" in site.haloflow("status")


def test_past_its_walltime_a_step_goes_on_in_a_job_of_its_own(site, undisturbed):
    lay_out(site, resources={"md": {"walltime_h": 0.0006}})
    submit(site)
    out = site.rlaunch(**{DELAY_S: "0.008"})
    n_jobs = out.count("Rocket finished")
    assert n_jobs > len(undisturbed.steps) + 2
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
        resumed = [row["output"]["provenance"]["n_resumes"] for row in store.outputs.query({})]
    assert max(resumed) >= 1
    assert n_evaluations(site) == undisturbed.n_evaluations
    shown = site.haloflow("status")
    assert re.search(r"run again (\d+ times|once): .*the walltime of", shown), shown


def test_a_worker_with_another_version_makes_nothing(site, undisturbed, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text(
        "from haloflow.makers.relax import RelaxMaker\nRelaxMaker.code_version = 99\n"
    )
    submit(site)
    site.rlaunch(PYTHONPATH=f"{other}{os.pathsep}{site.environment['PYTHONPATH']}")
    shown = site.haloflow("status")
    assert "this machine would not run the relax step that was planned" in shown
    assert "install the versions of haloflow and of the potential" in shown
    assert "4 failed" in shown
    assert "4 steps run again" in site.haloflow("retry", "--cause", "would not run")
    site.rlaunch()
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)


def test_a_server_that_is_away_for_longer_than_workers_wait(tmp_path, undisturbed):
    server = MongoServer(tmp_path)
    site = FireWorksSite(tmp_path / "site", server.uri)
    try:
        site.environment["HALOFLOW_PATIENCE_S"] = "2"
        soon = {"mongoclient_kwargs": {"serverSelectionTimeoutMS": 2000}}
        site.write("my_launchpad.yaml", site.read("my_launchpad.yaml") | soon)
        lay_out(site)
        submit(site)
        process = start_rlaunch(site, **{DELAY_S: "0.001"})
        wait_for(past(site, 0.5, undisturbed), "some work")
        server.kill()
        before = n_evaluations(site)
        wait_for(lambda: process.poll() is not None, "the end of the worker")
        process.communicate()
        server.start()
        wait_for(lambda: "nothing to do" not in site.haloflow("resume"), "lost")
        site.rlaunch()
        with site.open() as store:
            assert_as_undisturbed(store, undisturbed)
        assert before < n_evaluations(site) <= undisturbed.n_evaluations + 2 * LONGEST_LOSS
        assert "run again once:" in site.haloflow("status")
    finally:
        site.close()
        server.stop()
