"""Jobs that get a step no further come to an end, and the cause says why."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
from cluster import wait_for
from pair_potential import DELAY_S
from queued_sweeps import assert_as_undisturbed, lay_out
from tiny_sweeps import CRYSTAL, tiny_sweep

from haloflow.errors import EngineError
from haloflow.makers.step import step_directory
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.saved_runs import RunSaver
from haloflow.stores.trajectory_places import use_place
from haloflow.workflows.managers.attempts import MOST_IDLE, MOST_JOBS, Attempt
from haloflow.workflows.managers.campaigns import campaigns, submit_sweep
from haloflow.workflows.managers.follow import campaign_state
from haloflow.workflows.managers.task import Orders

WALLTIME = "an MD run was stopped by the walltime of 1 s"
ORDERS = Orders(
    identity="ab" * 32, name="md-600K", after=(), candidate_ids=(), walltime_s=90.0, cores=1,
    estimated_core_hours=1.0, stage="md", work_units=10 * MOST_JOBS, checkpoint_s=240.0,
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as opened:
        yield opened


def advance(store, step, part="production"):
    folder = step_directory(store.files_dir, ORDERS.identity) / part / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"step-{step:012d}.ckpt").touch()


def counts(store):
    return list(store.meta.query({"_id": {"$regex": "^attempts-"}}))


def test_jobs_that_are_killed_again_and_again_come_to_an_end(store):
    for _ in range(MOST_IDLE):
        Attempt(store, ORDERS)  # the process dies
    with pytest.raises(EngineError, match="3 jobs in a row got the step hardly further") as caught:
        Attempt(store, ORDERS)
    said = str(caught.value)
    assert "they ended without a word: killed, or out of memory or time" in said
    assert "each had 90 s, while the way to a checkpoint is estimated at 240 s" in said
    assert "`resources: {md: {walltime_h: ...}}`" in said
    assert counts(store) == []  # told once, it may be tried again
    Attempt(store, ORDERS)


def test_a_new_checkpoint_begins_the_count_anew(store):
    for step in range(3 * MOST_IDLE):
        Attempt(store, ORDERS)
        if step % 2:
            advance(store, 100 * step)


def test_interrupted_without_progress_it_fails_with_the_last_reason(store):
    advance(store, 500)
    for _ in range(MOST_IDLE - 1):
        Attempt(store, ORDERS).interrupted(WALLTIME)
    with pytest.raises(EngineError, match="hardly further") as caught:
        Attempt(store, ORDERS).interrupted(WALLTIME)
    assert f"the last was ended so: {WALLTIME}" in str(caught.value)


def test_a_crawl_that_takes_a_thousand_jobs_is_none(store):
    for job in range(MOST_IDLE - 1):
        attempt = Attempt(store, ORDERS)
        advance(store, job + 1)
        attempt.interrupted(WALLTIME)
    attempt = Attempt(store, ORDERS)
    advance(store, 100)
    attempt.interrupted(WALLTIME)  # fast enough
    attempt = Attempt(store, ORDERS)
    advance(store, 101)
    attempt.interrupted("SIGTERM")  # a queue that ends jobs early is no walltime too short
    attempt = Attempt(store, ORDERS)
    assert counts(store)[0]["n_idle"] == 1


def jobs_on_fresh_nodes(folder, n_jobs, ends, work):
    """Let jobs begin, go on from what is saved, work and end, each on a machine of its own."""
    began = []
    for job in range(n_jobs):
        with open_store(folder / "store", files_dir=folder / f"node{job}") as store:
            if not job:
                use_place(store, str(folder / "shared"))
            try:
                attempt = Attempt(store, ORDERS)
                began.append(job)
                directory = step_directory(store.files_dir, ORDERS.identity)
                saver = RunSaver(store, ORDERS.identity, directory, 0.0)
                saver.restore()
                work(store, directory, job)
                saver.save(0.0)
                if ends is not None:
                    attempt.interrupted(ends)
            except EngineError as error:
                assert "hardly further" in str(error)  # noqa: PT017  (how many began is asked)
                break
    return len(began)


@pytest.mark.parametrize("ends", [None, WALLTIME])
def test_where_folders_are_those_of_nodes_what_is_saved_counts(tmp_path, ends):
    def work(store, _, job):
        advance(store, 1000 * (job + 1))

    assert jobs_on_fresh_nodes(tmp_path, 2 * MOST_IDLE, ends, work) == 2 * MOST_IDLE


@pytest.mark.parametrize("ends", [None, WALLTIME])
def test_a_training_gets_further_by_the_content_of_its_state(tmp_path, ends):
    def work(_, directory, job):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "checkpoint.pt").write_text(f"epoch {min(job, MOST_IDLE)}")

    n_began = jobs_on_fresh_nodes(tmp_path, 4 * MOST_IDLE, ends, work)
    assert n_began == 1 + 2 * MOST_IDLE, "the first job, as many with progress, as many without"


@pytest.mark.parametrize("ends", [None, "SIGTERM"])
def test_on_fresh_nodes_jobs_that_get_no_further_come_to_an_end(tmp_path, ends):
    def work(store, _, job):
        advance(store, 1000)

    assert jobs_on_fresh_nodes(tmp_path, 3 * MOST_IDLE, ends, work) == 1 + MOST_IDLE


def test_waiting_for_another_process_does_not_count(store):
    other = Owner.here()
    assert Claims(store.claims).acquire(ORDERS.identity, other)
    for _ in range(3 * MOST_IDLE):
        Attempt(store, ORDERS).interrupted("the walltime is over while another process is at it")


def test_a_step_that_is_done_leaves_no_count(store):
    Attempt(store, replace(ORDERS, work_units=1)).close()
    assert counts(store) == []


def test_a_walltime_too_short_to_get_anywhere(site, undisturbed, tmp_path):
    """Real jobs crawl; how slow is too slow is set so that three of them show it."""
    strict = tmp_path / "strict"
    strict.mkdir()
    (strict / "sitecustomize.py").write_text(
        "from haloflow.workflows.managers import attempts\nattempts.MOST_JOBS = 2\n"
    )
    path = f"{strict}{os.pathsep}{site.environment['PYTHONPATH']}"
    lay_out(site, systems=[CRYSTAL], resources={"md": {"walltime_h": 0.0006}})
    site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    site.rlaunch(**{DELAY_S: "0.02", "PYTHONPATH": path})
    shown = " ".join(site.haloflow("status").split())
    assert f"{MOST_IDLE} jobs in a row got the step hardly further" in shown
    assert "stopped by the walltime of" in shown
    assert "each had 2 s" in shown
    assert "resources: {md: {walltime_h: ...}}" in shown
    lay_out(site, systems=[CRYSTAL])
    site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    assert "1 step run again" in site.haloflow("retry", "--cause", "hardly further")
    site.rlaunch(**{DELAY_S: "0.001"})
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
        assert counts(store) == []
        (md,) = store.outputs.query({"output.kind": "md"})
    assert md["output"]["provenance"]["n_resumes"] == MOST_IDLE  # the last job had all its time


def test_killed_wherever_it_begins(site, manager_here):
    open_manager = manager_here(site)
    with site.open() as store:
        submit_sweep(tiny_sweep(systems=[CRYSTAL]), store, open_manager())
        for _ in range(MOST_IDLE):
            process = site.start("rlaunch", "-c", str(site.config), "singleshot", **{DELAY_S: "60"})
            try:
                wait_for(lambda: Claims(store.claims).live(), "the step to begin")
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            with campaigns(store) as (campaign,):
                assert len(campaign.recover(store)) == 1
        site.run("rlaunch", "-c", str(site.config), "singleshot")
        with campaigns(store) as (campaign,):
            (failure,) = campaign_state(campaign, store).failures
    assert "they ended without a word: killed, or out of memory or time" in failure.cause
