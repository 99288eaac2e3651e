"""The embedded store as jobflow, other processes and other threads use it."""

from __future__ import annotations

import multiprocessing
import pickle
import re
import subprocess
import sys
import threading

import pytest
from jobflow import Flow, JobStore, job, run_locally
from maggma.core import Store
from maggma.core.store import StoreError as MaggmaStoreError
from monty.json import MontyDecoder
from pymongo.errors import DuplicateKeyError

from haloflow.errors import DocumentError, StoreError
from haloflow.stores import collection, sqlite
from haloflow.stores.embedded import DATABASE_FILE, SqliteStore

pytestmark = pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning")  # in jobflow


@pytest.fixture
def store(tmp_path):
    with SqliteStore(tmp_path / "new" / "folder", "documents", key="uuid") as opened:
        yield opened


@job(data="data")
def numbers(n):
    return {"head": n, "data": list(range(n))}


@job
def total(output):
    return sum(output["data"])


def test_a_flow_runs_on_it_with_an_additional_store(tmp_path):
    docs, blobs = (SqliteStore(tmp_path, name) for name in ("outputs", "blobs"))
    jobstore = JobStore(docs, additional_stores={"data": blobs})
    first = numbers(20)
    second = total(first.output)
    run_locally(
        Flow([first, second]), store=jobstore, ensure_success=True, root_dir=tmp_path, log=False
    )
    assert jobstore.get_output(second.uuid) == 190
    assert jobstore.get_output(first.uuid, load=True)["data"] == list(range(20))
    assert "blob_uuid" in docs.query_one({"uuid": first.uuid})["output"]["data"]
    jobstore.close()


def test_it_survives_serialization(store):
    store.update({"uuid": "u", "v": 1})
    jobstore = JobStore(store)
    again = JobStore.from_dict(jobstore.as_dict())
    for copy in (
        again.docs_store,
        pickle.loads(pickle.dumps(store)),  # noqa: S301  (its own)
        MontyDecoder().process_decoded(store.as_dict()),
    ):
        assert copy == store
        assert hash(copy) == hash(store)
        assert copy.key == "uuid"
        with pytest.raises(MaggmaStoreError, match="Must connect"):
            copy.count()
        with copy:
            assert copy.query_one({"uuid": "u"})["v"] == 1
    assert store != SqliteStore(store.folder, "others")
    assert isinstance(store, Store)
    assert store.name.endswith("folder/haloflow.sqlite:documents")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_it_goes_with_a_fork(store):
    store.update({"uuid": "parent"})
    child = multiprocessing.get_context("fork").Process(target=store.update, args=({"uuid": "c"},))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    store.update({"uuid": "parent again"})
    assert sorted(store.distinct("uuid")) == ["c", "parent", "parent again"]


def test_it_goes_to_another_process(store):
    store.update({"uuid": "parent"})
    code = """
import pickle, sys
with pickle.load(sys.stdin.buffer) as store:
    store.update({"uuid": "child", "found": store.count({"uuid": "parent"})})
"""
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(store), check=True)
    assert store.query_one({"uuid": "child"})["found"] == 1


