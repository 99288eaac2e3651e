"""Sites of managers with the long tiny sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster import FireWorksSite, SlurmCluster
from conftest import running_mongod
from guarded_store import ROOT
from pymongo import MongoClient
from queued_sweeps import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, mongod_uri: str) -> FireWorksSite:
    """Give FireWorks, configured and empty, with the sweep file ``tiny.yaml``."""
    made = FireWorksSite(tmp_path, mongod_uri)
    lay_out(made)
    return made


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
