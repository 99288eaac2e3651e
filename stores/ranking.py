"""The places of candidates in the ranking of all, without reading their documents."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..quantity import Status
from .fields import get_field
from .paging import find_values
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


@dataclass(frozen=True)
class Ranking:
    """What all candidates that rank sort by, for the places of many of them.

    Attributes
    ----------
    keys
        Rising: whether the limit of E_hull is failed, the bound of sigma(300 K) downwards,
        E_hull, id.
    limit
        Of E_hull, eV/atom; what lies above ranks after all that lie below.
    """

    keys: list[tuple[bool, float, float, str]]
    limit: float

    @classmethod
    def of(cls, summaries: Store, limit: float = DEFAULT_MAX_ENERGY_ABOVE_HULL) -> Ranking:
        """Read what the candidates of a connected store of summaries rank by."""
        fields = [get_field("sigma_lower"), get_field("e_hull")]
        rows = find_values(summaries, {"$and": _RANKED}, fields)
        keys = [
            _key(name, lower, energy, limit)
            for name, lower, energy in rows
            if _is_number(energy)  # a damaged one may hold anything
        ]
        return cls(sorted(keys), limit)

    def place_of(self, summary: CandidateSummary) -> int | None:
        """Return the rank that :func:`~haloflow.stores.query.rank` gives a candidate among all.

        Returns
        -------
        int or None
            From 1; ``None`` below the line.
        """
        if trust(summary) is not Status.OK:
            return None
        lower = summary.sigma_300k_ms_cm.lower
        energy = summary.energy_above_hull_ev_per_atom.value
        assert energy is not None  # as trust says
        return bisect_left(self.keys, _key(summary.candidate_id, lower, energy, self.limit)) + 1


def _key(name: str, lower: Any, energy: float, limit: float) -> tuple[bool, float, float, str]:
    """Return what a candidate sorts by; no bound of sigma counts as 0."""
    return energy > limit, -lower if _is_number(lower) else 0.0, energy, name


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not math.isnan(value)
