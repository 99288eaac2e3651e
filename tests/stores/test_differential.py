"""The embedded store against a real MongoDB, and mongomock: the same answers.

MongoDB is the judge for anything that can be asked; mongomock (maggma's MemoryStore) takes
part where it is known to follow MongoDB.
"""

from __future__ import annotations

import datetime as dt
import math
import random
import re

import pytest
from bson import ObjectId
from maggma.stores import MemoryStore, MongoStore
from pymongo.errors import PyMongoError

from haloflow.errors import StoreError
from haloflow.stores.embedded import SqliteStore
from haloflow.stores.ordering import order

NAN, INF = math.nan, math.inf
PATHS = (
    *("_id", "a", "b", "c", "a.x", "b.y", "c.0", "c.0.x", "d.z.x", "n", "missing"),
    *("output.e", "output.tags", "output.rows.x", "output.rows.y", "output.rows.0.x"),
)
INDEXED = ("uuid", "n", "a", "b", "c.0", "d.z.x", "output.e", "output.rows.x", "output.rows.y")


def any_value(rng, depth=2):
    kind = rng.randrange(14 if depth else 11)
    if kind < 3:
        return rng.randrange(-2, 5)
    if kind < 5:
        return rng.choice([0.5, 1.0, 2.0, -1.5, 3.0])
    if kind < 7:
        return rng.choice(["a", "b", "ab", "NaTaOCl4", "", "x" * 600, True, False])
    if kind < 9:
        return rng.choice([None, NAN, INF, -INF])
    if kind < 10:
        micros = rng.choice([0, 123456])
        return dt.datetime(2026, 1, rng.randrange(1, 5), 12, 0, 0, micros)
    if kind < 11:
        return rng.choice([b"x", b"yz", ObjectId("0" * 24)])
    if kind < 12:
        return [any_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind < 13:
        keys = rng.sample(["x", "y", "z"], rng.randrange(3))
        return {key: any_value(rng, depth - 1) for key in keys}
    return [
        {key: any_value(rng, 0) for key in rng.sample(["x", "y", "z"], 2)}
        for _ in range(rng.randrange(3))
    ]


def any_document(rng, number):
    document = {"uuid": f"u{number}", "index": rng.randrange(3), "n": number}
    document |= {key: any_value(rng) for key in "abcd" if rng.random() < 0.8}
    if rng.random() < 0.9:
        rows = [
            {"x": rng.randrange(4), "y": rng.choice(["a", "b", None])}
            for _ in range(rng.randrange(3))
        ]
        tags = rng.sample(["p", "q", "r"], rng.randrange(3))
        document["output"] = {"e": rng.choice([None, 0.1, 0.2, NAN, 1]), "tags": tags, "rows": rows}
    return document


def any_condition(rng):
    values = [any_value(rng, 1) for _ in range(rng.randrange(1, 4))]
    bound_id = rng.randrange(80)
    bound = rng.choice([0, 1, 0.1, 2.5, "a", dt.datetime(2026, 1, 2), True, None, NAN])
    return rng.choice(
        [
            *(values[0], values[0], {"$eq": values[0]}, {"$ne": values[0]}),
            *({"$in": values}, {"$nin": values}, {"$all": values[:2]}),
            *({operator: bound} for operator in ("$gt", "$gte", "$lt", "$lte")),
            *({"$gte": ObjectId(f"{bound_id:024x}")}, {"$lt": ObjectId(f"{bound_id:024x}")}),
            *({"$gte": 0, "$lt": 3}, {"$not": {"$gt": 1}}, {"$not": re.compile("a")}),
            *({"$exists": True}, {"$exists": False}, {"$size": rng.randrange(3)}),
            {"$regex": rng.choice(["^a", "b", "Ta.*4$"])},
            {"$regex": "^natao", "$options": "i"},
            {"$in": [re.compile("^a"), None]},
            {"$type": rng.choice(["double", "string", "array", "null", "bool", "number"])},
            {"$elemMatch": {"x": {"$gte": rng.randrange(4)}, "y": rng.choice(["a", None])}},
            {"$elemMatch": {"$gt": 0, "$lt": 3}},
        ]
    )


def any_filter(rng, depth=2):
    kind = rng.randrange(8)
    if depth and kind < 3:
        return {("$or", "$and", "$nor")[kind]: [any_filter(rng, depth - 1) for _ in range(2)]}
    found = {rng.choice(PATHS): any_condition(rng)}
    if rng.random() < 0.3:
        found[rng.choice(PATHS)] = any_condition(rng)
    return found


def any_projection(rng):
    keep = rng.choice([0, 1])
    paths = rng.sample([*PATHS, "uuid", "output", "output.rows"], rng.randrange(1, 4))
    projection = dict.fromkeys(paths, keep)
    if keep:
        projection["n"] = 1
    if rng.random() < 0.4:
        projection["_id"] = rng.choice([0, 1])
    return projection


def shown(value):
    """Make answers comparable: NaN equals NaN, an _id that the store chose is one like another."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, dict):
        items = sorted(value.items())
        return {key: "id" if key == "_id" else shown(item) for key, item in items}
    return [shown(item) for item in value] if isinstance(value, list) else value


def answer(ask):
    try:
        return ask()
    except (PyMongoError, StoreError, ValueError):  # an answer that is compared
        return "refused"


def unordered(documents):
    return sorted(repr(shown(document)) for document in documents)


def assert_same(stores, ask, question):
    first, *others = [(store, answer(lambda store=store: ask(store))) for store in stores]
    for store, found in others:
        assert found == first[1], f"{store.name} and {first[0].name} differ on {question}"


@pytest.fixture
def mongo(mongod_uri):
    store = MongoStore.from_uri(mongod_uri, "documents", database=f"t{ObjectId()}", key="uuid")
    store.connect()
    yield store
    store._collection.database.client.drop_database(store.database)
    store.close()


@pytest.fixture
def embedded(tmp_path):
    with SqliteStore(tmp_path, "documents", key="uuid") as store:
        yield store


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_the_answer_is_mongodbs(mongo, embedded, seed):
    rng = random.Random(seed)
    stores = [mongo, embedded]
    for field in INDEXED[:: 1 + seed % 2]:
        embedded.ensure_index(field)
    documents = [{**any_document(rng, n), "_id": ObjectId(f"{n:024x}")} for n in range(80)]
    for store in stores:
        store.update(documents)
    for round_ in range(120):
        ask_all(stores, rng)
        if round_ % 8 == 0:
            document = {**any_document(rng, rng.randrange(120)), "n": 1000 + round_}
            assert_same(stores, lambda s, d=document: s.update(d, key=["uuid", "index"]), document)
        if round_ % 30 == 29:
            criteria = {rng.choice(PATHS[:11]): any_condition(rng)}
            assert_same(stores, lambda s, c=criteria: s.remove_docs(c), criteria)
    assert_same(stores, lambda store: unordered(store.query({})), "everything")


def ask_all(stores, rng):
    criteria, projection, path = any_filter(rng), any_projection(rng), rng.choice(PATHS[1:])
    assert_same(stores, lambda store: store.count(criteria), criteria)
    assert_same(stores, lambda store: unordered(store.query(criteria)), criteria)
    assert_same(stores, lambda store: unordered(store.query({}, projection)), projection)
    sort, skip, limit = {path: rng.choice([1, -1]), "n": 1}, rng.randrange(5), rng.randrange(10)
    assert_same(
        stores,
        lambda store: [
            document["n"] for document in store.query({}, ["n"], sort=sort, skip=skip, limit=limit)
        ],
        (sort, skip, limit),
    )
    assert_same(
        stores, lambda store: sorted(map(order, store.distinct(path, criteria))), (path, criteria)
    )
    keys = rng.sample(["a", "b", "output.e", "output.rows.x", "index", "missing"], 2)
    keys = keys[: rng.randrange(1, 3)]
    fields = rng.choice([None, ["n", "output.tags"]])
    assert_same(
        stores,
        lambda store: sorted(
            (repr(shown(key)), unordered(group))
            for key, group in store.groupby(keys, criteria, fields)
        ),
        (keys, criteria, fields),
    )


PLAIN_DOCUMENTS = [
    {
        "uuid": f"u{n}",
        "index": n % 3,
        "n": n,
        "formula": ("NaTaOCl4", "Na2ZrCl6", "NaNbOCl4")[n % 3],
        "output": {
            "e": n / 100 if n % 7 else None,
            "tags": ["glass", "ok"][: n % 3],
            "points": [{"t": 600 + 100 * k, "d": n * k / 10} for k in range(n % 4)],
        },
        "made": dt.datetime(2026, 1, 1 + n % 28, 6, 30, 15, 123456),
        **({"rare": {"deep": {"x": n}}} if n % 5 == 0 else {}),
    }
    for n in range(60)
]
PLAIN_FILTERS = [
    *({}, {"formula": "NaTaOCl4"}, {"output.e": {"$lte": 0.2}}, {"output.e": None}),
    *({"output.tags": "glass"}, {"output.tags": {"$all": ["glass", "ok"]}}, {"n": {"$gte": 30}}),
    *({"formula": {"$regex": "^Na.*Cl4$"}}, {"formula": {"$in": ["Na2ZrCl6", "x"]}}),
    *({"rare": {"$exists": True}}, {"rare.deep.x": {"$gt": 20, "$lt": 50}}, {"index": {"$ne": 1}}),
    {"output.points": {"$elemMatch": {"t": 700, "d": {"$gt": 3}}}},
    {"output.points.d": {"$gt": 9}},
    {"output.points": {"$size": 2}},
    {"made": {"$gte": dt.datetime(2026, 1, 10), "$lt": dt.datetime(2026, 1, 20)}},
    {"$or": [{"n": {"$lt": 3}}, {"formula": "NaNbOCl4", "index": 2}]},
    {"$and": [{"n": {"$nin": [1, 2, 3]}}, {"$nor": [{"index": 0}, {"output.e": {"$gt": 0.3}}]}]},
]
PLAIN_PROJECTIONS = [
    *(["uuid"], ["output.e", "formula"], {"output.points.d": 1, "_id": 0}, {"output": 0}),
    {"output.points": 0, "made": 0, "_id": 0},
]


def test_mongomock_too_agrees_on_ordinary_questions(mongo, embedded):
    memory = MemoryStore(key="uuid")
    memory.connect()
    stores = [mongo, embedded, memory]
    for store in stores:
        store.update(PLAIN_DOCUMENTS[:40])
        store.update(PLAIN_DOCUMENTS, key=["uuid", "index"])
        store.remove_docs({"n": {"$in": [7, 8, 9]}})
    for criteria in PLAIN_FILTERS:
        assert_same(stores, lambda s, c=criteria: s.count(c), criteria)
        for projection in (None, *PLAIN_PROJECTIONS):
            asked = (criteria, projection)
            assert_same(stores, lambda s, a=asked: unordered(s.query(*a)), asked)
        for path in ("formula", "output.e", "made", "rare.deep.x"):
            assert_same(
                stores,
                lambda s, c=criteria, p=path: [
                    row["n"] for row in s.query(c, sort={p: -1, "n": 1}, skip=2, limit=9)
                ],
                (criteria, path),
            )
            assert_same(
                stores, lambda s, c=criteria, p=path: sorted(map(order, s.distinct(p, c))), path
            )
        assert_same(
            stores,
            lambda s, c=criteria: sorted(
                (repr(key), sorted(row["n"] for row in group))
                for key, group in s.groupby(["formula", "index"], c, ["n"])
            ),
            criteria,
        )
    memory.close()


def test_values_come_back_as_pymongo_gives_them(mongo, embedded):
    east = dt.timezone(dt.timedelta(hours=2))
    document = {
        "uuid": "u",
        "aware": dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=east),
        "naive": dt.datetime(2026, 1, 2, 3, 4, 5, 678901),
        "nan": NAN,
        "inf": [INF, -INF],
        "bytes": b"\x00\xff",
        "none": None,
        "kinds": [1, 1.0, True, 2**40, -0.0],
        "nested.key": {"a.b": 1, "": 2},
        "_id": ObjectId("1" * 24),
    }
    for store in (mongo, embedded):
        store.update(document)
    (expected,), (found,) = list(mongo.query({})), list(embedded.query({}))
    assert repr(shown(found)) == repr(shown(expected))
    assert list(map(type, found["kinds"])) == list(map(type, expected["kinds"]))
    assert found["aware"] == dt.datetime(2026, 1, 2, 1, 4, 5, 678000)
    assert found["_id"] == expected["_id"] == ObjectId("1" * 24)


def test_an_existing_id_is_kept_and_cannot_change(mongo, embedded):
    for store in (mongo, embedded):
        store.update({"uuid": "u", "v": 1})
        before = store.query_one({"uuid": "u"})
        store.update({**before, "v": 2})
        after = store.query_one({"uuid": "u"})
        assert after == {"_id": before["_id"], "uuid": "u", "v": 2}
        with pytest.raises((PyMongoError, StoreError), match="_id"):
            store.update({"_id": ObjectId(), "uuid": "u"})
        assert store.query_one({"uuid": "u"}) == after
