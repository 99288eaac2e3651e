"""A worker that examines itself, alone and through FireWorks."""

from __future__ import annotations

import getpass
import os
import time

import pytest
import yaml

from haloflow import __version__
from haloflow.engines.potentials import identify
from haloflow.errors import StoreError, UnknownNameError
from haloflow.stores.connection import open_store
from haloflow.workflows.managers import setup
from haloflow.workflows.managers.preflight import examine_remotely
from haloflow.workflows.managers.resources import Resources
from haloflow.workflows.managers.site import Site
from haloflow.workflows.managers.worker_checks import (
    check_clock,
    check_folder,
    clock_offset_s,
    examine_here,
)

pytest.importorskip("fireworks")
LEVEL = "ase:pair_potential:Pair?depth_ev=0.05&size_a=2.5"

_NOT_FOR_WORKERS = """\
import importlib, sys
if "rlaunch" in sys.argv[0]:
    raise ImportError("haloflow is not for this worker")
del sys.path[0], sys.modules["haloflow"]
importlib.import_module("haloflow")
"""


@pytest.fixture
def store(mongod_uri, tmp_path):
    uri = f"{mongod_uri}/preflight-{os.getpid()}-{time.monotonic_ns()}"
    with open_store(uri, files_dir=tmp_path / "files") as opened:
        yield opened


@pytest.fixture
def expected(store):
    store.meta.update([{"_id": "preflight-here"}], key="_id")
    return {
        "version": __version__,
        "token": "preflight-here",
        "weights": {LEVEL: identify(LEVEL).weights_sha256},
        "disk_gb": 0.001,
        "clock_s": clock_offset_s(store),
    }


def found(store, expected):
    return {check.subject: check for check in examine_here(store, expected)}


