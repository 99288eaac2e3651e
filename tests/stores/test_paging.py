"""Pages of the embedded store against those of a real MongoDB server, row by row."""

from __future__ import annotations

import datetime as dt
import math
import random
import re
import time

import many_candidates
import pytest
from bson import Decimal128, ObjectId

from haloflow.errors import InputError
from haloflow.stores import selection
from haloflow.stores.connection import open_store
from haloflow.stores.embedded import SqliteStore
from haloflow.stores.fields import FIELDS, Field, get_field
from haloflow.stores.mongodb import MongoDBStore
from haloflow.stores.paging import find_page
from haloflow.stores.shaping import value_of

COLUMNS = {"a": "scalar", "b.x": "scalar", "tags": "list", "v.*": "pattern", "key": "scalar"}
PATHS = ("a", "b.x", "v.one", "v.two", "v.never")
N_FILLED = 64
TAGS = ("p", "q", "r\u00e9", "p q")


def any_scalar(rng):
    kinds = [
        *(
            None,
            rng.randrange(-2, 4),
            rng.choice([0.5, 1.0, -0.0, -1.5, math.inf, -math.inf, 2**53]),
        ),
        *(rng.choice(["", "a", "b", "ab", "\u00e9", "Na", "z" * 300]), rng.random() < 0.5),
        *(dt.datetime(2026, 1, rng.randrange(1, 4), 12), ObjectId(f"{rng.randrange(3):024x}")),
    ]
    return rng.choice(kinds)


def any_odd_value(rng):
    return rng.choice(
        [math.nan, "long" * 200, "n\0l", {"x": 1}, {}, b"x", Decimal128("1"), [1, "a"], [{"x": 2}]]
    )


def any_document(rng, number, *, odd):
    document = {"key": f"k{rng.randrange(10**6):06}-{number}"}
    for path in ("a", "b.x", "v.one", "v.two"):
        if rng.random() < 0.8:
            top, _, below = path.partition(".")
            value = any_scalar(rng)
            if below:
                document.setdefault(top, {})[below] = value
            else:
                document[top] = value
    if rng.random() < 0.7:
        document["tags"] = rng.sample(TAGS, rng.randrange(4))
    if odd and rng.random() < 0.15:
        document[rng.choice(["a", "b", "v", "tags"])] = any_odd_value(rng)
    return document


def any_test(rng):
    one, two = any_scalar(rng), rng.choice([any_scalar(rng), any_odd_value(rng)])
    tests = [
        *(one, two, {"$eq": one}, {"$ne": one}, {"$ne": None}, {"$in": [one, two, None]}),
        *(
            {"$in": [one]},
            {"$nin": [one, two]},
            {"$not": {"$gt": 1}},
            {"$exists": rng.random() < 0.5},
        ),
        *({sign: rng.choice([one, two])} for sign in ("$gt", "$gte", "$lt", "$lte")),
        *({"$gte": -1, "$lt": 2.5}, {"$regex": "^[aN]"}, {"$regex": "NA", "$options": "i"}),
        *({"$type": "number"}, {"$all": [one]}, {"$in": [re.compile("b$"), 1]}, {"$in": []}),
        *({"$not": re.compile("a")}, {"$size": 1}, re.compile("a")),
    ]
    return rng.choice(tests)


def any_tag_test(rng):
    some = rng.sample(TAGS, rng.randrange(1, 3))
    tests = [
        *(some[0], {"$in": some}, {"$all": some}, {"$nin": some}, {"$ne": some[0]}, None, some),
        *(
            {"$in": [None, some[0]]},
            {"$size": 1},
            {"$regex": "^p"},
            {"$exists": True},
            {"$all": []},
        ),
        *({"$gt": "p"}, {"$not": {"$all": some}}, {"$elemMatch": {"$gt": "p"}}, "\x1f", "", 3),
    ]
    return rng.choice(tests)


def any_filter(rng, depth=2):
    kind = rng.randrange(7)
    if depth and kind < 3:
        parts = [any_filter(rng, depth - 1) for _ in range(rng.randrange(1, 3))]
        return {("$or", "$and", "$nor")[kind]: parts}
    if kind == 3:
        return {"tags": any_tag_test(rng)}
    return {rng.choice(PATHS): any_test(rng)}


def field_of(path, *, is_list=False):
    return Field(path, path, "list" if is_list else "text", path, "of a test")


def any_sort(rng, paths):
    names = rng.sample(paths, rng.randrange(min(3, len(paths) + 1)))
    return [(field_of(n, is_list=n == "tags"), rng.random() < 0.5) for n in names]


@pytest.fixture
def stores(mongod_uri, tmp_path):
    uri, database = f"{mongod_uri}/x", f"paging{time.time_ns()}"
    with (
        MongoDBStore(uri, "documents", database, key="key") as server,
        SqliteStore(tmp_path, "documents", key="key") as file,
    ):
        file._collection.create_columns(COLUMNS)
        yield server, file
        server._collection.database.client.drop_database(database)


