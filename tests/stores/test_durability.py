"""Kills and races on the embedded store, with real processes."""

from __future__ import annotations

import multiprocessing
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from haloflow.errors import StoreError
from haloflow.stores import sqlite
from haloflow.stores.embedded import DATABASE_FILE, SqliteStore

WRITE = """
import sys
from haloflow.stores.embedded import SqliteStore
folder, name, count = sys.argv[1:]
with SqliteStore(folder, "documents", key="uuid") as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(int(count)):
        pair = [{"uuid": f"{name}-{n}-{half}", "n": n, "who": name} for half in (0, 1)]
        store.update([*pair, {"uuid": "shared", "n": n, "who": name}])
        print(n, flush=True)
"""


def start(folder, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, str(folder), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def let_go(writer):
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("go\n")
    writer.stdin.flush()


@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_survives_sigkill(tmp_path, seed):
    wait = random.Random(seed).uniform(0.02, 0.2)
    with start(tmp_path, "w", 100_000) as writer:
        let_go(writer)
        acknowledged = [int(writer.stdout.readline())]
        time.sleep(wait)
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
    with SqliteStore(tmp_path, "documents", key="uuid") as store:
        kept = {document["uuid"] for document in store.query({"who": "w"})}
        assert {f"w-{n}-{half}" for n in acknowledged for half in (0, 1)} <= kept
        halves = [name.rpartition("-") for name in kept - {"shared"}]
        assert {first for first, _, half in halves if half == "0"} == {
            first for first, _, half in halves if half == "1"
        }, "a killed update was stored in part"
        store.update({"uuid": "after"})
        with store._collection.sqlite.reading() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert not connection.execute(
                "SELECT 1 FROM entries WHERE seq NOT IN (SELECT seq FROM documents)"
            ).fetchall()


def test_writers_at_once_lose_nothing_and_make_no_doubles(tmp_path):
    writers = [start(tmp_path, f"w{k}", 60) for k in range(4)]
    for writer in writers:
        let_go(writer)
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with SqliteStore(tmp_path, "documents", key="uuid") as store:
        assert store.count({}) == 4 * 60 * 2 + 1
        assert len(store.distinct("uuid")) == 4 * 60 * 2 + 1
        assert store.count({"uuid": "shared"}) == 1


def make(folder, barrier, name):
    barrier.wait()
    with SqliteStore(folder, "documents", key="uuid") as store:
        store.update({"uuid": name})


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_many_processes_may_make_the_store_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    for round_ in range(5):
        folder, barrier = tmp_path / str(round_), context.Barrier(8)
        makers = [context.Process(target=make, args=(folder, barrier, f"{k}")) for k in range(8)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join(60)
            assert maker.exitcode == 0
        with SqliteStore(folder, "documents", key="uuid") as store:
            assert store.count() == 8


def test_a_failing_write_takes_its_transaction_back(tmp_path):
    with SqliteStore(tmp_path, "documents", key="uuid") as store:
        store.update({"uuid": "u", "v": 1})
        database = store._collection.sqlite

        def fail():
            with database.writing() as connection:
                connection.execute("DELETE FROM documents")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert store.query_one({"uuid": "u"})["v"] == 1


def test_a_store_locked_for_too_long_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
    with SqliteStore(tmp_path, "documents", key="uuid") as store:
        store.update({"uuid": "u"})
        other = sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert store.count() == 1  # readers do not wait for writers
        with pytest.raises(StoreError, match="cannot be used: database is locked"):
            store.update({"uuid": "v"})
        other.execute("ROLLBACK")
        other.close()
        store.update({"uuid": "v"})


def test_a_file_of_a_newer_format_is_refused(tmp_path):
    with SqliteStore(tmp_path, "documents", key="uuid") as store:
        store.update({"uuid": "u"})
    with sqlite3.connect(tmp_path / DATABASE_FILE) as other:
        other.execute("PRAGMA user_version=99")
    other.close()
    with SqliteStore(tmp_path, "documents") as store, pytest.raises(StoreError) as caught:
        store.count()
    assert str(caught.value) == (
        f"the embedded store was written by a newer haloflow. Given: format 99 of {tmp_path}/"
        f"{DATABASE_FILE}. Allowed: format 2. What to do: upgrade haloflow: pip install -U "
        "haloflow."
    )


def test_every_write_is_synchronized_with_the_disk(tmp_path):
    with SqliteStore(tmp_path, "documents") as store:
        connection = store._collection.sqlite.connection()
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert list(tmp_path.iterdir()) == [tmp_path / DATABASE_FILE], "the log is folded in"