def test_a_machine_like_this_one_is_fine(store, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (store.files_dir / "preflight-here").mkdir()
    checks = found(store, expected)
    assert {check.verdict for check in checks.values()} == {"ok"}
    assert {"package", "store", LEVEL, "files", "shared files", "scratch", "clock"} == set(checks)
    assert list(tmp_path.iterdir()) == [store.files_dir]


def test_what_differs_is_named_with_what_to_do(store, expected):
    expected |= {"version": "0.0.9", "token": "preflight-elsewhere", "clock_s": -60.0}
    expected["weights"] = {LEVEL: "0" * 64, "ase:no_such_module:Thing": "1" * 64}
    checks = found(store, expected)
    wrong = {name: check for name, check in checks.items() if check.verdict == "problem"}
    assert set(wrong) == {"package", "store", LEVEL, "ase:no_such_module:Thing", "clock"}
    assert all(check.remedy for check in wrong.values())
    assert "the plan is made by 0.0.9" in wrong["package"].message
    assert "is another store here" in wrong["store"].message
    assert "000000000000 in the plan" in wrong[LEVEL].message
    assert "ahead of the submitting machine" in wrong["clock"].message
    assert checks["shared files"].verdict == "note"


def test_a_store_that_takes_nothing_is_a_problem(store, expected, monkeypatch):
    def refuse(*_, **__):
        raise StoreError("not writable by this user")

    monkeypatch.setattr(store.meta, "update", refuse)
    check = found(store, expected)["store"]
    assert (check.verdict, "not writable by this user" in check.message) == ("problem", True)


def test_a_folder_must_take_files_and_have_room(tmp_path):
    assert check_folder("scratch", tmp_path, 0.001).verdict == "ok"
    full = check_folder("scratch", tmp_path, 1e9)
    assert (full.verdict, "make room for" in full.remedy) == ("problem", True)
    file = tmp_path / "file"
    file.touch()
    assert "File exists" in check_folder("scratch", file, 0.001).message


@pytest.mark.parametrize(("ahead_s", "verdict"), [(4.9, "ok"), (-5.1, "problem")])
def test_clocks_agree_within_seconds(ahead_s, verdict):
    assert check_clock(ahead_s).verdict == verdict


def test_the_server_tells_how_far_ahead_this_clock_is(store, monkeypatch):
    here = clock_offset_s(store)
    assert abs(here) < 1.0
    monkeypatch.setattr(time, "time", lambda t=time.time: t() + 3600)
    assert clock_offset_s(store) == pytest.approx(here + 3600, abs=1.0)


def test_a_manager_that_does_not_exist_is_named(store):
    with pytest.raises(UnknownNameError, match="unknown manager"):
        examine_remotely(store, "slurm")


def test_an_embedded_store_is_refused(tmp_path):
    with open_store(tmp_path) as embedded, pytest.raises(StoreError, match="cannot share"):
        examine_remotely(embedded, "fireworks")


def configured(site, scheduler):
    """Configure FireWorks as haloflow's own command does."""
    folder = site.folder / "own"
    site.environment["FW_CONFIG_FILE"] = str(folder / "FW_config.yaml")
    where = Site(
        store=site.store,
        files_dir=site.folder / "files",
        manager="fireworks",
        scheduler=scheduler,
        folder=folder,
        job=Resources(1, 0, None, 600),
    )
    setup.write_configuration(setup.configuration(where))


def with_sbatch(site, folder, script):
    """Return the PATH on which a scheduler answers as `script` says."""
    folder.mkdir()
    sbatch = folder / "sbatch"
    sbatch.write_text(f"#!/bin/sh\n{script}\n")
    sbatch.chmod(0o755)
    return f"{folder}{os.pathsep}{site.environment['PATH']}"


def test_a_worker_of_fireworks_reports(site):
    configured(site, "shell")
    said = site.haloflow("doctor", "--remote", "fireworks", "--for", "tiny.yaml")
    assert "Ready to take sweeps." in said
    assert "weights" in said
    with site.open() as store:
        assert store.outputs.count({"uuid": {"$ne": None}}) == 0
        assert list(store.meta.query({"_id": {"$regex": "preflight"}})) == []


@pytest.mark.parametrize(
    ("of", "problem"),
    [
        (f"{getpass.getuser()}@elsewhere", "there is a worker of this name elsewhere"),
        ("somebody@here", "this worker was set up by another user"),
    ],
)
def test_a_worker_that_another_machine_or_user_has_is_refused(site, of, problem):
    configured(site, "shell")
    place = site.folder / "own" / "my_fworker.yaml"
    worker = yaml.safe_load(place.read_text())
    place.write_text(yaml.safe_dump(worker | {"env": {"haloflow_of": of}}))
    said = " ".join(site.haloflow("doctor", "--remote", "fireworks", code=2).split())
    assert problem in said
    assert site.fireworks() == []


def test_a_worker_without_the_package_is_told(site):
    configured(site, "shell")
    broken = site.folder / "broken"
    (broken / "haloflow").mkdir(parents=True)
    (broken / "haloflow" / "__init__.py").write_text(_NOT_FOR_WORKERS)
    path = f"{broken}{os.pathsep}{site.environment['PYTHONPATH']}"
    said = site.haloflow("doctor", "--remote", "fireworks", code=1, PYTHONPATH=path)
    assert "the job failed" in said
    assert "1 problem to solve first." in said


def test_no_answer_by_the_deadline(site, tmp_path):
    configured(site, "slurm")
    path = with_sbatch(site, tmp_path / "commands", "echo Submitted batch job 17")
    said = site.haloflow("doctor", "--remote", "fireworks", "--deadline", "2", code=1, PATH=path)
    assert "no answer within 2 s: RESERVED as firework 1, 17 in the queue" in " ".join(said.split())
    assert "look at the queue" in said
    assert site.fireworks() == []


def test_a_queue_that_takes_nothing_is_told(site, tmp_path):
    configured(site, "slurm")
    path = with_sbatch(site, tmp_path / "commands", "echo no such partition >&2; exit 1")
    said = site.haloflow("doctor", "--remote", "fireworks", code=1, PATH=path)
    assert "the queue did not take the job of the preflight" in said
    assert "submit such a file by hand" in " ".join(said.split())
    assert site.fireworks() == []
