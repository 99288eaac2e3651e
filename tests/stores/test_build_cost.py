"""What one new document costs the builder, in what it reads, among few and many candidates."""

from __future__ import annotations

import time

import bson
import many_candidates
import pytest
from pymongo import MongoClient
from small_candidates import compute, put

from haloflow.stores import selection
from haloflow.stores.builders import SummaryBuilder
from haloflow.stores.claims import Claims, Owner
from haloflow.stores.connection import open_store
from haloflow.stores.results import forget, record_failure

FEW, MANY = 100, 1000
FAILED = 8
CHANGES = {
    "nothing": lambda _: None,
    "a document": lambda store: compute(store, "new"),
    "a document in its place": lambda store: compute(store, "new", note="again"),
    "a document gone": lambda store: forget(store, ["new"]),
    "a failure": lambda store: record_failure(store, "new", "static", "no memory"),
    "a candidate": lambda store: put(store, "one more", ["new"]),
    "a claim": lambda store: Claims(store.claims).acquire("new", Owner.here()),
}


def filled(store, n):
    """Put `n` candidates into `store`, of which some have failed, and bring all up to date."""
    many_candidates.fill(store, n)
    for number in range(n // FAILED):
        step = many_candidates.step_names("crystal")[0]
        record_failure(store, many_candidates.identity_of(number, step), step, "no memory")
    put(store, "first", ["new"])
    SummaryBuilder.of(store).changes.settle_all()
    SummaryBuilder.of(store, ["first"]).run()


def costs(store, measured):
    """Return what an update costs after each of the changes."""
    found = {}
    for name, change in CHANGES.items():
        change(store)
        found[name] = measured(SummaryBuilder.of(store).run)
    assert store.summaries.query_one({"candidate_id": "first"})["steps"][0]["state"] == "running"
    return found


def test_the_embedded_store_reads_as_much_among_many_as_among_few(tmp_path, monkeypatch):
    decoded, plain = [], bson.decode

    def decode(body):
        decoded.append(1)
        return plain(body)

    for module in ("collection", "selection"):
        monkeypatch.setattr(f"haloflow.stores.{module}.bson.decode", decode)

    def measured(update):
        steps = []
        connection = store.candidates._collection.sqlite.connection()
        connection.set_progress_handler(lambda: steps.append(1), 1)
        decoded.clear()
        update()
        connection.set_progress_handler(None, 1)
        return len(decoded), len(steps)

    found = []
    for n in (FEW, MANY):
        with open_store(tmp_path / str(n)) as store:
            filled(store, n)
            found.append(costs(store, measured))
    for name in CHANGES:
        (n_few, steps_few), (n_many, steps_many) = (one[name] for one in found)
        assert n_few == n_many < 20, name
        assert steps_few == pytest.approx(steps_many, rel=0.02, abs=20), name
    assert selection.bson is bson


def test_a_server_looks_at_as_much_among_many_as_among_few(mongod_uri, tmp_path):
    found = []
    with MongoClient(mongod_uri) as client:

        def looked_at():
            metrics = client.admin.command("serverStatus")["metrics"]
            scanned = metrics["queryExecutor"]
            return int(scanned["scanned"]), int(scanned["scannedObjects"])

        def measured(update):
            before = looked_at()
            update()
            return tuple(b - a for a, b in zip(before, looked_at(), strict=True))

        for n in (FEW, MANY):
            place = f"{mongod_uri}/cost{n}at{time.time_ns()}"
            with open_store(place, files_dir=tmp_path / "files") as store:
                filled(store, n)
                found.append(costs(store, measured))
    for name in CHANGES:
        (keys_few, few), (keys_many, many) = (one[name] for one in found)
        assert few == many < 20, name
        assert keys_few == pytest.approx(keys_many, abs=10), name
        assert keys_many < 60, name
