"""A sweep on FireWorks, by rlaunch: the same results as a local run, each step once."""

from __future__ import annotations

from queued_sweeps import assert_as_undisturbed, n_evaluations


def test_the_same_summary_as_a_local_run(site, undisturbed):
    said = site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    n_steps = len(undisturbed.steps)
    assert f"{n_steps} jobs in 1 flows handed to fireworks" in said
    again = site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    assert f"0 jobs in 0 flows handed to fireworks; {n_steps} were there already" in again
    site.rlaunch()
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
    assert n_evaluations(site) == undisturbed.n_evaluations
    assert "nothing to do" in site.haloflow("resume")
    shown = site.haloflow("status", "--watch", "--every", "0.1")
    assert "tiny on fireworks" in shown
    assert "core-hours spent, about 0 left" in shown
