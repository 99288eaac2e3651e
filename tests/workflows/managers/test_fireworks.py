"""A sweep on FireWorks, by rlaunch: the same results as a local run, each step once."""

from __future__ import annotations

import re

import pytest
from cluster import LONG_S
from fireworks import LaunchPad
from pymongo.errors import InvalidOperation
from queued_sweeps import assert_as_undisturbed, n_evaluations

from haloflow.errors import UnknownNameError
from haloflow.workflows.managers import campaigns as module
from haloflow.workflows.managers.campaigns import campaigns, cancel, go_on, submit_sweep
from haloflow.workflows.managers.fireworks import FireWorksManager
from haloflow.workflows.managers.follow import campaign_state


def test_two_submitters_at_once_and_one_worker_do_as_a_local_run_does(site, undisturbed):
    command = (
        "python", "-c", "from haloflow.cli.main import run; run()",
        "submit", "tiny.yaml", "--to", "fireworks", "--store", site.store,
    )  # fmt: skip
    both = [site.start(*command) for _ in range(2)]
    said = [process.communicate(timeout=LONG_S)[0] for process in both]
    n_steps = len(undisturbed.steps)
    handed = sorted(int(found) for text in said for found in re.findall(r"(\d+) jobs in", text))
    assert handed == [0, n_steps], said
    assert f"0 jobs in 0 flows handed to fireworks; {n_steps} were there already" in "".join(said)
    site.rlaunch()
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
    assert n_evaluations(site) == undisturbed.n_evaluations
    assert "nothing to do" in site.haloflow("resume")
    shown = site.haloflow("status", "--watch", "--every", "0.1")
    assert "tiny on fireworks" in shown
    assert "core-hours spent, about 0 left" in shown


@pytest.fixture
def opened(site, monkeypatch):
    """Let managers be opened as in a process configured for `site`; give all that were."""
    made = []

    def open_manager(name):
        assert name == "fireworks"
        made.append(FireWorksManager(LaunchPad.from_file(str(site.config / "my_launchpad.yaml"))))
        return made[-1]

    monkeypatch.setattr(module, "open_manager", open_manager)
    return made


def is_closed(manager):
    try:
        manager.launchpad.connection.server_info()
    except InvalidOperation:  # that is the answer
        return True
    return False


def test_paused_nothing_starts_and_cancelled_it_is_handed_over_anew(site, undisturbed, opened):
    n_steps = len(undisturbed.steps)
    site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    assert f"{n_steps} steps paused" in site.haloflow("pause", "--sweep", "tiny")
    with site.open() as store, campaigns(store) as (campaign,):
        state = campaign_state(campaign, store)
        assert (state.counts["paused"], state.is_settled) == (n_steps, True)
        made = go_on(campaign, store)
        assert len(made["resumed"]) == n_steps
        assert made["submission"].n_jobs == 0
        assert campaign_state(campaign, store).counts["queued"] == 4
        assert len(cancel(campaign, store)) == n_steps
        with campaigns(store) as left:
            assert left == []
        assert {row["state"] for row in site.fireworks()} == {"DEFUSED"}
        _, submission = submit_sweep(campaign.sweep, store, campaign.manager)
        assert (submission.n_jobs, submission.n_known) == (n_steps, 0)
        with (
            pytest.raises(UnknownNameError, match=r"unknown submitted sweep"),
            campaigns(store, "tony"),
        ):
            pass
    assert [is_closed(manager) for manager in opened] == [True]  # one for all sweeps
