"""Sweeps on jobflow-remote through a real Slurm: same results, though much is killed."""

from __future__ import annotations

import signal

import pytest
from cluster import wait_for
from guarded_store import assert_nowhere, let_in
from pair_potential import DELAY_S
from queued_sweeps import assert_as_undisturbed, lay_out
from remote_site import JobflowRemoteSite
from tiny_sweeps import CRYSTAL

pytest.importorskip("jobflow_remote")
pytestmark = pytest.mark.timeout(400)
END_S = 240
MD = {"job.name": "md-300K"}


def md_states(remote):
    return [row["state"] for row in remote.jobs(**MD)]


@pytest.fixture
def guarded_remote(tmp_path, guarded, slurm):
    made = JobflowRemoteSite(tmp_path, guarded, slurm.environment)
    let_in(made, guarded)
    try:
        yield made
    finally:
        made.close()


def test_the_same_summary_though_runner_killed_and_walltime_over(
    guarded_remote, guarded, undisturbed
):
    remote = guarded_remote  # its store asks for a password, which no job may carry
    remote.environment[DELAY_S] = "0.006"  # the runner hands its environment down
    remote.environment["HALOFLOW_WATCH_S"] = "5"
    said = remote.setup("--scheduler", "slurm", "--partition", "debug", "--walltime", "00:10:00")
    assert "on worker here" in said
    assert "Ready to take sweeps." in said
    assert remote.jobs() == []  # the preflight leaves nothing
    limit_h = 6 / 3600
    lay_out(remote, systems=[CRYSTAL], resources={"md": {"walltime_h": limit_h, "cores": 1}})
    handed = remote.haloflow("submit", "tiny.yaml", "--to", "jobflow-remote")
    assert "9 jobs in 1 flows handed to jobflow-remote" in handed
    again = remote.haloflow("submit", "tiny.yaml", "--to", "jobflow-remote")
    assert "0 jobs in 0 flows handed to jobflow-remote" in again
    wait_for(lambda: "RUNNING" in md_states(remote), "the MD", limit_s=END_S)
    wait_for(lambda: len(remote.watchdogs()) == 1, "all but one watchdog to see that it is there")
    (watchdog,) = remote.watchdogs()
    (runner,) = remote.runners()
    remote.kill_runner()
    wait_for(lambda: remote.runners() not in ([], [runner]), "a runner that nobody asked for")
    assert len(remote.runners()) == 1
    remote.wait_until_settled(END_S)
    with remote.open() as store:
        assert_as_undisturbed(store, undisturbed)
    assert md_states(remote).count("COMPLETED") > 1  # it went on in jobs of its own
    assert set(remote.states()) == {"COMPLETED"}
    assert "nothing to do" in remote.haloflow("resume")
    shown = remote.haloflow("status")
    assert "tiny on" in shown
    assert "about 0 left" in shown
    wait_for(lambda: not watchdog.is_running() or watchdog.status() == "zombie", "its end")
    files = assert_nowhere(remote, guarded, said + handed + shown)
    assert [path for path in files if path.name == "jfremote_in.json"]


def test_killed_jobs_pauses_and_cancelling(remote, slurm):
    remote.environment[DELAY_S] = "0.05"
    remote.setup("--scheduler", "slurm", "--partition", "debug", "--no-preflight")
    asked = {"cores": 2, "gpus": 1, "memory_gb": 0.5, "walltime_h": 0.25}
    lay_out(remote, systems=[CRYSTAL], resources={"md": asked})
    remote.haloflow("submit", "tiny.yaml", "--to", "jobflow-remote")
    assert "steps paused" in remote.haloflow("pause")
    assert "PAUSED" in remote.states()
    assert "steps no longer paused" in remote.haloflow("resume")
    assert "PAUSED" not in remote.states()
    wait_for(lambda: "RUNNING" in md_states(remote), "the MD", limit_s=END_S)
    (md,) = remote.jobs(**MD)
    told = slurm.describe(md["remote"]["process_id"])
    assert (
        told.items() >= {"NumCPUs": "2", "MinMemoryNode": "500M", "TimeLimit": "00:15:00"}.items()
    )
    assert told["TresPerNode"] in {"gres:gpu:1", "gres/gpu:1"}
    wait_for(lambda: remote.worker_of("md-300K"), "its claim").send_signal(signal.SIGKILL)
    wait_for(lambda: md_states(remote) == ["FAILED"], "the failure", limit_s=60)
    assert "the job was killed" in remote.haloflow("status")
    assert "1 step lost and run again" in remote.haloflow("resume")
    wait_for(lambda: md_states(remote) == ["RUNNING"], "the MD again", limit_s=END_S)
    assert "run again once: the job was killed" in remote.haloflow("status")
    assert "steps taken back" in remote.haloflow("cancel")
    assert not {"RUNNING", "WAITING", "READY"} & set(remote.states())
    wait_for(lambda: slurm.jobs() == {}, "an empty queue")
    anew = remote.haloflow("submit", "tiny.yaml", "--to", "jobflow-remote")
    assert "0 were there already" in anew
    remote.haloflow("cancel")


def test_many_steps_in_one_job(remote, slurm, undisturbed):
    options = ("--walltime", "00:10:00", "--packed", "--max-jobs", "1", "--no-preflight")
    remote.setup("--scheduler", "slurm", "--partition", "debug", *options)
    lay_out(remote, systems=[CRYSTAL])
    before = slurm.newest()
    remote.haloflow("submit", "tiny.yaml", "--to", "jobflow-remote")
    remote.wait_until_settled(END_S)
    with remote.open() as store:
        assert_as_undisturbed(store, undisturbed)
    assert len(remote.jobs()) == 9  # each step once
    assert 1 <= slurm.newest() - before <= 3
