"""A sweep on FireWorks through a real Slurm."""

from __future__ import annotations

from queued_sweeps import assert_as_undisturbed, lay_out
from tiny_sweeps import CRYSTAL


def test_the_same_summary_through_slurm(site, slurm, undisturbed):
    site.queue_through(slurm)
    lay_out(site, systems=[CRYSTAL], resources={"md": {"walltime_h": 0.5, "memory_gb": 1}})
    site.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    site.qlaunch()
    with site.open() as store:
        assert_as_undisturbed(store, undisturbed)
    assert "nothing to do" in site.haloflow("resume")
