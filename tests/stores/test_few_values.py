"""Filters said by the few values of a field: they mean the same, and indexes answer them."""

from __future__ import annotations

import re
import time
from collections import Counter

import many_candidates
import pytest
from bson import Regex
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import MongoClient

from haloflow.errors import StoreError
from haloflow.stores import few_values
from haloflow.stores.connection import open_store
from haloflow.stores.facets import count_facets
from haloflow.stores.few_values import by_values
from haloflow.stores.fields import get_field
from haloflow.stores.paging import find_page
from haloflow.stores.tally import tally

SIGMA, HULL = "sigma_300k_ms_cm", "energy_above_hull_ev_per_atom"
VALUES = {
    "chemsys": ["Cl-Na-Ta", "Cl-Na-Y-Zr", None, "none"],
    "phase": ["glass", "crystal", "neither"],
    "family": [*many_candidates.HOSTILE[:2], "nayzrcl", "naßcl", None],
    f"{SIGMA}.status": ["ok", "failed", "unconverged"],
}
PATTERNS = [
    *("(^|-)(Zr|Ta)(-|$)", "^o", "s$", "Na", r"^\w+$", r"\bna", "^n.ß", "K", "."),
    *("^[[:alpha:]]+$", r"^\p{L}+$", "^na(?i)CL$", r"\Ana", r"l\z", "^(?>na)", r"^\h|\R"),
]
"""Those of the last line Python reads in another way, or not at all."""
ELEMENTS = [
    *({"elements": {word: ["Na", "Ta"]}} for word in ("$all", "$in", "$nin", "$eq")),
    {"elements": {"$all": ["Na"], "$nin": ["S"]}},
    *({"elements": test} for test in ("Y", ["Cl", "Na", "Ta"], None, Regex("^T"), {"$ne": "O"})),
    {"$or": [{"elements": "Ta"}, {"chemsys": {"$regex": "Zr$"}}]},
    {"$nor": [{"elements": "O"}, {"elements": {"$not": {"$in": ["Cl"]}}}]},
]
OTHERS = [
    {f"{HULL}.value": {"$lte": 0.05}},
    {"label": {"$regex": "zr", "$options": "i"}},
]