def test_threads_share_it(store):
    def write(first):
        for number in range(first, first + 25):
            store.update({"uuid": f"u{number}", "n": number})

    threads = [threading.Thread(target=write, args=(25 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(store.distinct("n")) == list(range(100))


def test_reconnecting_and_closing_leave_the_others_alone(tmp_path):
    first, second = (SqliteStore(tmp_path, name, key="k") for name in ("a", "b"))
    first.connect()
    second.connect()
    second.connect(force_reset=True)
    first.update({"k": 1})
    first.close()
    first.close()
    second.update({"k": 2})
    second.close()
    assert not sqlite._open_databases
    with first:
        assert first.count() == 1


def test_an_update_is_all_or_nothing(store):
    with pytest.raises(DocumentError, match="the field v cannot be stored"):
        store.update([{"uuid": "a"}, {"uuid": "b", "v": 2**70}])
    assert store.count() == 0
    with pytest.raises(KeyError):
        store.update([{"uuid": "a"}, {"no": "key"}])
    assert store.count() == 0


def test_a_query_sees_one_moment_while_documents_change(store):
    store.update([{"uuid": f"u{n}", "n": n} for n in range(50)])
    seen = []
    for document in store.query({}, sort={"n": 1}):
        seen.append(document["n"])
        store.update({"uuid": f"u{document['n']}", "n": document["n"] + 1000})
    assert seen == list(range(50))


def test_an_index_on_old_documents_finds_them(store):
    store.update([{"uuid": f"u{n}", "deep": {"x": [n, n + 1]}} for n in range(20)])
    before = store.distinct("uuid", {"deep.x": 7})
    assert store.ensure_index("deep.x")
    assert store.distinct("uuid", {"deep.x": 7}) == before == ["u6", "u7"]
    assert "deep.x_1" in store._collection.index_information()
    with store._collection.sqlite.reading() as connection:
        trace = []
        connection.set_trace_callback(trace.append)
        store.count({"deep.x": {"$gt": 3, "$lt": 5}})
        connection.set_trace_callback(None)
    assert "SELECT seq FROM entries" in trace[-1]


def test_a_unique_index_refuses_doubles(store):
    assert store.ensure_index("name", unique=True)
    store.update({"uuid": "a", "name": "x"})
    store.update({"uuid": "a", "name": "x", "v": 2})
    with pytest.raises(DuplicateKeyError, match="duplicate value of name in documents: 'x'"):
        store.update({"uuid": "b", "name": "x"})
    store.update([{"uuid": "c", "name": "y"}, {"uuid": "d", "name": [1.0]}])
    assert not store.ensure_index("v", unique=True)  # missing in two


def test_documents_above_16_mib_are_refused_with_the_field(store):
    document = {"uuid": "u", "output": {"e": 1.0, "trajectory": {"positions": ["x" * 17_000_000]}}}
    with pytest.raises(DocumentError) as caught:
        store.update(document)
    assert str(caught.value) == (
        "a document of 16.2 MiB is too large; its field output.trajectory.positions.0 takes "
        "16.2 MiB. Allowed: at most 16.0 MiB. What to do: keep large arrays in files and store a "
        "FileReference."
    )
    with pytest.raises(DocumentError, match=r"its field output.a takes 12\.\d MiB"):
        store.update({"uuid": "u", "output": {"a": ["y" * 100_000] * 130, "b": "z" * 6_000_000}})
    assert store.count() == 0


def test_what_has_no_bson_form_is_refused_with_the_field(store):
    with pytest.raises(DocumentError) as caught:
        store.update({"uuid": "u", "a": {"b": [1, {"c": 2**64}]}})
    text = "the field a.b.1.c cannot be stored. Given: MongoDB can only handle up to 8-byte ints."
    assert str(caught.value).startswith(text)
    with pytest.raises(DocumentError, match=re.escape("names of the document cannot be stored")):
        store.update({"uuid": "u", "nul\0": 1})


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"$where": "1"}, "does not know an operator of the filter. Given: $where. Allowed: $and,"),
        ({"a": {"$near": 1}}, "does not know an operator of the filter. Given: $near."),
        ({"$or": []}, "$or of a filter has a wrong argument. Given: nothing. Allowed: a list of"),
        ({"$and": [1]}, "$and of a filter has a wrong argument. Given: 1. Allowed: a filter."),
        ({"a": {"$in": 1}}, "$in and $nin of a filter has a wrong argument. Given: 1."),
        ({"a": {"$all": 1}}, "$all of a filter has a wrong argument. Given: 1. Allowed: a list."),
        ({"a": {"$size": -1}}, "$size of a filter has a wrong argument. Given: -1. Allowed: a who"),
        ({"a": {"$type": "x"}}, "$type of a filter has a wrong argument. Given: x. Allowed: array"),
        ({"a": {"$not": 1}}, "$not of a filter has a wrong argument. Given: 1. Allowed: operators"),
        ({"a": {"$regex": "("}}, "$regex of a filter has a wrong argument. Given: (. Allowed: a v"),
        ({"a": {"$regex": "a", "$options": "q"}}, "$regex of a filter has a wrong argument."),
        ({"a": {"$regex": 1}}, "$regex of a filter has a wrong argument. Given: 1. Allowed: a pat"),
        ({"a": {"$options": "i"}}, "$options of a filter has a wrong argument. Given: i. Allowed"),
        ({"a": {"$elemMatch": 1}}, "$elemMatch of a filter has a wrong argument. Given: 1."),
        ({"a": {"$gt": re.compile("x")}}, "a range operator of a filter has a wrong argument."),
        ({"a": {1, 2}}, "a filter holds a value that documents cannot hold. Given: cannot encode"),
    ],
)
def test_filters_that_cannot_be_answered_are_refused(store, criteria, message):
    with pytest.raises(StoreError) as caught:
        store.count(criteria)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("projection", "message"),
    [
        ({"a": 1, "b": 0}, "cannot both keep and drop fields. Given: {'a': 1, 'b': 0}. Allowed: o"),
        ({"a": {"$slice": 1}}, "cannot compute fields in a projection. Given: a: {'$slice': 1}."),
        ({"a": 1, "a.b": 1}, "a projection names a field and a part of it. Given: a.b."),
        ({"a.b": 1, "a": 1}, "a projection names a field and a part of it. Given: a."),
    ],
)
def test_projections_that_cannot_be_made_are_refused(store, projection, message):
    with pytest.raises(StoreError) as caught:
        list(store.query({}, projection))
    assert message in str(caught.value)


