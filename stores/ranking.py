"""The place of one candidate in the ranking of all, counted by the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..quantity import Status
from .query import DEFAULT_MAX_ENERGY_ABOVE_HULL, trust

if TYPE_CHECKING:
    from maggma.core import Store

    from .documents import CandidateSummary

_HULL, _SIGMA = "energy_above_hull_ev_per_atom", "sigma_300k_ms_cm"
_RANKED: list[dict[str, Any]] = [
    {f"{_HULL}.status": Status.OK.value},
    {f"{_SIGMA}.status": Status.OK.value},
    {f"{_HULL}.value": {"$ne": None}},
    {f"{_SIGMA}.value": {"$ne": None}},
]


def place_of(
    summaries: Store,
    summary: CandidateSummary,
    *,
    max_energy_above_hull_ev_per_atom: float = DEFAULT_MAX_ENERGY_ABOVE_HULL,
) -> int | None:
    """Return the rank that :func:`~haloflow.stores.query.rank` gives `summary` among all.

    Parameters
    ----------
    summaries
        Connected store of summaries.
    summary
        One of them.
    max_energy_above_hull_ev_per_atom
        What lies above ranks after all that lie below, eV/atom.

    Returns
    -------
    int or None
        From 1; ``None`` below the line.
    """
    if trust(summary) is not Status.OK:
        return None
    limit = max_energy_above_hull_ev_per_atom
    energy = summary.energy_above_hull_ev_per_atom.value
    assert energy is not None  # as trust says
    passes: dict[str, Any] = {f"{_HULL}.value": {"$lte": limit}}
    fails: dict[str, Any] = {f"{_HULL}.value": {"$gt": limit}}
    better = _better(summary, energy)
    before = (
        {"$and": [*_RANKED, passes, better]}
        if energy <= limit
        else {"$or": [{"$and": [*_RANKED, passes]}, {"$and": [*_RANKED, fails, better]}]}
    )
    return int(summaries.count(before)) + 1


def _better(summary: CandidateSummary, energy: float) -> dict[str, Any]:
    """Return the filter for what comes first: bound of sigma, then energy, then id."""
    lower, path = summary.sigma_300k_ms_cm.lower or 0.0, f"{_SIGMA}.lower"
    more: list[dict[str, Any]] = [{path: {"$gt": lower}}]
    equal: list[dict[str, Any]] = [{path: lower}]
    if lower <= 0:  # no bound counts as 0
        (more if lower < 0 else equal).append({path: None})
    tie: list[dict[str, Any]] = [
        {f"{_HULL}.value": {"$lt": energy}},
        {f"{_HULL}.value": energy, "candidate_id": {"$lt": summary.candidate_id}},
    ]
    return {"$or": [*more, {"$and": [{"$or": equal}, {"$or": tie}]}]}
