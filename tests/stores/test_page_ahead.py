"""Pages taken from the start of an index: the same as those of all rows, and less to look at."""

from __future__ import annotations

import many_candidates
import pytest

from haloflow.stores import selection
from haloflow.stores.columns import Columns
from haloflow.stores.connection import open_store
from haloflow.stores.fields import get_field
from haloflow.stores.paging import find_page

N = 1500
FILTERS = {
    "nothing": {},
    "many": {"sigma_300k_ms_cm.status": "ok"},
    "text": {"label": {"$regex": "na", "$options": "i"}},
    "list": {"elements": "Cl"},
    "variable": {"variables.x": {"$gte": 0.2, "$lte": 0.8}},
    "few": {"energy_above_hull_ev_per_atom.value": {"$lt": -0.05}},
    "at the other end": {"sigma_300k_ms_cm.value": {"$lt": 1e-3}},
    "unknown": {"sigma_300k_ms_cm.value": None},
}
PLACES = [(0, 5), (20, 5), (N, 5)]


@pytest.fixture(scope="module")
def summaries(tmp_path_factory):
    with open_store(tmp_path_factory.mktemp("ahead")) as store:
        many_candidates.fill(store, N, n_hostile=2)
        for row in list(store.summaries.query({}, limit=100)):  # equal values, and their order
            store.summaries.update({**row, "label": "the same", "density_g_cm3": None})
        yield store.summaries


def ids(summaries, criteria, name, *, down, skip=0, limit=0):
    sort = [(get_field(name), down)]
    page = find_page(summaries, criteria, sort=sort, skip=skip, limit=limit, properties=["label"])
    return page.total, [row["candidate_id"] for row in page.rows]


@pytest.mark.parametrize("name", ["sigma", "label", "density"])
def test_pages_are_those_of_all_rows(summaries, name, monkeypatch):
    asked = [
        (criteria, down, skip, limit)
        for criteria in FILTERS.values()
        for down in (True, False)
        for skip, limit in PLACES
    ]
    found = [
        ids(summaries, criteria, name, down=down, skip=skip, limit=limit)
        for criteria, down, skip, limit in asked
    ]
    monkeypatch.setattr(Columns, "is_in_order", lambda *_: False)
    for (criteria, down, skip, limit), one in zip(asked, found, strict=True):
        assert one == ids(summaries, criteria, name, down=down, skip=skip, limit=limit), criteria


def looked_at(summaries, criteria, monkeypatch, *, ahead):
    """Return the instructions of SQLite for a page, less those for counting."""
    search, steps, counting = selection.Search, [], []
    connection = summaries._collection.sqlite.connection()
    with monkeypatch.context() as patch:
        plain = search._first

        def first(self, *args):
            counting.append(len(steps))
            return plain(self, *args)

        patch.setattr(search, "_first", first)
        if not ahead:
            patch.setattr(Columns, "is_in_order", lambda *_: False)
        connection.set_progress_handler(lambda: steps.append(1), 10)
        ids(summaries, criteria, "label", down=False, limit=5)
        connection.set_progress_handler(None, 1)
    return len(steps) - counting[0]


@pytest.mark.parametrize("criteria", ["nothing", "many", "text", "list", "variable"])
def test_few_rows_are_looked_at_where_many_match(summaries, criteria, monkeypatch):
    few, all_ = (
        looked_at(summaries, FILTERS[criteria], monkeypatch, ahead=ahead) for ahead in (True, False)
    )
    assert 3 * few < all_
