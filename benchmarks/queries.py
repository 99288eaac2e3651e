"""What a page, a count and the facets of many summaries cost, on both stores.

::

    python benchmarks/queries.py 100000 [STORE] [--files FOLDER]

Fills a fresh embedded store, or uses the one named (a folder, or mongodb://...) and fills it
when it is empty. A page comes with the number of all that match; of a server, rows are also asked
for without it. Prints milliseconds (median of several) of a first answer, with nothing
remembered of earlier ones, and of the same again, and the ratio of the slower to the limit;
exit code 1 above a limit. Of an embedded store, which works in this process, it is CPU time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from haloflow.dashboard.api.filters import criteria_of
from haloflow.stores.connection import open_store
from haloflow.stores.facets import count_facets
from haloflow.stores.fields import get_field
from haloflow.stores.paging import find_page

if TYPE_CHECKING:
    from typing import Any

    from maggma.core import Store

N_REPEATS = 7
LIMITS_MS = {"embedded": (150.0, 300.0), "MongoDB": (30.0, 300.0)}
"""Of a page or count, and of the facets."""
_HULL, _SIGMA = "energy_above_hull_ev_per_atom", "sigma_300k_ms_cm"
FILTERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "range": {f"{_HULL}.value": {"$gte": 0.0, "$lte": 0.05}},
    "status and phase": {f"{_SIGMA}.status": "ok", "phase": "glass"},
    "system": criteria_of([("elements_all", "Na,Ta"), ("elements_none", "S")]),
    "system and range": criteria_of([("elements_all", "Na,Ta"), ("e_hull_max", "0.05")]),
    "level": criteria_of([("level", "chgnet-r2scan")]),
    "elements": {"elements": {"$all": ["Na", "Ta"], "$nin": ["S"]}},
    "text": {"label": {"$regex": "zr", "$options": "i"}},
    "variable": {"variables.x": {"$gte": 0.2, "$lte": 0.8}},
}
SORTS = ("-sigma", "e_hull", "label")


Ask = Callable[["Store"], object]


def _rows(criteria: dict[str, Any], order: dict[str, int], summaries: Store) -> list[Any]:
    return list(summaries.query(criteria, ["label"], order, limit=50))


def cases(kind: str) -> dict[str, Ask]:
    """Return what is measured, by name."""
    found: dict[str, Ask] = {}
    for name, criteria in FILTERS.items():
        for sort in SORTS:
            by = [(get_field(sort.lstrip("-")), sort[0] == "-")]
            found[f"page of {name} by {sort}"] = lambda summaries, criteria=criteria, by=by: (
                find_page(
                    summaries, criteria, sort=by, limit=50, properties=["label", f"{_SIGMA}.value"]
                )
            )
            if kind == "MongoDB":
                found[f"rows of {name} by {sort}"] = partial(
                    _rows, criteria, {by[0][0].path: -1 if by[0][1] else 1, "candidate_id": 1}
                )
        found[f"count of {name}"] = lambda summaries, criteria=criteria: summaries.count(criteria)
        found[f"facets of {name}"] = lambda summaries, criteria=criteria: count_facets(
            summaries, criteria
        )
    return found


def times_ms(ask: Ask, where: str, files: str) -> tuple[float, float]:
    """Return the median times of a first answer from a store just opened, and of a second."""
    clock = time.perf_counter if where.startswith("mongodb") else time.process_time
    first, again = [], []
    for _ in range(N_REPEATS):
        with open_store(where, files_dir=files, read_only=True, timeout_s=60.0) as store:
            store.summaries.query_one()
            for times in (first, again):
                started = clock()
                ask(store.summaries)
                times.append(1e3 * (clock() - started))
    return statistics.median(first), statistics.median(again)


def main() -> None:
    """Fill, ask, and compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", type=int, nargs="?", default=100_000)
    parser.add_argument("store", nargs="?")
    parser.add_argument("--files")
    asked = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import many_candidates

    with tempfile.TemporaryDirectory() as scratch:
        where, files = asked.store or scratch, asked.files or f"{scratch}/files"
        kind = "MongoDB" if where.startswith("mongodb") else "embedded"
        with open_store(where, files_dir=files) as store:
            if store.summaries.count() == 0:
                started = time.perf_counter()
                many_candidates.fill(store, asked.n)
                per_one = 1e3 * (time.perf_counter() - started) / asked.n
                print(f"filled with {asked.n} candidates, {per_one:.2f} ms each")
        worst = 0.0
        print(f"{'':36}{'first':>10}{'again':>10} ms")
        for name, ask in cases(kind).items():
            first, again = times_ms(ask, where, files)
            limit = LIMITS_MS[kind][name.startswith("facets")]
            ratio = max(first, again) / limit
            worst = max(worst, ratio)
            mark = "" if ratio <= 1 else "  above it"
            print(
                f"{name:36}{first:10.1f}{again:10.1f}, {ratio:5.2f} of the limit{mark}", flush=True
            )
    print(f"{kind}: at most {worst:.2f} of the limit")
    raise SystemExit(worst > 1)


if __name__ == "__main__":
    main()
