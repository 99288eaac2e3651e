"""A copy of a store is told from its original, and leaves the original's trajectories alone."""

from __future__ import annotations

import shutil
import time

import pytest
from kept_elsewhere import fill_with_a_run
from pymongo import MongoClient
from typer.testing import CliRunner

from haloflow.cli.main import app
from haloflow.errors import StoreError
from haloflow.settings import get_settings
from haloflow.stores import homes
from haloflow.stores.blobs import MARKER
from haloflow.stores.connection import open_store
from haloflow.stores.embedded import DATABASE_FILE
from haloflow.stores.homes import home_of
from haloflow.stores.retention import Retention
from haloflow.stores.trajectory_places import PLACES_MARK, remember_place, use_place
from haloflow.workflows.pruning import find_strays, prune

IS_COPY = "this store is a copy, or was moved or restored"
RULES = Retention(preparation="release")


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch):
    """Let no test see the environment of another."""
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def original(tmp_path):
    """A store with a run in a shared folder."""
    with open_store(tmp_path / "store") as store:
        use_place(store, str(tmp_path / "shared"))
        fill_with_a_run(store)
    return tmp_path / "store"


@pytest.fixture
def copied(original, tmp_path):
    shutil.copytree(original, tmp_path / "copy")
    return tmp_path / "copy"


def shared_files(folder):
    return {path.name for path in (folder / "shared").glob("??/*")}


def run(*words):
    return CliRunner().invoke(app, ["db", *map(str, words)])


def change_mark(store, **fields):
    where = {"_id": homes.ID_MARK}
    store.meta._collection.replace_one(where, store.meta.query_one(where) | fields)


def test_a_copy_deletes_and_stores_nothing_of_its_originals(copied, original, tmp_path):
    before = shared_files(tmp_path)
    assert before
    with open_store(copied) as store:
        for refused in (
            lambda: prune(store, RULES),
            lambda: find_strays(store),
            lambda: remember_place(store),
            lambda: use_place(store, str(tmp_path / "shared")),
            lambda: use_place(store, str(tmp_path / "another")),
        ):
            with pytest.raises(StoreError, match=IS_COPY) as caught:
                refused()
            assert str(original) in str(caught.value)
            assert "haloflow db home --copy" in str(caught.value)
            assert "haloflow db home --moved" in str(caught.value)
        assert store.outputs.count({"output.files.released.rule": {"$exists": True}}) == 0
    assert shared_files(tmp_path) == before
    with open_store(original) as store:
        assert prune(store, RULES).n_files > 0
    assert shared_files(tmp_path) < before


