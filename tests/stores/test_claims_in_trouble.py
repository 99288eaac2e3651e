"""Claims while the store is out of order, and owners that are alive but silent."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sqlite3
import time

import pytest
from pymongo.errors import AutoReconnect

from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store

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
