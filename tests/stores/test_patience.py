"""A MongoDB that is gone for a while: what is written waits for it, and not for ever."""

from __future__ import annotations

import threading
import time

import pytest
from cluster import MongoServer
from pymongo.collection import Collection
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    CursorNotFound,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from haloflow.errors import StoreTimeoutError
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.mongodb import persistently

STEP = "7" * 64
GOING_DOWN = OperationFailure("interrupted at shutdown", 11600)
PASSING = [
    AutoReconnect("connection closed"),
    CursorNotFound("cursor id 7 not found"),
    GOING_DOWN,
    BulkWriteError({"writeErrors": [{"code": 11600}]}),
]
LASTING = [
    OperationFailure("not authorized", 13),
    BulkWriteError({"writeErrors": [{"code": 11000}]}),
    ServerSelectionTimeoutError("the driver has waited already"),
]


@pytest.fixture
def server(tmp_path):
    made = MongoServer(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def test_what_is_written_meanwhile_is_there_once(server, tmp_path):
    with open_store(f"{server.uri}/db", files_dir=tmp_path / "files", patience_s=60) as store:
        store.outputs.update({"uuid": "before", "index": 1})
        server.kill()
        writers = [
            threading.Thread(target=store.outputs.update, args=({"uuid": f"{n}", "index": 1},))
            for n in range(4)
        ]
        for writer in writers:
            writer.start()
        time.sleep(0.5)
        assert all(writer.is_alive() for writer in writers)
        server.start()
        for writer in writers:
            writer.join(60)
        found = sorted(row["uuid"] for row in store.outputs.query({}, ["uuid"]))
        assert found == ["0", "1", "2", "3", "before"]


def test_it_is_waited_for_as_long_as_asked_and_then_told(server, tmp_path):
    place = f"{server.uri}/db"
    with open_store(place, files_dir=tmp_path / "files", patience_s=0.5) as store:
        server.kill()
        started = time.monotonic()
        with pytest.raises(ServerSelectionTimeoutError):
            store.outputs.update({"uuid": "u"})
        with pytest.raises(StoreTimeoutError, match="the MongoDB server cannot be used"):
            open_store(place, files_dir=tmp_path / "files", patience_s=0.5)
        assert 1.0 <= time.monotonic() - started < 30.0
    server.start()


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_may_pass_is_tried_again(error):
    errors = [error, error]

    def act():
        if errors:
            raise errors.pop()
        return "done"

    assert persistently(act, 30.0) == "done"


@pytest.mark.parametrize("error", [*PASSING, *LASTING], ids=repr)
def test_what_lasts_is_raised(error):
    calls = []

    def act():
        calls.append(time.monotonic())
        raise error

    with pytest.raises(type(error)):
        persistently(act, 0.3)
    assert (len(calls) == 1) == (error in LASTING)
    assert calls[-1] - calls[0] < 10.0


@pytest.mark.parametrize("method", ["insert_one", "replace_one"])
def test_a_claim_whose_answer_was_lost_is_mine(mongod_uri, tmp_path, monkeypatch, method):
    do, lost = getattr(Collection, method), []

    def lose_the_answer(self, *args, **kwargs):
        done = do(self, *args, **kwargs)
        if self.name == "claims" and not lost:
            lost.append(done)
            raise AutoReconnect("connection closed")
        return done

    with open_store(f"{mongod_uri}/patience-{method}", files_dir=tmp_path) as store:
        store.claims.remove_docs({})
        claims, mine = Claims(store.claims, stale_after_s=0.0), Owner.here()
        if method == "replace_one":  # of a claim that another host has left
            far = Owner("far#", 1, 0.0, "token")
            assert claims.acquire(STEP, far)
            time.sleep(0.01)
        monkeypatch.setattr(Collection, method, lose_the_answer)
        assert claims.acquire(STEP, mine)
        assert lost
        assert claims.holder(STEP).owner == mine
