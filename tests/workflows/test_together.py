"""Steps that one worker runs side by side."""

from __future__ import annotations

import os
import signal
import time

import pytest
from beside_maker import BesideMaker
from new_store import new_store_uri

from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.results import stored_outputs
from haloflow.workflows.cost import analysis_cost
from haloflow.workflows.pool import WorkerPool
from haloflow.workflows.steps import PlannedStep

LIMIT_S = 120.0


def planned(marks, seed, **settings):
    maker = BesideMaker(seed=seed, marks=str(marks), **settings)
    return PlannedStep(f"beside-{seed}", maker, {}, {}, (), analysis_cost(), maker.identity({}))


def outcomes(pool, count):
    found, deadline = {}, time.monotonic() + LIMIT_S
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {len(found)} outcomes in time"
        found |= {outcome.identity: outcome for outcome in pool.wait(0.2)}
    return found


store_uri = pytest.fixture(new_store_uri)


def test_steps_of_one_worker_have_documents_of_their_own(store_uri, tmp_path):
    first, second, longer, late = (
        planned(tmp_path, seed, n_steps=n) for seed, n in enumerate((20, 30, 3000, 40))
    )
    bad, taken = planned(tmp_path, 4, copper=True), planned(tmp_path, 5)
    other = Owner.here()
    with open_store(store_uri) as store, WorkerPool(2, store_uri) as pool:
        assert Claims(store.claims).acquire(taken.identity, other)
        pool.submit_together([first, second, longer, bad, taken])
        assert pool.n_together == 5
        assert pool.idle
        found = outcomes(pool, 4)
        assert pool.running == {longer.identity}, "it holds up nobody"
        pool.submit_together([late])
        assert pool.n_together == 2
        found |= outcomes(pool, 1)
        assert late.identity in found, "it joined and did not wait for the longer one"
        pool.terminate()
        found |= outcomes(pool, 1)
        assert found[longer.identity].interrupted
        assert "stopped by SIGTERM" in found[longer.identity].error
        assert "no parameters for Cu" in found[bad.identity].error
        assert found[taken.identity].is_elsewhere
        assert found[taken.identity].error.startswith("another process is at step ")
        documents = stored_outputs(store, [s.identity for s in (first, second, longer, late)])
        assert documents.keys() == {first.identity, second.identity, late.identity}
        notes = [document["note"].split(", ") for document in documents.values()]
        assert len({process for _together, process in notes}) == 1
        assert {together for together, _process in notes} == {"3 together"}


def test_a_worker_that_dies_goes_on_with_all_its_steps(store_uri, tmp_path):
    steps = [planned(tmp_path, 1, n_steps=60, dies_at=30), planned(tmp_path, 2, n_steps=60)]
    with open_store(store_uri) as store, WorkerPool(1, store_uri) as pool:
        pool.submit_together(steps)
        found = outcomes(pool, 2)
        assert {outcome.error for outcome in found.values()} == {""}
        documents = stored_outputs(store, [step.identity for step in steps])
        assert {d["provenance"]["n_resumes"] for d in documents.values()} == {1}


def test_a_worker_that_dies_whatever_it_does_says_so_of_each_step(store_uri, tmp_path):
    steps = [planned(tmp_path, seed, n_steps=10_000_000) for seed in (1, 2)]
    with WorkerPool(1, store_uri) as pool:
        pool.submit_together(steps)
        found, told = {}, []
        for _attempt in range(3):  # together, and each by itself
            process = pool._workers[0].process
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            found |= {outcome.identity: outcome for outcome in pool.wait(30.0)}
            told.append(len(found))
        assert told == [0, 1, 2]
        assert not pool.busy
        assert set(found) == {step.identity for step in steps}
        for outcome in found.values():
            assert outcome.error.startswith("its worker process died twice, by signal 9")


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_step_that_kills_its_worker_takes_no_other_with_it(store_uri, tmp_path, n_workers):
    steps = [planned(tmp_path, seed, n_steps=40) for seed in range(4)]
    deadly = planned(tmp_path, 4, n_steps=40, dies_at=20, is_mortal=True)
    with open_store(store_uri) as store, WorkerPool(n_workers, store_uri) as pool:
        pool.submit_together([*steps[:2], deadly, *steps[2:]])
        found = outcomes(pool, 5)
        assert not pool.busy
        error = found.pop(deadly.identity).error
        assert error == "its worker process died 3 times, by signal 9 (is memory short?)"
        assert {outcome.error for outcome in found.values()} == {""}
        done = stored_outputs(store, [step.identity for step in (*steps, deadly)])
        assert done.keys() == {step.identity for step in steps}


def test_what_waits_to_be_tried_apart_waits_no_more_when_all_is_to_stop(store_uri, tmp_path):
    steps = [planned(tmp_path, seed, n_steps=10_000_000) for seed in (1, 2)]
    with WorkerPool(1, store_uri) as pool:
        pool.submit_together(steps)
        os.kill(pool._workers[0].process.pid, signal.SIGKILL)
        assert pool.wait(30.0) == []
        assert len(pool.running) == 1
        pool.terminate()
        (outcome,) = outcomes(pool, 1).values()
        assert outcome.interrupted
        assert not pool.busy
