"""What a store holds in numbers: how many candidates of what, and the ranges of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..quantity import Status
from ..stores.facets import count_facets
from ..stores.fields import get_field
from ..stores.paging import find_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..stores.connection import HaloflowStore

_RANGED: Final = ("e_hull", "sigma", "e_a")
_QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def statistics(store: HaloflowStore, criteria: Mapping[str, Any]) -> dict[str, Any]:
    """Return counts by property, and quantiles of the results that are ``ok``.

    Ranges have the short names of the fields and their units: eV/atom, mS/cm, eV.
    """
    return {
        "n_candidates": _count(store, criteria),
        "n_complete": _count(store, criteria, complete=True),
        "n_passing": _count(store, criteria, passes_screen=True),
        "n_failing": _count(store, criteria, passes_screen=False),
        "counts": count_facets(store.summaries, criteria),
        "ranges": {name: _range(store, criteria, name) for name in _RANGED},
        "last_updated": _last_updated(store, criteria),
    }


def _both(criteria: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {"$and": [dict(criteria), dict(more)]} if criteria else dict(more)


def _count(store: HaloflowStore, criteria: Mapping[str, Any], **more: object) -> int:
    asked = _both(criteria, more) if more else criteria
    return find_page(store.summaries, asked, limit=1, properties=("candidate_id",)).total


def _range(store: HaloflowStore, criteria: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the number of known values that are ok, and their quantiles (nearest ranks)."""
    field, status = get_field(name), get_field(f"{name}_status")
    ok = _both(criteria, {status.path: Status.OK.value, field.path: {"$ne": None}})
    n_ok = find_page(store.summaries, ok, limit=1, properties=("candidate_id",)).total
    quantiles: dict[str, float] = {}
    for quantile in _QUANTILES if n_ok else ():
        place = round(quantile * (n_ok - 1))
        page = find_page(
            store.summaries,
            ok,
            sort=[(field, False)],
            skip=place,
            limit=1,
            properties=(field.path,),
        )
        found: Any = page.rows[0]
        quantiles[f"{quantile:g}"] = field.of(found)
    return {"n_ok": n_ok, "unit": field.unit, "quantiles": quantiles}


def _last_updated(store: HaloflowStore, criteria: Mapping[str, Any]) -> object:
    field = get_field("updated")
    page = find_page(
        store.summaries, criteria, sort=[(field, True)], limit=1, properties=(field.path,)
    )
    return page.rows[0].get(field.path) if page.rows else None