@st.composite
def clauses(draw):
    path = draw(st.sampled_from([*VALUES, "another"]))
    if path == "another":
        return draw(st.sampled_from([*OTHERS, *ELEMENTS]))
    one, some = st.sampled_from(VALUES[path]), st.lists(st.sampled_from(VALUES[path]), max_size=3)
    pattern, options = st.sampled_from(PATTERNS), st.sampled_from(["", "i"])
    regex = st.builds(Regex, pattern, options)
    test = st.one_of(
        one,
        *(st.fixed_dictionaries({operator: one}) for operator in ("$eq", "$ne")),
        *(st.fixed_dictionaries({operator: some}) for operator in ("$in", "$nin")),
        st.fixed_dictionaries({"$regex": pattern, "$options": options}),
        regex,
        st.fixed_dictionaries({"$all": st.lists(st.one_of(one, regex), max_size=2)}),
        st.fixed_dictionaries({"$nin": st.lists(regex, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"$not": st.one_of(regex, st.fixed_dictionaries({"$in": some}))}),
        st.fixed_dictionaries({"$exists": st.booleans()}),
    )
    return {path: draw(test)}


def joined(inner):
    parts = st.lists(inner, min_size=1, max_size=3)
    return st.sampled_from(["$and", "$or", "$nor"]).flatmap(
        lambda word: st.fixed_dictionaries({word: parts})
    )


FILTERS = st.recursive(clauses(), joined, max_leaves=6)


@pytest.fixture(scope="module")
def place(mongod_uri, tmp_path_factory):
    """A store with candidates of all kinds, some of which lack what they are filtered by."""
    uri, folder = f"{mongod_uri}/few{time.time_ns()}", tmp_path_factory.mktemp("few")
    with open_store(uri, files_dir=folder) as store:
        many_candidates.fill(store, 240, n_hostile=8)
        rows = list(store.summaries.query({}, limit=4))
        for row, path in zip(rows, ("chemsys", "family", "phase", SIGMA), strict=True):
            store.summaries._collection.update_one({"_id": row["_id"]}, {"$unset": {path: ""}})
        store.summaries._collection.update_one({"_id": rows[3]["_id"]}, {"$set": {"family": None}})
        for row, family in zip(rows, ["naßcl", "nacl", "NACL", "na cl"], strict=True):
            other = {**row, "candidate_id": f"{family} {row['candidate_id']}", "family": family}
            store.summaries.update([{key: other[key] for key in other.keys() - {"_id"}}])
    yield uri, folder
    with MongoClient(uri) as client:
        client.drop_database(client.get_default_database())


@pytest.fixture(scope="module")
def reader(place):
    uri, folder = place
    with open_store(uri, files_dir=folder, read_only=True, timeout_s=60.0) as store:
        yield store.summaries


@pytest.fixture(scope="module")
def server(place):
    with MongoClient(place[0]) as client:
        yield client.get_default_database().summaries


@settings(max_examples=120, deadline=None)
@given(FILTERS)
def test_counts_are_those_of_the_filter_itself(reader, server, criteria):
    assert reader.count(criteria) == server.count_documents(criteria)


def texts(rows, path):
    first, _, rest = path.partition(".")
    found = ((row.get(first) or {}).get(rest) if rest else row.get(first) for row in rows)
    return Counter(one for one in found if isinstance(one, str))


@settings(max_examples=20, deadline=None)
@given(FILTERS)
def test_facets_and_statistics_are_those_of_the_filter_itself(reader, server, criteria):
    rows = list(server.find(criteria))
    counts = count_facets(reader, criteria)
    for name in ("family", "phase", "chemsys", "sigma_status", "e_hull_status", "density_status"):
        assert counts[name] == texts(rows, get_field(name).path)
    for name, path in (("element", "elements"), ("sweep", "sweeps")):
        assert counts[name] == Counter(one for row in rows for one in row[path])
    of_levels = [row["levels"] for row in rows if "levels" in row]
    assert counts["level"] == Counter(one for held in of_levels for one in {*held.values()})
    found = tally(reader, criteria, ["sigma"])
    assert (found.n_candidates, found.counts) == (len(rows), counts)
    for number, flag, value in (
        (found.n_complete, "complete", True),
        (found.n_passing, "passes_screen", True),
        (found.n_failing, "passes_screen", False),
    ):
        assert number == sum(row.get(flag) is value for row in rows)
    sigmas = [row[SIGMA] for row in rows if row.get(SIGMA, {}).get("status") == "ok"]
    known = sorted(one["value"] for one in sigmas if one["value"] is not None)
    assert found.values["sigma"] == known


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("path", ["family", "chemsys"])
def test_pages_of_a_pattern_hold_each_row_once(reader, server, path, pattern):
    criteria = {path: {"$regex": pattern}}
    wanted = sorted(row["candidate_id"] for row in server.find(criteria))
    pages, total = [], None
    while total is None or 50 * len(pages) < total:
        page = find_page(
            reader, criteria, sort=[(get_field("sigma"), True)], skip=50 * len(pages), limit=50
        )
        total = page.total
        pages.append([row["candidate_id"] for row in page.rows])
    assert total == len(wanted)
    assert sorted(one for page in pages for one in page) == wanted


@pytest.mark.parametrize("compiled", [False, True])
def test_a_pattern_of_python_is_counted_as_it_is_found(reader, server, compiled):
    pattern = re.compile("^na.cl$", re.IGNORECASE) if compiled else Regex("^na.cl$", "i")
    for criteria in ({"family": pattern}, {"family": {"$not": pattern}}):
        assert reader.count(criteria) == server.count_documents(criteria)
    assert reader.count({"family": pattern}) == 2


@pytest.mark.parametrize(
    "malformed",
    [
        *({word: value} for word in ("$and", "$or", "$nor") for value in ("x", [], {"a": 1}, [1])),
        {"$and": [], "phase": {"$ne": "glass"}},
        {"$or": [{"phase": {"$ne": "glass"}}, "x"]},
        {"chemsys": {"$regex": "("}},
        {"chemsys": {"$options": "i"}},
        {"chemsys": {"$not": "Na"}},
        {"chemsys": {"$nin": "Na"}},
    ],
)
def test_what_is_no_filter_is_refused(reader, malformed):
    for use in (
        reader.count,
        lambda it: count_facets(reader, it),
        lambda it: tally(reader, it, ()),
    ):
        with pytest.raises(StoreError, match="the MongoDB server cannot be used"):
            use(malformed)


def test_elements_are_told_by_systems_where_all_have_one(mongod_uri, tmp_path):
    uri = f"{mongod_uri}/few{time.time_ns()}"
    with open_store(uri, files_dir=tmp_path) as store, MongoClient(uri) as client:
        many_candidates.fill(store, 120)
        server = client.get_default_database().summaries
        counts = []
        for criteria in ELEMENTS:
            assert "elements" not in str(by_values(server, criteria))
            counts.append(store.summaries.count(criteria))
            assert counts[-1] == server.count_documents(criteria)
        client.drop_database(server.database)
    assert len({*counts} - {0, 120}) > 3


ZR = {"chemsys": {"$regex": "(^|-)(Zr)(-|$)"}}


def test_a_pattern_becomes_values_and_what_is_plain_stays(server):
    held = by_values(server, ZR)
    assert all("Zr" in one.split("-") for one in held["chemsys"]["$in"])
    lacking = by_values(server, {"$nor": [ZR]})["chemsys"]["$in"]
    assert {*held["chemsys"]["$in"], *lacking} == {*server.distinct("chemsys"), None}
    for plain in ({}, {"phase": "glass"}, {"phase": {"$in": ["glass"]}}, *OTHERS, *ELEMENTS):
        assert by_values(server, plain) == plain  # of elements, as some have no system
    both = by_values(server, {"$and": [ZR, {"phase": {"$ne": "glass"}}], **OTHERS[0]})
    assert [*map(list, both["$and"])] == [["chemsys"], ["phase"], [f"{HULL}.value"]]


@pytest.mark.parametrize("other", [{}, {f"{HULL}.value": {"$lte": 0.05}}, {f"{SIGMA}.value": 1.0}])
def test_no_summary_is_read_to_count(server, other):
    wanted = by_values(server, {**ZR, **other})
    plan = server.database.command(
        "explain",
        {"aggregate": "summaries", "cursor": {}, "pipeline": [
            {"$match": wanted}, {"$group": {"_id": 1, "n": {"$sum": 1}}}
        ]},
        verbosity="executionStats",
    )  # fmt: skip
    stats = plan["stages"][0]["$cursor"] if "stages" in plan else plan
    assert stats["executionStats"]["totalDocsExamined"] == 0
    assert stats["executionStats"]["totalKeysExamined"] < server.count_documents({})


def test_many_values_and_what_is_no_text_are_left_to_the_server(
    server, mongod_uri, tmp_path, monkeypatch
):
    uri = f"{mongod_uri}/odd{time.time_ns()}"
    with open_store(uri, files_dir=tmp_path) as store:
        store.summaries.update([{"candidate_id": "a", "chemsys": "Na"}])
        assert by_values(store.summaries._collection, ZR) == {"chemsys": {"$in": []}}
        for odd in (["Na-Zr"], 3):
            store.summaries.update([{"candidate_id": "b", "chemsys": odd}])
            assert by_values(store.summaries._collection, ZR) == ZR
    with MongoClient(uri) as client:
        client.drop_database(client.get_default_database())
    monkeypatch.setattr(few_values, "_MOST_VALUES", 3)
    assert by_values(server, ZR) == ZR
