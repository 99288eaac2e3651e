"""Stores with one folder of files: what is another's there is neither deleted nor written."""

from __future__ import annotations

import shutil
import time

import pytest
from kept_elsewhere import fill_with_a_run
from pymongo import MongoClient
from tiny_sweeps import tiny_sweep
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.errors import StoreError
from haloflow.makers.step import step_directory
from haloflow.settings import get_settings
from haloflow.stores import homes
from haloflow.stores.connection import open_store
from haloflow.stores.homes import FILES_MARKER, files_owner, home_of
from haloflow.stores.results import record_failure
from haloflow.stores.retention import Retention
from haloflow.stores.trajectory_places import remember_place, use_place
from haloflow.workflows.managers.worker_checks import check_trajectories
from haloflow.workflows.mending import mend
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.pruning import find_strays, prune
from haloflow.workflows.run import _forget_all, run_sweep
from haloflow.workflows.status import record_candidates

IS_COPY = "this store is a copy, or was moved or restored"
NOT_OWN = "the folder of files does not say that it is this store's"
RULES = Retention(preparation="release")
THIN = Retention(preparation="release", keep_every=5)


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch):
    """Let no test see the environment of another."""
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture(params=["embedded", "mongodb"])
def twins(request, tmp_path):
    """Two URIs of a store with a run and of its copy, opened with the same folder of files."""
    if request.param == "embedded":
        original, copied = tmp_path / "store", tmp_path / "copy"
        with open_store(original, files_dir=tmp_path / "files") as store:
            fill_with_a_run(store)
        shutil.copytree(original, copied)
        yield original, copied
        return
    uri = request.getfixturevalue("mongod_uri")
    names = [f"twin{time.time_ns()}", f"restored{time.time_ns()}"]
    with MongoClient(uri) as client:
        with open_store(f"{uri}/{names[0]}", files_dir=tmp_path / "files") as store:
            fill_with_a_run(store)
        for one in client[names[0]].list_collection_names():
            if rows := list(client[names[0]][one].find()):
                client[names[1]][one].insert_many(rows)
        yield tuple(f"{uri}/{name}" for name in names)
        for name in names:
            client.drop_database(name)


@pytest.fixture
def opened(tmp_path):
    return lambda uri: open_store(uri, files_dir=tmp_path / "files")


def the_files(tmp_path):
    return {path for path in (tmp_path / "files").rglob("*") if path.is_file()}


def test_a_copy_deletes_nothing_in_a_folder_that_its_original_uses(twins, opened, tmp_path):
    original, copied = twins
    before = the_files(tmp_path)
    with opened(copied) as store:
        for refused in (prune, find_strays, remember_place):
            with pytest.raises(StoreError, match=IS_COPY):
                refused(*((store, RULES) if refused is prune else (store,)))
        homes.part(store)
        done = prune(store, RULES)
        assert (done.n_files, *done.left) == (0, str(tmp_path / "files"))
        assert NOT_OWN in done.left[str(tmp_path / "files")]
        with pytest.raises(StoreError, match=NOT_OWN):
            remember_place(store)
        left = find_strays(store)[1]
        assert left == done.left
    assert the_files(tmp_path) == before
    with opened(original) as store:
        done = prune(store, RULES)
        assert (done.n_files, done.left) == (3, {})
    assert len(the_files(tmp_path)) == len(before) - 3


def test_a_copy_thins_nothing_among_the_files_of_its_original(twins, opened, tmp_path):
    before = the_files(tmp_path)
    with opened(twins[1]) as store:
        homes.part(store)
        done = prune(store, THIN)
        assert [NOT_OWN in why for why in done.failures.values()] == [True]
    assert the_files(tmp_path) == before


def test_a_copy_cannot_run_from_the_start_where_its_original_has_its_files(
    twins, opened, tmp_path, monkeypatch
):
    original, copied = twins
    with opened(original) as store:
        plan = plan_sweep(tiny_sweep(), store)
        folders = [step_directory(store.files_dir, one) for one in plan.steps]
        for folder in folders:
            folder.mkdir(parents=True)
    with opened(copied) as store:
        with pytest.raises(StoreError, match=IS_COPY):
            record_candidates(store, plan)
        assert store.candidates.count({"sweeps": plan.sweep.name}) == 0
        with pytest.raises(StoreError, match=IS_COPY):
            _forget_all(store, plan)
        record_failure(store, (identity := next(iter(plan.steps))), "a step", str(folders[0]))
        with pytest.raises(StoreError, match=IS_COPY):
            mend(store, [identity])
        homes.part(store)
        with pytest.raises(StoreError, match=NOT_OWN):
            _forget_all(store, plan)
    monkeypatch.setenv("HALOFLOW_FILES_DIR", str(tmp_path / "files"))
    get_settings.cache_clear()
    with pytest.raises(StoreError, match=NOT_OWN):
        run_sweep(tiny_sweep(), str(copied), workers=1, force=True)
    assert all(folder.is_dir() for folder in folders)
    with opened(original) as store:
        _forget_all(store, plan)
    assert not any(folder.exists() for folder in folders)


def test_a_folder_is_the_stores_that_found_it_empty_or_that_one_says(tmp_path, monkeypatch):
    files = tmp_path / "files"
    files.mkdir()
    (files / "of someone").touch()
    with open_store(tmp_path / "store", files_dir=files) as store:
        fill_with_a_run(store)
        remember_place(store)
        assert files_owner(store) == ""
        assert "of no store" in prune(store, RULES).left[str(files)]
        with pytest.raises(StoreError, match="haloflow db home --files"):
            homes.require_own_files(store)
    monkeypatch.setenv("HALOFLOW_FILES_DIR", str(files))
    monkeypatch.setenv("COLUMNS", "300")
    get_settings.cache_clear()
    words = ["db", "home", "--store", str(tmp_path / "store")]
    assert "not known as any store's" in CliRunner().invoke(app, words).output
    said = CliRunner().invoke(app, [*words, "--files"])
    assert said.exit_code == 0, said.output
    assert "Its files are in" not in said.output
    with open_store(tmp_path / "store") as store:
        assert (files / FILES_MARKER).read_text() == home_of(store).id
        done = prune(store, RULES)
        assert (done.n_files, done.left) == (3, {})
    with open_store(tmp_path / "another") as other:
        remember_place(other)  # other stores may run there, as ever
        with pytest.raises(StoreError, match=NOT_OWN):
            homes.require_own_files(other)
    with open_store(tmp_path / "within", files_dir=tmp_path / "within" / "files") as store:
        assert files_owner(store) is None
        homes.require_own_files(store)


def test_a_check_of_a_worker_tries_nothing_in_the_place_of_an_original(tmp_path):
    with open_store(tmp_path / "store") as store:
        use_place(store, str(tmp_path / "shared"))
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    changed = (tmp_path / "shared").stat().st_mtime_ns
    with open_store(tmp_path / "copy") as store:
        check = check_trajectories(store, tmp_path)
        assert check.verdict == "problem"
        assert IS_COPY in check.message
    assert (tmp_path / "shared").stat().st_mtime_ns == changed
