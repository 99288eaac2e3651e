"""A MongoDB that goes away during sweeps: they wait until it is back, and lose nothing."""

from __future__ import annotations

import pytest
from cluster import LONG_S, FireWorksSite, wait_for
from outages import hang, kill, shut_down
from pair_potential import DELAY_S
from queued_sweeps import acknowledged, assert_survived, lay_out, n_evaluations

pytest.importorskip("fireworks")
PATIENCE_S = "HALOFLOW_PATIENCE_S"
LONGEST_LOSS = 500 + 10 + 20
"""Of a worker: a checkpoint interval, its rounding, and first evaluations of parts."""
RUN = ("python", "-c", "from haloflow.cli.main import run; run()", "run", "tiny.yaml", "-j", "2")


@pytest.fixture
def sites(tmp_path, server):
    """Give a site for a local run, and one that FireWorks is set up for."""
    local, queued = (FireWorksSite(tmp_path / name, server.uri) for name in ("local", "fireworks"))
    for site in (local, queued):
        lay_out(site)
    where = ("--scheduler", "shell", "--folder", str(queued.config), "--no-preflight", "--force")
    queued.haloflow("setup", "--to", "fireworks", *where)
    queued.pad_name = queued.database
    quick = {"RAPIDFIRE_SLEEP_SECS": 1, "PING_TIME_SECS": 1, "RUN_EXPIRATION_SECS": 4}
    queued.write("FW_config.yaml", queued.read("FW_config.yaml") | quick)
    yield local, queued
    for site in (local, queued):
        site.close()


def has_ended(site, worker):
    """Tell whether the worker has; a job that could not say that it is done is found lost."""
    site.haloflow("resume")
    return worker.poll() is not None


def is_complete(site):
    """Tell whether all jobs are done; if not, let what is left run."""
    if site.states() == {"COMPLETED"}:
        return True
    site.haloflow("resume")
    site.rlaunch()
    return False


@pytest.mark.parametrize("outage", [hang, shut_down, kill])
def test_sweeps_wait_for_the_server(server, sites, undisturbed, outage):
    """A local run and a worker of FireWorks at once: neither fails, neither repeats anything."""
    local, queued = sites
    queued.haloflow("submit", "tiny.yaml", "--to", "fireworks")
    slow = {DELAY_S: "0.01"}
    run = local.start(*RUN, "--store", local.store, **slow)
    worker = queued.start("rlaunch", "rapidfire", **slow)
    begun = 0.1 * undisturbed.n_evaluations
    for site in sites:
        wait_for(lambda site=site: n_evaluations(site) > begun, "some work")
    before = [acknowledged(site) for site in sites]
    outage(server)
    seen = acknowledged(queued)
    said, _ = run.communicate(timeout=LONG_S)
    assert run.returncode == 0, said
    wait_for(lambda: has_ended(queued, worker), "the end of the worker")
    assert_survived(local, undisturbed, before[0], loss=0)
    wait_for(lambda: is_complete(queued), "all jobs")
    assert_survived(queued, undisturbed, seen | before[1], loss=0)


def test_a_run_whose_server_stays_away_says_so_and_goes_on_when_called_again(
    server, tmp_path, undisturbed
):
    site = FireWorksSite(tmp_path / "local", server.uri)
    lay_out(site)
    with site.start(*RUN, "--store", site.store, **{DELAY_S: "0.01", PATIENCE_S: "1"}) as run:
        wait_for(lambda: n_evaluations(site) > 0.5 * undisturbed.n_evaluations, "some work")
        before = acknowledged(site)
        server.kill()
        said, _ = run.communicate(timeout=LONG_S)
    assert run.returncode == 1
    assert "error: the MongoDB server cannot be used: " in " ".join(said.split())
    assert "Traceback" not in said
    server.start()
    code, said = site.run(*RUN, "--store", site.store)
    assert code == 0, said
    assert_survived(site, undisturbed, before, loss=2 * LONGEST_LOSS)