def test_a_changed_id_is_refused(store):
    store.update({"uuid": "u", "_id": 1})
    with pytest.raises(StoreError) as caught:
        store.update({"uuid": "u", "_id": 2})
    assert str(caught.value) == (
        "the _id of a document cannot change. Given: 2. Allowed: 1. What to do: leave _id out of "
        "the document, or delete the old document first."
    )


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / DATABASE_FILE).write_bytes(b"no database at all" * 100)
    with SqliteStore(tmp_path, "documents") as store, pytest.raises(StoreError) as caught:
        store.count({"a": 1})
    assert str(caught.value) == (
        f"the embedded store cannot be used: file is not a database. Given: {tmp_path}/"
        f"{DATABASE_FILE}. What to do: check that the folder is writable, has free space and holds "
        "a haloflow store."
    )
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="the embedded store cannot be used"):
        SqliteStore(tmp_path / "file" / "below", "documents").connect()


def test_a_network_file_system_is_refused(tmp_path, monkeypatch):
    share = tmp_path / "share"
    mount = sqlite.psutil._ntuples.sdiskpart("server:/x", str(share), "nfs4", "rw")
    real = sqlite.psutil.disk_partitions(all=True)
    monkeypatch.setattr(sqlite.psutil, "disk_partitions", lambda **_: [*real, mount])
    with pytest.raises(StoreError) as caught:
        SqliteStore(share / "store", "documents").connect()
    assert str(caught.value) == (
        "the embedded store is not safe on a network file system (nfs4). Given: "
        f"{share}/store. Allowed: a folder on a local disk, or a MongoDB server. What to do: pass "
        "a local folder, or a mongodb:// URI, with --store or HALOFLOW_STORE."
    )
    SqliteStore(tmp_path / "local", "documents").connect()
    assert sqlite.file_system_of(share / "deep") == "nfs4"


def test_importing_it_imports_no_torch():
    code = "import sys, haloflow.stores.connection; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_document_is_read_where_one_is_asked_for(tmp_path, monkeypatch):
    decoded, plain = [], collection.bson.decode

    def decode(body):
        decoded.append(body)
        return plain(body)

    with SqliteStore(tmp_path, "documents", key="key") as store:
        store.update([{"key": n, "a": n % 3} for n in range(50)])
        monkeypatch.setattr(collection.bson, "decode", decode)
        assert store.query_one()["key"] == 0
        assert store.query_one({"a": 2}, ["key"])["key"] == 2
        assert len(decoded) < 10
        assert store.query_one(sort={"key": -1})["key"] == 49
        assert store.query_one({"a": 5}) is None
