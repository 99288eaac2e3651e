"""Claims while the store is out of order, and owners that are alive but silent."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import sqlite3
import threading
import time

import pytest
from pymongo.errors import AutoReconnect

from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.heartbeats import BEATS_BEFORE_STALE

STEP = "5" * 64


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as opened:
        yield opened


class OutOfOrder:
    """A collection that cannot be reached for a while."""

    def __init__(self, collection, error):
        self._collection, self._error = collection, error
        self.n_refused, self.refuses = 0, False

    def __getattr__(self, name):
        if self.refuses:
            self.n_refused += 1
            raise self._error
        return getattr(self._collection, name)


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("database is locked"), AutoReconnect("connection closed")]
)
def test_heartbeats_go_on_after_errors_of_the_store(store, error, caplog):
    claims, owner = (
        Claims(store.claims, stale_after_s=0.3),
        dataclasses.replace(Owner.here(), host="far#"),
    )
    claims._collection = trouble = OutOfOrder(claims._collection, error)
    with claims.held(STEP, owner) as mine:
        assert mine
        trouble.refuses = True
        deadline = time.monotonic() + 20
        while trouble.n_refused < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        trouble.refuses = False
        last = claims.holder(STEP).heartbeat_at
        while claims.holder(STEP).heartbeat_at <= last:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert str(error) in caplog.text


def test_a_living_process_of_this_host_keeps_its_claim_however_silent(store):
    claims = Claims(store.claims)
    assert claims.acquire(STEP, Owner.here())
    record = next(store.claims.query({"_id": STEP}))
    record["heartbeat_at"] -= dt.timedelta(days=3)
    store.claims.update(record, key="_id")
    assert not claims.acquire(STEP, Owner.here())
    assert list(claims.live()) == [STEP]


def test_a_beat_that_failed_comes_again_long_before_the_next_one(store):
    claims, owner = Claims(store.claims, stale_after_s=40), Owner.here()
    claims._collection = trouble = OutOfOrder(claims._collection, AutoReconnect("away"))
    interval_s = 40 / BEATS_BEFORE_STALE
    with claims.held(STEP, owner):
        trouble.refuses = True
        deadline = time.monotonic() + 60
        beats = []
        while len(beats) < 4:
            assert time.monotonic() < deadline
            if trouble.n_refused > len(beats):
                beats.append(time.monotonic())
            time.sleep(0.01)
        trouble.refuses = False
    assert beats[-1] - beats[0] < 3 * interval_s


class Heard(Claims):
    """Claims that note when they are asked to beat."""

    def __init__(self, store, stale_after_s):
        super().__init__(store, stale_after_s)
        self.beats = []

    def heartbeat(self, identity, owner):
        self.beats.append(time.monotonic())
        super().heartbeat(identity, owner)

    def pauses(self):
        return [after - before for before, after in itertools.pairwise(self.beats)]


def test_only_the_beat_that_failed_comes_again_and_less_and_less_often(store, caplog):
    interval_s = 2.0
    well, ill = (Heard(store.claims, BEATS_BEFORE_STALE * interval_s) for _ in range(2))
    owner, trouble = Owner.here(), OutOfOrder(ill._collection, AutoReconnect("away"))
    ill._collection = trouble
    with well.held(STEP, owner), ill.held("6" * 64, owner):
        trouble.refuses = True
        deadline = time.monotonic() + 60
        while len(ill.beats) < 6:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        trouble.refuses = False
        assert min(well.pauses()) > 0.9 * interval_s
        least = (0.45, 0.9, 1.8, 1.8, 1.8)
        assert all(pause > one for pause, one in zip(ill.pauses(), least, strict=True))
        assert caplog.text.count("no heartbeat: away") == 1
        n = len(ill.beats)
        while len(ill.beats) < n + 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert ill.holder("6" * 64).heartbeat_at > ill.holder("6" * 64).claimed_at
        trouble.refuses = True  # it is soon again once more
        n = len(ill.beats)
        while len(ill.beats) < n + 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        trouble.refuses = False
    assert caplog.text.count("no heartbeat: away") == 2


def put_down(store, seconds):
    """Let a claim's owner be silent, and the first look at that as long ago."""
    record = next(store.claims.query({"_id": STEP}))
    changes = {"heartbeat_at": dt.timedelta(hours=1), "doubted_at": dt.timedelta(seconds=seconds)}
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    store.claims.update(record | {k: now - v for k, v in changes.items()}, key="_id")


@pytest.mark.parametrize("look", ["acquire", "abandoned"])
def test_a_server_that_comes_and_goes_takes_no_step_from_the_living(store, look):
    """The second look, too, comes as the server is just back, and before any beat."""
    claims, away = Claims(store.claims), dataclasses.replace(Owner.here(), host="far#")
    assert claims.acquire(STEP, away)
    put_down(store, 3600)
    beat = threading.Timer(1.0, claims.heartbeat, (STEP, away))
    beat.start()
    found = claims.acquire(STEP, Owner.here()) if look == "acquire" else claims.abandoned([STEP])
    beat.join()
    assert not found
    assert claims.holder(STEP).owner == away
    assert list(claims.live([STEP])) == [STEP]
