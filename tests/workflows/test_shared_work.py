"""Steps that another process is at: left to it, without waiting, until the walltime is over."""

from __future__ import annotations

import threading
import time

import pytest

from haloflow.settings import get_settings
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store

LIMIT_S = 60.0


class Started:
    """Observer that notes the order of steps and tells of one that was finished."""

    def __init__(self):
        self.names, self.finished_one = [], threading.Event()

    def planned(self, plan):
        self.n_steps = plan.n_steps

    def started(self, label):
        self.names.append(label.step_name)

    def progressed(self, label, progress):
        assert progress.done <= progress.total, label

    def finished(self, label, wall_s):
        assert wall_s > 0, label
        self.finished_one.set()

    def failed(self, label, message):
        pytest.fail(f"{label}: {message}")


def test_a_worker_takes_other_steps_instead_of_waiting(place, undisturbed):
    first = "melt_quench-seed1"
    identity, observer = place.steps[first].identity, Started()
    with open_store(place.store) as store:
        claims, other = Claims(store.claims), Owner.here()
        assert claims.acquire(identity, other)

        def release():
            observer.finished_one.wait(LIMIT_S)
            claims.release(identity, other)

        thread = threading.Thread(target=release)
        thread.start()
        report = place.run(workers=1, observer=observer)
        thread.join()
    assert report.failures == []
    assert report.n_done == len(place.steps) == len(observer.names)
    assert observer.names.index(first) > 0
    assert place.outputs().keys() == undisturbed.outputs().keys()


@pytest.fixture
def _over_time(monkeypatch):
    monkeypatch.setenv("HALOFLOW_WALLTIME_S", "0.001")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.usefixtures("_over_time")
def test_the_walltime_ends_the_wait_for_others(place):
    with open_store(place.store) as store:
        claims, other = Claims(store.claims), Owner.here()
        for step in place.steps.values():
            assert claims.acquire(step.identity, other)
        started = time.monotonic()
        report = place.run(workers=1)
        assert (report.interrupted, report.n_done, report.failures) == (True, 0, [])
        assert time.monotonic() - started < LIMIT_S
