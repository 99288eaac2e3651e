"""A store of before columns: opened, upgraded once, whatever happens meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3

import many_candidates
import pytest

from haloflow.stores import sqlite
from haloflow.stores.columns import Columns
from haloflow.stores.connection import open_store
from haloflow.stores.facets import count_facets
from haloflow.stores.fields import get_field
from haloflow.stores.paging import find_page

N = 150


@pytest.fixture
def old(tmp_path):
    """Give a store of format 1."""
    with open_store(tmp_path) as store:
        many_candidates.fill(store, N)
    with sqlite3.connect(tmp_path / "haloflow.sqlite") as connection:
        for event in ("insert", "update", "delete"):
            connection.execute(f"DROP TRIGGER changes_by_{event}")
        for table in ("columns", "rows_of_summaries", "changes"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version=1")
    connection.close()
    assert tables(tmp_path) == {"documents", "entries", "indexes"}
    return tmp_path


def tables(folder):
    with sqlite3.connect(folder / "haloflow.sqlite") as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    return {name for (name,) in rows}


def answers(store):
    """Return what pages, counts and facets say."""
    criteria = {"phase": "glass", "energy_above_hull_ev_per_atom.value": {"$lte": 0.1}}
    page = find_page(store.summaries, criteria, sort=[(get_field("sigma"), True)], limit=20)
    facets = count_facets(store.summaries, criteria)
    return page, facets, store.summaries.count(criteria), list(store.candidates.query({}))


def version_of(folder):
    with sqlite3.connect(folder / "haloflow.sqlite") as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return version


def check_upgraded(folder, wanted):
    with open_store(folder, read_only=True) as store:
        assert answers(store) == wanted
        connection = store.summaries._collection.sqlite.connection()
        (n_rows,) = connection.execute("SELECT count(*) FROM rows_of_summaries").fetchone()
        assert n_rows == N
    assert version_of(folder) == 2


def test_an_old_store_answers_the_same_before_and_after(old):
    with open_store(old, read_only=True) as store:
        wanted = answers(store)
    assert version_of(old) == 1, "reading changes nothing"
    with open_store(old) as store:
        assert answers(store) == wanted
    check_upgraded(old, wanted)


def killed_in_the_middle(folder, at):
    written, plain = [], Columns.write

    def write(self, *args):
        written.append(1)
        if len(written) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        plain(self, *args)

    Columns.write = write
    open_store(folder)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("at", [1, N // 2, N])
def test_a_kill_in_the_middle_loses_nothing(old, at):
    with open_store(old, read_only=True) as store:
        wanted = answers(store)
    process = multiprocessing.get_context("fork").Process(
        target=killed_in_the_middle, args=(old, at)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with open_store(old, read_only=True) as store:
        assert answers(store) == wanted
    with open_store(old) as store:
        assert answers(store) == wanted
    check_upgraded(old, wanted)


def counting(folder, barrier, written):
    plain = Columns.write

    def write(self, *args):
        with written.get_lock():
            written.value += 1
        plain(self, *args)

    Columns.write = write
    barrier.wait()
    with open_store(folder) as store:
        assert store.summaries.count({"phase": {"$ne": "x"}}) == N


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_of_several_processes_one_upgrades(old):
    with open_store(old, read_only=True) as store:
        wanted = answers(store)
    context = multiprocessing.get_context("fork")
    barrier, written = context.Barrier(4), context.Value("i", 0)
    processes = [context.Process(target=counting, args=(old, barrier, written)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert written.value == N
    check_upgraded(old, wanted)


def test_what_a_newer_haloflow_wrote_meanwhile_is_not_taken_back(old):
    connection = sqlite3.connect(old / "haloflow.sqlite", isolation_level=None)
    connection.execute("PRAGMA user_version=99")
    assert sqlite._upgrade(connection) == 99
    assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    connection.close()
    assert tables(old) == {"documents", "entries", "indexes"}
