"""A sweep on FireWorks through a real Slurm."""

from __future__ import annotations

from cluster import wait_for
from pair_potential import DELAY_S
from queued_sweeps import assert_as_undisturbed, lay_out, n_evaluations
from tiny_sweeps import CRYSTAL, GLASS

BEFORE_MD = '{"name": {"$not": {"$regex": "^md"}}}'


def test_the_same_summary_through_slurm(site, slurm, undisturbed):
    site.queue_through(slurm)
    lay_out(site, systems=[CRYSTAL], resources={"md": {"walltime_h": 0.5, "memory_gb": 1}})
    site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    site.qlaunch()
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
    assert "nothing to do" in site.haloflow("resume")


def test_scancel_and_the_time_limit_interrupt_md_without_loss(site, slurm, undisturbed):
    """Two runs of MD in Slurm: one is cancelled, one meets its limit; both go on."""
    lay_out(site, systems=[GLASS])
    site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    site.write("my_fworker.yaml", {"name": "first", "category": "", "query": BEFORE_MD})
    site.rlaunch()
    site.write("my_fworker.yaml", {"name": "here", "category": "", "query": "{}"})
    before = n_evaluations(site)
    site.environment[DELAY_S] = "0.2"  # of the 500 steps to its verdict, the limit cuts off most
    site.queue_through(slurm)
    site.qlaunch_now(2)
    cancelled, limited = sorted(slurm.jobs(), key=int)
    wait_for(lambda: n_evaluations(site) > before + 150, "MD well past its start")
    slurm.shorten(limited)
    slurm.run("scancel", cancelled)
    wait_for(lambda: not slurm.jobs(), "the time limit")
    del site.environment[DELAY_S]
    site.queue_through(slurm)
    site.haloflow("resume")
    site.rlaunch()
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
        rows = store.outputs.query({"output.kind": "md"})
        assert [row["output"]["provenance"]["n_resumes"] for row in rows] == [1, 1]
    assert "run again" in site.haloflow("status")
