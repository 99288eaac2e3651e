"""Stores opened for reading only: nothing is made or written, and no reading lasts for ever."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import many_candidates
import pytest
from pymongo import monitoring

from haloflow.errors import StoreError, StoreTimeoutError
from haloflow.quantity import Status
from haloflow.stores import mongodb
from haloflow.stores.connection import open_store
from haloflow.stores.records import summary_of

READING = {"aggregate", "count", "distinct", "find", "getMore", "hello", "listIndexes"}
LOGIN = {"endSessions", "saslContinue", "saslStart"}


def changes(store):
    """Return every way in which a store can be written to."""
    document = {"_id": "a", "candidate_id": "a", "uuid": "a", "identity": "a", "output": 1}
    collections = [store.outputs, store.candidates, store.summaries, store.claims, store.failures]
    yield from (lambda one=one: one.update(dict(document)) for one in [*collections, store.meta])
    yield lambda: store.summaries.remove_docs({"phase": "glass"})
    yield lambda: store.jobstore.update({"uuid": "u", "index": 1, "output": 1})
    collection = store.summaries._collection
    yield lambda: collection.insert_one({"a": 1})
    yield lambda: collection.create_index("label")
    yield lambda: collection.replace_one({}, {"a": 1}, upsert=True)


def assert_reads_only(store, n):
    assert store.summaries.count() == store.candidates.count() == n
    first = next(store.summaries.query({"phase": "glass"}, sort={"candidate_id": 1}))
    assert summary_of(first).phase == "glass"
    assert store.claims.count({"x": 1}) == 0
    for change in changes(store):
        with pytest.raises(StoreError, match="the store was opened for reading only"):
            change()
    assert store.summaries.count({}) == n


def files_below(folder):
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.suffix not in {".sqlite-shm", ".sqlite-wal"}
    }


def test_an_embedded_store_on_a_medium_for_reading_only_is_read(tmp_path):
    folder = tmp_path / "medium"
    with open_store(folder) as store:
        many_candidates.fill(store, 5)
    for path in folder.glob("*.sqlite-*"):
        path.unlink()
    mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"'
    in_own_mounts = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*in_own_mounts, mount, "sh", folder], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("this system lets no one mount")
    count = "open_store(sys.argv[1], read_only=True).summaries.count({'phase': 'glass'})"
    code = f"import sys; from haloflow.stores.connection import open_store; print({count})"
    reads = f'{mount} && exec "$2" -c "$3" "$1"'
    read = subprocess.run(
        [*in_own_mounts, reads, "sh", folder, sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (read.returncode, read.stderr) == (0, "")
    assert int(read.stdout) > 0
    assert not list(folder.glob("*.sqlite-*"))


def test_an_embedded_store_is_only_read(tmp_path):
    folder = tmp_path / "store #1?"
    with open_store(folder) as store:
        many_candidates.fill(store, 5)
    assert not (folder / "claims.sqlite").exists()
    (folder / "files").rmdir()
    before = files_below(folder)
    with open_store(folder, read_only=True) as store:
        assert_reads_only(store, 5)
        with open_store(folder) as writer:  # the same process may write as well, by another store
            writer.claims.update({"_id": "c", "holder": "h"})
            writer.summaries.remove_docs(
                {"candidate_id": store.summaries.query_one()["candidate_id"]}
            )
            assert store.claims.count({"holder": "h"}) == 1
            assert store.summaries.count({}) == 4
    assert before.keys() < files_below(folder).keys()
    with open_store(folder, read_only=True) as store, pytest.raises(StoreError) as caught:
        store.meta.update({"_id": "x"})
    assert str(caught.value) == (
        f"the store was opened for reading only. Given: {folder}/haloflow.sqlite. What to do: open "
        "it without read_only to write to it."
    )


def test_reading_makes_no_store(tmp_path):
    with pytest.raises(StoreError, match=r"there is no haloflow store here\. Given: .*/no\."):
        open_store(tmp_path / "no", read_only=True)
    assert not (tmp_path / "no").exists()


class Listener(monitoring.CommandListener):
    def __init__(self):
        self.names = set()

    def started(self, event):
        self.names.add(event.command_name)

    def succeeded(self, event):
        """Not needed."""

    def failed(self, event):
        raise AssertionError(event.failure)


def test_a_server_is_only_read_by_a_user_who_may_only_read(
    guarded_mongod_uris, tmp_path, monkeypatch
):
    writer_uri, reader_uri = guarded_mongod_uris
    with open_store(writer_uri, files_dir=tmp_path / "files") as store:
        many_candidates.fill(store, 5)
    listener, plain = Listener(), mongodb.MongoDBStore.__init__

    def listened(self, *args, mongoclient_kwargs, **kwargs):
        seen = mongoclient_kwargs | {"event_listeners": [listener]}
        plain(self, *args, mongoclient_kwargs=seen, **kwargs)

    monkeypatch.setattr(mongodb.MongoDBStore, "__init__", listened)
    with open_store(reader_uri, files_dir=tmp_path / "no", read_only=True) as store:
        assert_reads_only(store, 5)
        assert store.summaries.distinct("phase")
        found = store.summaries._collection.aggregate([{"$count": "n"}])
        assert list(found) == [{"n": 5}]
        with pytest.raises(StoreError, match="the store was opened for reading only"):
            list(store.summaries._collection.aggregate([{"$out": "other"}]))
        with pytest.raises(AttributeError):
            store.summaries._collection.with_options()
    assert listener.names <= READING | LOGIN
    assert not (tmp_path / "no").exists()


def test_no_reading_of_a_server_lasts_for_ever(mongod_uri, tmp_path):
    uri = f"{mongod_uri}/late{time.time_ns()}"
    with open_store(uri, files_dir=tmp_path) as store:
        store.summaries.update([{"candidate_id": str(n), "label": "x" * 40} for n in range(40)])
    with (
        open_store(uri, files_dir=tmp_path, read_only=True, timeout_s=0.2) as store,
        pytest.raises(StoreTimeoutError) as caught,
    ):
        store.summaries._collection.count_documents(
            {
                "$expr": {
                    "$function": {
                        "body": "function() { while (true) {} }",
                        "args": [],
                        "lang": "js",
                    }
                }
            }
        )
    assert str(caught.value) == (
        f"the MongoDB server took longer than it may. Given: {uri}. What to do: ask for less: "
        "narrower filters, fewer rows; or open it with a larger timeout_s."
    )


def test_no_reading_of_a_file_lasts_for_ever(tmp_path):
    with open_store(tmp_path) as store:
        many_candidates.fill(store, 300)
    with open_store(tmp_path, read_only=True, timeout_s=0.02) as store:
        database = store.summaries._collection.sqlite
        endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x)"
        with pytest.raises(StoreTimeoutError) as caught, database.reading() as connection:
            connection.execute(f"{endless} FROM n").fetchone()
        assert str(caught.value) == (
            f"the store took longer than 0.02 s. Given: {tmp_path}/haloflow.sqlite. What to do: "
            "ask for less: narrower filters, fewer rows; or open it with a larger timeout_s."
        )
        with pytest.raises(StoreTimeoutError), database.reading():
            list(database.in_time(time.sleep(0.005) for _ in range(50)))
        assert store.summaries.count() == 300
    with open_store(tmp_path, read_only=True) as store:
        assert store.summaries._collection.sqlite.timeout_s == 5.0
        assert sum(1 for _ in store.summaries.query({})) == 300


def test_a_server_that_is_gone_is_one_that_may_come_back(tmp_path):
    with pytest.raises(StoreTimeoutError, match="the MongoDB server cannot be used: Server"):
        open_store(
            "mongodb://u:p@127.0.0.1:1/db", files_dir=tmp_path, read_only=True, timeout_s=0.1
        )


def test_synthetic_candidates_say_so_and_are_the_same_every_time(tmp_path):
    one, two = (list(many_candidates.records(240, n_hostile=7)) for _ in range(2))
    assert one == two
    summaries = [summary_of(summary) for _, summary in one]
    assert len({one.candidate_id for one in summaries}) == 240
    assert all("synthetic" in one.label for one in summaries[:-7])
    assert {one.label for one in summaries[-7:]} == set(many_candidates.HOSTILE)
    assert {one.sigma_300k_ms_cm.status for one in summaries} == set(Status)
    assert {one.phase for one in summaries} == {"crystal", "glass"}
    assert len({one.family for one in summaries[:-7]}) == 6
