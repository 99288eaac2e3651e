"""Worker processes that are killed, fail, or lose their manager."""

from __future__ import annotations

import os
import signal
import time

import pytest
from deed_maker import DeedMaker
from new_store import new_store_uri

from haloflow.stores.claims import Claims
from haloflow.stores.connection import open_store
from haloflow.stores.results import failures, finished, stored_output
from haloflow.workflows.cost import analysis_cost
from haloflow.workflows.pool import WorkerPool
from haloflow.workflows.steps import PlannedStep


@pytest.fixture
def marks(tmp_path):
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def planned(marks, *deeds, extra=0):
    maker = DeedMaker(deeds=deeds, marks=str(marks), extra=extra)
    identity = maker.identity({})
    return PlannedStep(f"deed-{extra}", maker, {}, {}, (), analysis_cost(), identity)


def outcomes(pool, count=1, limit_s=60.0):
    found, deadline = [], time.monotonic() + limit_s
    while len(found) < count:
        assert time.monotonic() < deadline, "no outcome in time"
        found += pool.wait(0.2)
    return found


store_uri = pytest.fixture(new_store_uri)


def test_a_worker_lives_on_through_failures_and_kills(store_uri, marks, tmp_path):
    """One pool for all, since a worker's start takes seconds."""
    folders = {name: tmp_path / name for name in ("fail", "break", "once", "twice", "good")}
    for folder in folders.values():
        folder.mkdir()
    with WorkerPool(1, store_uri) as pool:
        os.kill(pool._workers[0].process.pid, signal.SIGKILL)  # it dies idle
        pool._workers[0].process.join()

        def run(name, *deeds):
            step = planned(folders[name], *deeds)
            assert pool.idle
            pool.submit(step)
            assert pool.running == {step.identity}
            (outcome,) = outcomes(pool)
            assert not pool.busy
            assert outcome.identity == step.identity
            return step, outcome

        failed, outcome = run("fail", "fail")
        assert outcome.error == "the deed was bad. Given: 0. What to do: do better."
        broken, outcome = run("break", "break")
        assert outcome.error.startswith("KeyError: 'no such key' (in deed_maker.py:")
        once, outcome = run("once", "die", "ok")
        assert outcome.error == ""
        assert not outcome.interrupted
        twice, outcome = run("twice", "die", "die", "ok")
        assert outcome.error == ("its worker process died twice, by signal 9 (is memory short?)")
        good, outcome = run("good", "ok")
        assert (outcome.error, outcome.wall_s > 0) == ("", True)
    marks = [mark for folder in folders.values() for mark in folder.iterdir()]
    assert [len(list(folders[name].iterdir())) for name in folders] == [1, 1, 2, 2, 1]
    assert {mark.read_text() for mark in marks} == {"1"}  # threads, replaced workers' included
    with open_store(store_uri) as store:
        every = [step.identity for step in (failed, broken, once, twice, good)]
        assert finished(store, every) == {once.identity, good.identity}
        noted = failures(store, every)
        assert noted[failed.identity] == "the deed was bad. Given: 0. What to do: do better."
        assert noted[broken.identity] == "'no such key'"
        assert store.claims.count({"_id": {"$in": [good.identity, failed.identity]}}) == 0


def test_two_workers_do_a_step_once_and_end_without_a_retry(store_uri, marks, tmp_path):
    step, endless = planned(marks, "ok"), tmp_path / "endless"
    endless.mkdir()
    with WorkerPool(2, store_uri) as pool:
        pool.submit(step)
        pool.submit(step)
        assert [outcome.error for outcome in outcomes(pool, 2)] == ["", ""]
        pool.submit(planned(endless, "sleep"))
        while not list(endless.iterdir()):
            time.sleep(0.05)
        pool.terminate()
        pool.terminate()
        (outcome,) = outcomes(pool)
        assert outcome.interrupted
        assert not pool.busy
    assert (len(list(marks.iterdir())), len(list(endless.iterdir()))) == (1, 1)
    with open_store(store_uri) as store:
        assert stored_output(store, step.identity)["identity"] == step.identity
        assert store.outputs.count() == 1
        assert Claims(store.claims).live() == {}