def test_the_command_says_so_and_mends_it(copied, original, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    pruned = run("prune", "--preparation", "--apply", "--store", copied)
    assert pruned.exit_code == 1
    assert IS_COPY in pruned.output
    shown = run("home", "--store", copied)
    assert shown.exit_code == 1
    assert f"not at home in {copied}" in shown.output
    assert f"It was noted in {original}." in shown.output
    wrong = run("home", "--moved", "--copy", "--store", copied)
    assert wrong.exit_code == 2
    assert "a store was either moved or copied" in wrong.output
    parted = run("home", "--copy", "--store", copied)
    assert parted.exit_code == 0, parted.output
    assert f": at home in {copied}" in parted.output
    assert "A copy of" in parted.output
    assert run("home", "--store", copied).exit_code == 0
    assert run("home", "--store", original).exit_code == 0
    before = shared_files(tmp_path)
    with open_store(copied) as store, open_store(original) as other:
        assert home_of(store).id != home_of(other).id == home_of(store).copied_from
        assert dict(store.files.target.sizes()), "what the original stored can be read"
        done = prune(store, RULES)
        assert "does not say that it is this store's" in done.left[str(tmp_path / "shared")]
        with pytest.raises(StoreError, match="belongs to another store"):
            remember_place(store)
        use_place(store, str(tmp_path / "own"))
        remember_place(store)
    assert shared_files(tmp_path) == before


def test_a_store_that_was_renamed_is_at_home(original, tmp_path):
    moved = original.rename(tmp_path / "renamed")
    with open_store(moved) as store:
        assert home_of(store).is_here
        assert prune(store, RULES).n_files > 0
        use_place(store, str(tmp_path / "shared"))  # notes its new path
    shutil.copytree(moved, original)
    assert run("home", "--store", moved).exit_code == 0
    assert run("home", "--store", original).exit_code == 1


def test_a_backup_is_at_home_once_one_says_so(original, tmp_path):
    shutil.copytree(original, tmp_path / "backup")
    shutil.rmtree(original)
    (tmp_path / "in the way").touch()  # so that no inode is by chance the same
    shutil.copytree(tmp_path / "backup", original)
    with open_store(original) as store, pytest.raises(StoreError, match=IS_COPY):
        prune(store, RULES)
    assert run("home", "--moved", "--store", original).exit_code == 0
    with open_store(original) as store:
        assert home_of(store).copied_from == ""
        assert prune(store, RULES).n_files > 0


def test_a_database_file_that_was_restored_is_noticed(original, tmp_path):
    database = original / DATABASE_FILE
    shutil.copy(database, tmp_path / "backup")
    for _ in range(5):  # on most file systems it gets the inode that it had
        database.unlink()
        shutil.copy(tmp_path / "backup", database)
        assert run("home", "--store", original).exit_code == 1
    assert run("home", "--moved", "--store", original).exit_code == 0
    assert run("home", "--store", original).exit_code == 0


def test_a_home_without_a_birth_time_is_the_same_inode(original):
    with open_store(original) as store:
        inode = home_of(store).here.partition(" born ")[0]
        change_mark(store, home=inode)
        assert home_of(store).is_here
        change_mark(store, home=f"{inode}0")
        assert not home_of(store).is_here


def test_a_new_store_under_the_old_name_of_another_is_no_original_of_it(original, tmp_path):
    moved = original.rename(tmp_path / "renamed")
    with open_store(original) as store:
        use_place(store, str(tmp_path / "another"))
    assert run("home", "--store", moved).exit_code == 0
    with open_store(moved) as store:
        remember_place(store)
        assert home_of(store).path == str(moved), "the new name is noted"
        assert prune(store, RULES).n_files > 0


def test_a_former_folder_that_cannot_be_looked_at_raises_no_alarm(original):
    with open_store(original) as store:
        change_mark(store, path="/" + "x" * 300)  # as one without permission: an OSError
        assert home_of(store).is_here


def test_a_former_folder_with_a_store_that_cannot_be_read_does(original, tmp_path):
    moved = original.rename(tmp_path / "renamed")
    original.mkdir()
    (original / DATABASE_FILE).write_text("no database at all" * 100)
    assert run("home", "--store", moved).exit_code == 1


def test_an_original_is_not_parted_and_a_copy_can_become_the_original(original, tmp_path):
    with open_store(original) as store:
        before = home_of(store)
        for refused in (homes.part, homes.take_back):
            with pytest.raises(StoreError, match=r"no copy|no one said") as caught:
                refused(store)
            assert str(original) in str(caught.value)
        assert home_of(store) == before
        assert homes.settle(store) == before
    said = run("home", "--copy", "--store", original)
    assert said.exit_code != 0
    shutil.copytree(original, tmp_path / "backup")
    shutil.rmtree(original)
    shutil.copytree(tmp_path / "backup", original)
    assert run("home", "--moved", "--store", original).exit_code == 0
    said = run("home", "--copy", "--store", original)  # by mistake
    assert said.exit_code == 0
    assert "--original" in said.output
    with open_store(original) as store:
        assert home_of(store).copied_from == before.id
        with pytest.raises(StoreError, match="belongs to another store"):
            remember_place(store)
    assert run("home", "--original", "--store", original).exit_code == 0
    with open_store(original) as store:
        assert (home_of(store).id, home_of(store).copied_from) == (before.id, "")
        remember_place(store)
        assert prune(store, RULES).n_files > 0


def test_a_copy_that_was_parted_begins_with_a_place_of_the_settings(copied, tmp_path, monkeypatch):
    own = tmp_path / "own"
    monkeypatch.setenv("HALOFLOW_TRAJECTORY_STORE", str(own))
    get_settings.cache_clear()
    with open_store(copied) as store:
        with pytest.raises(StoreError, match=IS_COPY):
            remember_place(store)
        assert not own.exists()
        homes.part(store)
        remember_place(store)
        remember_place(store)
        assert (own / MARKER).read_text() == home_of(store).id


def test_what_another_process_notes_meanwhile_is_not_lost(original, monkeypatch):
    with open_store(original) as store:
        change_mark(store, path="/before")
        here = homes._here
        faster = iter(["0123456789abcdef"])

        def meanwhile(store):
            for value in faster:
                change_mark(store, value=value, copied_from="an original")
            return here(store)

        monkeypatch.setattr(homes, "_here", meanwhile)
        settled = homes.settle(store)
        assert (settled.id, settled.copied_from) == ("0123456789abcdef", "an original")
        assert home_of(store).id == "0123456789abcdef"


def test_a_snapshot_with_the_same_inode_is_told_by_its_original(original, tmp_path, monkeypatch):
    shutil.copytree(original, tmp_path / "snapshot")
    here = homes._here

    def same_inode(store):
        return "inode 1", here(store)[1]

    monkeypatch.setattr(homes, "_here", same_inode)
    assert run("home", "--moved", "--store", original).exit_code == 0
    shutil.rmtree(tmp_path / "snapshot")
    shutil.copytree(original, tmp_path / "snapshot")
    assert run("home", "--store", original).exit_code == 0
    assert run("home", "--store", tmp_path / "snapshot").exit_code == 1


def test_a_store_of_an_earlier_version_is_at_home_where_it_is(original):
    with open_store(original) as store:
        store.meta._collection.replace_one(
            {"_id": homes.ID_MARK}, {"_id": homes.ID_MARK, "value": home_of(store).id}
        )
        assert home_of(store).is_here
        use_place(store, store.meta.query_one({"_id": PLACES_MARK})["places"][0])
        assert home_of(store).noted.startswith("inode ")


@pytest.mark.parametrize("how", ["open", "remember"])
def test_a_store_of_an_earlier_version_is_told_from_its_copies(original, tmp_path, how):
    def forget_home(store):
        value = {"_id": homes.ID_MARK, "value": home_of(store).id}
        store.meta._collection.replace_one({"_id": homes.ID_MARK}, value)

    with open_store(original) as store:
        forget_home(store)
        if how == "remember":
            remember_place(store)
    if how == "open":
        open_store(original).close()
    shutil.copytree(original, tmp_path / "copy")
    before = shared_files(tmp_path)
    with open_store(tmp_path / "copy") as store, pytest.raises(StoreError, match=IS_COPY):
        prune(store, RULES)
    assert shared_files(tmp_path) == before
    assert run("home", "--store", original).exit_code == 0


def test_a_store_without_places_has_no_id(tmp_path, monkeypatch):
    with open_store(tmp_path / "store") as store:
        assert home_of(store) is None
        assert prune(store, RULES).n_files == 0
    said = run("home", "--store", tmp_path / "store")
    assert said.exit_code == 0
    assert "No id: nothing of this store is kept" in said.output
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    monkeypatch.setenv("HALOFLOW_TRAJECTORY_STORE", str(tmp_path / "shared"))
    get_settings.cache_clear()
    with open_store(tmp_path / "store") as store:
        remember_place(store)
    with (
        open_store(tmp_path / "copy") as store,
        pytest.raises(StoreError, match="belongs to another store"),
    ):
        remember_place(store)


def test_a_database_that_was_restored_beside_its_original_is_a_copy(mongod_uri, tmp_path):
    names = [f"home{time.time_ns()}", f"restored{time.time_ns()}"]
    first, second = (f"{mongod_uri}/{name}" for name in names)
    with MongoClient(mongod_uri) as client:
        try:
            with open_store(first, files_dir=tmp_path / "a") as store:
                use_place(store, str(tmp_path / "shared"))
                remember_place(store)
                fill_with_a_run(store)
                assert home_of(store).is_here
                value = home_of(store).id
            for one in client[names[0]].list_collection_names():
                if rows := list(client[names[0]][one].find()):
                    client[names[1]][one].insert_many(rows)
            before = shared_files(tmp_path)
            assert before
            with open_store(second, files_dir=tmp_path / "b") as store:
                with pytest.raises(StoreError, match=IS_COPY) as caught:
                    prune(store, RULES)
                assert names[0] in str(caught.value)
                assert store.outputs.count({"output.files.released.rule": {"$exists": True}}) == 0
                assert homes.settle(store).id == value
                assert prune(store).n_files == 0  # it may, and there is no rule
                parted = homes.part(store)
                assert (parted.id != value, parted.copied_from) == (True, value)
                done = prune(store, RULES)
                assert (done.n_files, done.n_strays) == (0, 0)
                assert "does not say that it is this store's" in done.left[str(tmp_path / "shared")]
                use_place(store, "gridfs")
                remember_place(store)
            assert shared_files(tmp_path) == before
            with open_store(second, files_dir=tmp_path / "b", read_only=True) as store:
                assert home_of(store).is_here
            with open_store(first, files_dir=tmp_path / "a") as store:
                assert (home_of(store).id, home_of(store).is_here) == (value, True)
                assert prune(store, RULES).n_files == len(before) - len(shared_files(tmp_path)) > 0
        finally:
            for name in names:
                client.drop_database(name)


def test_a_restored_database_keeps_its_own_gridfs(mongod_uri, tmp_path):
    names = [f"grid{time.time_ns()}", f"regrid{time.time_ns()}"]
    with MongoClient(mongod_uri) as client:
        try:
            with open_store(f"{mongod_uri}/{names[0]}", files_dir=tmp_path / "a") as store:
                use_place(store, "gridfs")
            client[names[1]].meta.insert_many(client[names[0]].meta.find())
            with open_store(f"{mongod_uri}/{names[1]}", files_dir=tmp_path / "b") as store:
                assert not home_of(store).is_here
                remember_place(store)
                prune(store, RULES)
        finally:
            for name in names:
                client.drop_database(name)