@pytest.mark.parametrize("seed", range(4))
def test_pages_are_those_of_mongodb(stores, seed):
    rng = random.Random(seed)
    odd = seed % 2 == 1
    documents = [any_document(rng, n, odd=odd) for n in range(120)]
    for store in stores:
        store.update(documents[:80])
        store.remove_docs({"key": {"$in": [one["key"] for one in documents[:10]]}})
        store.update([{**one, "a": number % 7} for number, one in enumerate(documents[60:])])
    paths = ["a", "b.x", "v.one", "v.never", "tags"] if not odd else ["v.never"]
    for _ in range(150):
        criteria, sort = any_filter(rng), any_sort(rng, paths)
        skip, limit = rng.choice([0, 0, 3, 50]), rng.choice([0, 1, 7, 40])
        asked = {"sort": sort, "skip": skip, "limit": limit, "properties": ["a"]}
        pages = [find_page(store, criteria, **asked) for store in stores]
        shown = [[(row["key"], repr(row.get("a"))) for row in page.rows] for page in pages]
        assert pages[0].total == pages[1].total, criteria
        assert shown[0] == shown[1], (criteria, asked)


def test_columns_change_no_answer(tmp_path):
    """With irregular documents and with ones written before the columns were made."""
    rng = random.Random(7)
    documents = [any_document(rng, n, odd=True) for n in range(150)]
    with (
        SqliteStore(tmp_path, "plain", key="key") as plain,
        SqliteStore(tmp_path, "quick", key="key") as quick,
    ):
        for store in (plain, quick):
            store.update(documents[:50])
        quick._collection.create_columns(COLUMNS)
        for store in (plain, quick):
            store.update(documents[50:])
            store.update([{**one, "a": n} for n, one in enumerate(documents[::9])])
        for _ in range(150):
            criteria = any_filter(rng)
            sort = any_sort(rng, ["a", "b.x", "v.one", "v.two", "tags"])
            pages = [find_page(s, criteria, sort=sort, skip=4, limit=30) for s in (plain, quick)]
            keys = [[row["key"] for row in page.rows] for page in pages]
            assert (
                pages[0].total == pages[1].total == plain.count(criteria) == quick.count(criteria)
            )
            assert keys[0] == keys[1], (criteria, sort)


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def filled(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled")
    uri = str(folder / "store")
    if request.param == "mongodb":
        uri = f"{request.getfixturevalue('mongod_uri')}/paging{time.time_ns()}"
    with open_store(uri, files_dir=folder / "files") as store:
        many_candidates.fill(store, N_FILLED, n_hostile=8)
        yield store.summaries


def test_every_field_sorts_with_the_unknown_last(filled):
    for name in [*FIELDS, "var.x", "d_600K", "d_600K_status", "d_999K"]:
        check_order(filled, get_field(name))


def check_order(filled, field):
    for down in (False, True):
        page = find_page(filled, sort=[(field, down)], properties=[field.path])
        assert page.total == len(page.rows) == N_FILLED
        values = [value_of(row, field.path) for row in page.rows]
        if field.type == "list":
            values = [(max if down else min)(value, default=None) for value in values]
        known = [value for value in values if value is not None and type(value) is not object]
        known = [one for one in known if isinstance(one, (int, float, str, dt.datetime))]
        assert known == values[: len(known)]
        assert known == sorted(known, reverse=down)
        part = find_page(
            filled, sort=[(field, down)], skip=N_FILLED - 10, limit=20, properties=["label"]
        )
        assert [row["candidate_id"] for row in part.rows] == [
            row["candidate_id"] for row in page.rows[-10:]
        ]
        assert part.rows[0].keys() == {"_id", "candidate_id", "label"}


def test_ties_are_in_the_order_of_ids(filled):
    page = find_page(filled, {"phase": "glass"}, sort=[(get_field("phase"), True)])
    ids = [row["candidate_id"] for row in page.rows]
    assert ids == sorted(ids)
    down = find_page(filled, {}, sort=[(get_field("id"), True)], limit=3).rows
    everything = sorted(row["candidate_id"] for row in filled.query({}))
    assert [row["candidate_id"] for row in down] == everything[:-4:-1]


def test_negative_numbers_of_rows_are_refused(filled):
    with pytest.raises(InputError) as caught:
        find_page(filled, skip=-1)
    assert str(caught.value) == "a skip cannot be negative. Given: -1. Allowed: 0 or more."


def test_sqlite_itself_filters_sorts_and_counts(tmp_path, monkeypatch):
    """No document is read but those of the page, whatever the web asks for."""
    read = []

    def counted(connection, seqs, plain=selection.documents_of):
        read.extend(seqs)
        return plain(connection, seqs)

    with open_store(tmp_path) as store:
        many_candidates.fill(store, 300)
        monkeypatch.setattr(selection, "documents_of", counted)
        for criteria in (
            {"energy_above_hull_ev_per_atom.value": {"$gte": 0.0, "$lte": 0.1}, "phase": "glass"},
            {"$or": [{"label": {"$regex": "ta", "$options": "i"}}, {"formula": {"$regex": "x"}}]},
            {"elements": {"$all": ["Na", "Ta"], "$nin": ["S"]}, "sweeps": "synthetic-all"},
            {"sigma_300k_ms_cm.value": {"$ne": None}, "sigma_300k_ms_cm.status": {"$in": ["ok"]}},
            {"$or": [{"levels.hull": "chgnet-r2scan"}, {"levels.other": "x"}], "melted": True},
            {"variables.x": {"$gte": 0.2, "$lte": 1.8}, "family": {"$nin": ["namocl4"]}},
        ):
            for name in ("sigma", "var.x", "updated", "sweep", "e_hull_status"):
                read.clear()
                sort = [(get_field(name), True), (get_field("e_hull"), False)]
                page = find_page(store.summaries, criteria, sort=sort, limit=5)
                assert len(read) == 5 <= page.total < 300, criteria
