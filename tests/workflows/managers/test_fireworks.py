"""A sweep on FireWorks, by rlaunch: the same results as a local run, each step once."""

from __future__ import annotations

import re

from queued_sweeps import assert_as_undisturbed, n_evaluations


def test_two_submitters_at_once_and_one_worker_do_as_a_local_run_does(site, undisturbed):
    command = (
        "python", "-c", "from haloflow.cli.main import run; run()",
        "submit", "tiny.yaml", "--to", "fireworks", "--store", site.store,
    )  # fmt: skip
    both = [site.start(*command) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
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
