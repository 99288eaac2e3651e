"""Counts under a filter: the same on both stores, and those of counting by hand."""

from __future__ import annotations

import time
from collections import Counter

import many_candidates
import pytest

from haloflow.stores.connection import open_store
from haloflow.stores.facets import count_facets

FILTERS = [
    {},
    {"phase": "glass", "energy_above_hull_ev_per_atom.value": {"$lte": 0.1}},
    {"elements": {"$all": ["Na", "Ta"]}, "sweeps": {"$in": ["synthetic-glasses"]}},
    {"label": {"$regex": "zr", "$options": "i"}},
    {"warnings": {"$size": 0}},
    {"family": "of nobody"},
]


@pytest.fixture(scope="module")
def stores(mongod_uri, tmp_path_factory):
    folder = tmp_path_factory.mktemp("facets")
    uri = f"{mongod_uri}/facets{time.time_ns()}"
    with open_store(uri, files_dir=folder) as server, open_store(folder / "s") as file:
        for store in (server, file):
            many_candidates.fill(store, 250, n_hostile=8)
        yield [server.summaries, file.summaries]


@pytest.mark.parametrize("criteria", FILTERS, ids=str)
def test_facets_are_what_counting_gives(stores, criteria):
    server, file = (count_facets(store, criteria) for store in stores)
    assert server == file
    assert [*map(list, server.values()), *server] == [*map(list, file.values()), *file]
    rows = list(stores[0].query(criteria))
    assert file["family"] == Counter(row["family"] for row in rows)
    assert file["sigma_status"] == Counter(row["sigma_300k_ms_cm"]["status"] for row in rows)
    assert file["element"] == Counter(one for row in rows for one in row["elements"])
    assert file["sweep"] == Counter(one for row in rows for one in row["sweeps"])
    assert file["level"] == Counter(one for row in rows for one in set(row["levels"].values()))
    assert file.get("level_hull", {}) == Counter(row["levels"]["hull"] for row in rows)


def test_the_most_frequent_comes_first(stores):
    numbers = list(count_facets(stores[1], {})["chemsys"].values())
    assert numbers == sorted(numbers, reverse=True)
    assert sum(numbers) == 250
