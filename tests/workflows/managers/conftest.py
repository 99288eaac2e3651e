"""Sites of managers with the long tiny sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cluster import FireWorksSite, MongoServer, SlurmCluster
from guarded_store import ROOT
from mongo_server import running_mongod
from pymongo import MongoClient
from queued_sweeps import lay_out
from remote_site import JobflowRemoteSite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


LONGEST_FIRST = (
    "test_jobflow_remote_outages",
    "test_jobflow_remote_faults",
    "test_slurm",
    "test_outages",
    "test_jobflow_remote",
)
"""Modules whose tests wait for a minute and more; others run meanwhile."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests of queues tell by their own deadlines what did not come."""
    own = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in own:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1200))
    order = {name: place for place, name in enumerate(LONGEST_FIRST)}
    longest_first = iter(sorted(own, key=lambda item: order.get(item.path.stem, len(order))))
    items[:] = [next(longest_first) if item in own else item for item in items]


@pytest.fixture
def site(tmp_path: Path, mongod_uri: str) -> Iterator[FireWorksSite]:
    """Give FireWorks, configured and empty, with the sweep file ``tiny.yaml``."""
    made = FireWorksSite(tmp_path, mongod_uri)
    lay_out(made)
    yield made
    made.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MongoServer]:
    """Give a mongod that may be stopped, hang or be killed."""
    made = MongoServer(tmp_path)
    try:
        yield made
    finally:
        made.go_on()
        made.stop()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a mongod that asks who one is; give the URI of its root."""
    with running_mongod(tmp_path_factory.mktemp("guarded"), "--auth") as uri:
        with MongoClient(uri) as client:  # the first user may be made without one
            client.admin.command("createUser", "root", pwd=ROOT, roles=["root"])
        yield uri.replace("://", f"://{ROOT}:{ROOT}@")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """Give a running Slurm."""
    cluster = SlurmCluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def nothing_starts(slurm: SlurmCluster) -> Iterator[None]:
    """Let jobs wait in the queue."""
    slurm.run("scontrol", "update", "partition=debug", "state=down")
    yield
    slurm.run("scancel", "--partition=debug")
    slurm.run("scontrol", "update", "partition=debug", "state=up")


@pytest.fixture
def remote(tmp_path: Path, mongod_uri: str, slurm: SlurmCluster) -> Iterator[JobflowRemoteSite]:
    """Give jobflow-remote on Slurm, which is not set up yet."""
    made = JobflowRemoteSite(tmp_path, mongod_uri, slurm.environment)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def manager_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Let this process be configured for the site that the fixture is called with."""
    from fireworks import LaunchPad, fw_config
    from fireworks.core import fworker

    from haloflow.workflows.managers import campaigns
    from haloflow.workflows.managers.fireworks import FireWorksManager

    made: list[FireWorksManager] = []
    sites: list[FireWorksSite] = []

    def open_manager(name: str) -> FireWorksManager:
        assert name == "fireworks"
        pad = str(sites[-1].config / "my_launchpad.yaml")
        made.append(FireWorksManager(LaunchPad.from_file(pad)))
        return made[-1]

    def configure(site: FireWorksSite) -> Callable[[], FireWorksManager]:
        sites.append(site)
        settings = yaml.safe_load((site.config / "FW_config.yaml").read_text())
        for name, value in settings.items():
            monkeypatch.setattr(fw_config, name, value)
        adapter = site.config / "my_qadapter.yaml"
        monkeypatch.setattr(
            fw_config, "QUEUEADAPTER_LOC", str(adapter) if adapter.exists() else None
        )
        monkeypatch.setattr(fworker, "FWORKER_LOC", str(site.config / "my_fworker.yaml"))
        for name in {"PATH", "SLURM_CONF"} & site.environment.keys():
            monkeypatch.setenv(name, site.environment[name])
        monkeypatch.setattr(campaigns, "open_manager", open_manager)
        return lambda: open_manager("fireworks")

    yield configure
    for manager in made:
        manager.close()
