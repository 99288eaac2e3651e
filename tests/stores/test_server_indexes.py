"""What a MongoDB server looks at for the questions that pages ask: indexes, not all summaries."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import many_candidates
import pytest
from pymongo import MongoClient

from haloflow.stores.connection import open_store
from haloflow.stores.fields import get_field
from haloflow.stores.paging import find_page

SIGMA, HULL = "sigma_300k_ms_cm", "energy_above_hull_ev_per_atom"
ZR = {"$regex": "zr", "$options": "i"}
FILTERS = [
    {f"{SIGMA}.value": {"$ne": None}},
    {f"{SIGMA}.value": {"$gte": 1.0, "$lte": 10.0}},
    {f"{HULL}.value": {"$lte": 0.05}},
    {f"{SIGMA}.status": "ok", "phase": "glass"},
    {f"{HULL}.status": {"$in": ["ok", "unconverged"]}},
    {"family": {"$in": ["namocl4", "nazrcl"]}},
    {"elements": {"$all": ["Na", "Ta"], "$nin": ["S"]}},
    {"sweeps": "synthetic-glasses"},
    {"variables.x": {"$gte": 0.2, "$lte": 0.8}},
    {"$or": [{"levels.hull": "chgnet-r2scan"}, {"levels.md": "chgnet-r2scan"}]},
    {"$or": [{"label": ZR}, {"formula": ZR}]},
    {"passes_screen": True},
]
SORTS = ["sigma", "e_hull", "e_a", "density", "label", "updated"]


@pytest.fixture(scope="module")
def database(mongod_uri, tmp_path_factory):
    uri, folder = f"{mongod_uri}/indexed{time.time_ns()}", tmp_path_factory.mktemp("indexed")
    with open_store(uri, files_dir=folder) as store:
        many_candidates.fill(store, 300)
    with MongoClient(uri) as client:
        yield client.get_default_database()
        client.drop_database(client.get_default_database())


def stages(plan):
    """Return the names of the stages of the plan that won."""
    if isinstance(plan, list):
        return {name for part in plan for name in stages(part)}
    if not isinstance(plan, dict):
        return set()
    below = (value for key, value in plan.items() if key != "rejectedPlans")
    return {plan["stage"] for _ in [0] if "stage" in plan}.union(*map(stages, below))


@pytest.mark.parametrize("criteria", FILTERS, ids=str)
def test_filters_are_counted_by_indexes(database, criteria):
    used = stages(database.summaries.find(criteria).explain()["queryPlanner"])
    assert "COLLSCAN" not in used
    assert "IXSCAN" in used
    used = stages(database.summaries.find({"density_ratio": 1.0}).explain()["queryPlanner"])
    assert "COLLSCAN" in used, "which tells the one from the other"


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("name", SORTS)
def test_pages_are_sorted_by_indexes(database, name, down):
    asked = []

    class Spy:
        """Notes what is looked for and how the server would find it."""

        def __getattr__(self, attribute):
            return getattr(database.summaries, attribute)

        def find(self, *args, **kwargs):
            asked.append(database.summaries.find(*args, **kwargs).explain()["queryPlanner"])
            return database.summaries.find(*args, **kwargs)

    class Summaries:
        key, _collection = "candidate_id", Spy()

    page = find_page(Summaries(), {}, sort=[(get_field(name), down)], limit=10)
    assert len(page.rows) == 10
    assert len(asked) == 1, "the unknown are asked for on the last pages only"
    assert not {"COLLSCAN", "SORT"} & stages(asked[0]["winningPlan"])
    page = find_page(Summaries(), {}, sort=[(get_field(name), down)], skip=290, limit=20)
    assert len(page.rows) == 10
    for plan in asked:
        assert "COLLSCAN" not in stages(plan["winningPlan"])


def test_two_that_store_one_step_at_once_leave_one_document(mongod_uri, tmp_path):
    uri = f"{mongod_uri}/twice{time.time_ns()}"
    with open_store(uri, files_dir=tmp_path) as one, open_store(uri, files_dir=tmp_path) as other:

        def store_it(arguments):
            store, number, barrier = arguments
            barrier.wait(timeout=60.0)
            output = {"uuid": f"u{number}", "index": 1, "output": {"identity": str(number)}}
            store.outputs.update([output], key=["uuid", "index"])

        with ThreadPoolExecutor(2) as pool:
            for number in range(60):
                barrier = threading.Barrier(2)
                list(pool.map(store_it, [(one, number, barrier), (other, number, barrier)]))
        assert one.outputs.count({}) == 60


def test_a_store_with_doubles_of_before_still_opens(mongod_uri, tmp_path):
    uri = f"{mongod_uri}/doubles{time.time_ns()}"
    with MongoClient(uri) as client:
        rows = [{"uuid": "u", "index": 1, "output": {"identity": "i"}} for _ in range(2)]
        client.get_default_database()["outputs"].insert_many(rows)
    with open_store(uri, files_dir=tmp_path) as store:
        assert store.outputs.count({}) == 2
