"""Opening stores by folder and URI, and what goes wrong with it."""

from __future__ import annotations

import multiprocessing
import time

import pytest
from jobflow import JobStore
from maggma.stores import MemoryStore

from haloflow.errors import DocumentError, StoreError
from haloflow.settings import get_settings
from haloflow.stores.connection import HaloflowStore, open_store
from haloflow.stores.documents import SCHEMA_VERSION
from haloflow.stores.mongodb import MongoDBStore, redacted


@pytest.fixture(params=["embedded", "mongodb"])
def uri(request, tmp_path):
    if request.param == "embedded":
        return str(tmp_path / "store")
    return f"{request.getfixturevalue('mongod_uri')}/connection{time.time_ns()}"


@pytest.fixture
def no_settings(monkeypatch):
    for name in ("STORE", "FILES_DIR"):
        monkeypatch.delenv(f"HALOFLOW_{name}", raising=False)
    get_settings.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    get_settings.cache_clear()


def test_a_job_finds_the_collections_beside_its_jobstore(uri, tmp_path, no_settings):
    with open_store(uri, files_dir=tmp_path / "files") as store:
        store.candidates.update({"candidate_id": "c"})
        store.jobstore.update({"uuid": "u", "index": 1, "output": 7})
        sent = JobStore.from_dict(store.jobstore.as_dict())
        with HaloflowStore.of_jobstore(sent) as beside:
            assert beside.candidates.count({"candidate_id": "c"}) == 1
            assert beside.outputs.query_one({"uuid": "u"})["output"] == 7
            if uri.startswith("mongodb"):
                assert beside.files_dir == store.files_dir
            beside.candidates.update({"candidate_id": "d"})
        assert store.candidates.count({"candidate_id": "d"}) == 1
        assert "uuid" in {
            key
            for index in store.outputs._collection.index_information().values()
            for key, _ in index["key"]
        }


def test_a_worker_may_see_the_files_elsewhere(mongod_uri, tmp_path, no_settings):
    with open_store(f"{mongod_uri}/files", files_dir=tmp_path / "there") as store:
        no_settings.setenv("HALOFLOW_FILES_DIR", str(tmp_path / "here"))
        get_settings.cache_clear()
        with HaloflowStore.of_jobstore(store.jobstore) as beside:
            assert beside.files_dir == tmp_path / "here"


def test_folders_come_from_arguments_then_settings(tmp_path, no_settings):
    with open_store(tmp_path / "a") as store:
        assert store.files_dir == tmp_path / "a" / "files"
        assert store.files_dir.is_dir()
    no_settings.setenv("HALOFLOW_STORE", str(tmp_path / "b"))
    no_settings.setenv("HALOFLOW_FILES_DIR", str(tmp_path / "files"))
    get_settings.cache_clear()
    with open_store() as store:
        assert (store.uri, store.files_dir) == (str(tmp_path / "b"), tmp_path / "files")
        assert repr(store) == f"HaloflowStore('{tmp_path}/b')"


def test_a_store_that_must_exist_is_not_made(tmp_path):
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "no", must_exist=True)
    assert str(caught.value) == (
        f"there is no haloflow store here. Given: {tmp_path}/no. What to do: check the path of "
        "--store, or run a sweep first."
    )
    assert not (tmp_path / "no").exists()
    open_store(tmp_path / "no").close()
    open_store(tmp_path / "no", must_exist=True).close()


def test_a_newer_schema_is_refused(uri, tmp_path):
    with open_store(uri, files_dir=tmp_path) as store:
        assert store.meta.query_one({"_id": "schema"})["version"] == SCHEMA_VERSION
        store.meta.update({"_id": "schema", "version": SCHEMA_VERSION + 1})
        name = store.name
    with pytest.raises(StoreError) as caught:
        open_store(uri, files_dir=tmp_path)
    assert str(caught.value) == (
        f"the store was written by a newer haloflow. Given: schema {SCHEMA_VERSION + 1} in {name}. "
        f"Allowed: up to schema {SCHEMA_VERSION}. What to do: upgrade haloflow: pip install -U "
        "haloflow."
    )


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_many_may_open_a_new_store_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    openers = [context.Process(target=open_store, args=(tmp_path / "s",)) for _ in range(6)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(60)
        assert opener.exitcode == 0


def test_mongodb_needs_a_place_for_files(mongod_uri, no_settings):
    with pytest.raises(StoreError) as caught:
        open_store(mongod_uri)
    assert str(caught.value) == (
        f"a store on MongoDB needs a folder for trajectories and checkpoints. Given: {mongod_uri}. "
        "What to do: set HALOFLOW_FILES_DIR to a folder that all workers see."
    )


BAD_URIS = {
    "mongodb://user:pa/ss@host/db": """this is not a valid MongoDB URI. Given: mongodb://***@host/db.
        Allowed: mongodb://[user:password@]host[:port][/database]. What to do: escape special
        characters of user and password as %XX.""",
    "postgres://user:secret@host/db": """a store of this kind is not known.
        Given: postgres://***@host/db.
        Allowed: a folder, mongodb://host/database or mongodb+srv://host/database.""",
    "mongodb://user:secret@127.0.0.1:1/db": """the MongoDB server cannot be used:
        ServerSelectionTimeoutError. Given: mongodb://***@127.0.0.1:1/db. What to do: check that
        the server runs, is reachable from here, and knows the user.""",
}


@pytest.mark.parametrize("given", BAD_URIS)
def test_uris_that_lead_nowhere_are_refused_without_their_password(tmp_path, monkeypatch, given):
    monkeypatch.setattr("haloflow.stores.connection.SERVER_TIMEOUT_S", 0.05)
    with pytest.raises(StoreError) as caught:
        open_store(given, files_dir=tmp_path)
    assert str(caught.value).split() == BAD_URIS[given].split()


def test_no_name_shows_a_password():
    store = MongoDBStore("mongodb://user:secret@host/db", "outputs", "db")
    assert store.name == "mongodb://***@host/db:db.outputs"
    assert "secret" not in JobStore(store).name
    assert redacted("mongodb://u:a@b@host") == "mongodb://***@host"
    assert redacted("a/folder@home") == "a/folder@home"


def test_a_foreign_jobstore_has_no_siblings():
    with pytest.raises(StoreError) as caught:
        HaloflowStore.of_jobstore(JobStore(MemoryStore()))
    assert str(caught.value) == (
        "this jobflow JobStore does not belong to a haloflow store. Given: MemoryStore mem://"
        "memory_db. Allowed: SqliteStore or MongoDBStore. What to do: run the flow with "
        "store=open_store(...).jobstore."
    )


def test_both_stores_refuse_large_documents(uri, tmp_path):
    with open_store(uri, files_dir=tmp_path) as store:
        document = {"uuid": "u", "index": 1, "output": {"positions": "x" * 17_000_000}}
        with pytest.raises(DocumentError, match=r"its field output\.positions takes 16\.2 MiB"):
            store.jobstore.update(document)
        assert store.outputs.count({}) == 0
