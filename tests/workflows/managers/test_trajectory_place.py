"""Workers without a shared folder: configured with a place for trajectories, and examined."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from kept_elsewhere import Elsewhere

from haloflow.errors import InputError
from haloflow.stores.connection import open_store
from haloflow.stores.trajectory_places import use_place
from haloflow.workflows.managers import setup
from haloflow.workflows.managers.resources import Resources
from haloflow.workflows.managers.site import Site
from haloflow.workflows.managers.worker_checks import check_trajectories

pytest.importorskip("fireworks")
pytestmark = pytest.mark.usefixtures("quick_settings")


@pytest.fixture
def site(tmp_path, mongod_uri):
    def made(place):
        return Site(
            store=f"{mongod_uri}/place-{os.getpid()}-{time.monotonic_ns()}",
            files_dir=tmp_path / "scratch",
            manager="fireworks",
            scheduler="slurm",
            folder=tmp_path / "configuration",
            job=Resources(cores=1, gpus=0, memory_gb=None, walltime_s=3600),
            trajectory_store=place,
        )

    return made


def test_workers_are_told_and_the_store_knows(site, tmp_path, request):
    text = Elsewhere("s3", tmp_path, request).text
    here = site(text)
    files = {path.name: words for path, words in setup.configuration(here).items()}
    assert f'export HALOFLOW_TRAJECTORY_STORE="{text}"' in files["my_qadapter.yaml"]
    with open_store(here.store, files_dir=tmp_path / "reader", read_only=True) as store:
        assert [place.name for place in store.files.places] == [text]
    assert "TRAJECTORY_STORE" not in str(setup.configuration(site(None)))
    with pytest.raises(InputError, match="must not hold a secret"):
        site("s3://key:secret@bucket/x")


def test_a_worker_sends_a_file_there_and_reads_it_back(tmp_path, monkeypatch):
    with open_store(tmp_path / "store") as store:
        assert check_trajectories(store, tmp_path) is None
    shared = tmp_path / "shared"
    with open_store(tmp_path / "store") as store:
        use_place(store, str(shared))
    with open_store(tmp_path / "store") as store:
        check = check_trajectories(store, tmp_path)
        assert (check.subject, check.verdict) == ("trajectories", "ok")
        assert str(shared) in check.message
        assert list(store.files.target.sizes()) == []
        assert sorted(path.name for path in tmp_path.iterdir()) == ["shared", "store"]
        monkeypatch.setattr(type(store.files.target), "read", lambda *_: iter([b"other"]))
        assert "gives back other bytes" in check_trajectories(store, tmp_path).message
        shared.rename(tmp_path / "away")
        check = check_trajectories(store, Path(tmp_path))
        assert check.verdict == "problem"
        assert "is not here" in check.message
        assert "mount it" in check.remedy
