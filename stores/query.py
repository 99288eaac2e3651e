"""Asking for summaries: filter, sort, and the ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..quantity import Quantity, Status, worst
from .fields import get_field
from .filters import parse_filters
from .paging import find_page
from .records import summary_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from maggma.core import Store

    from .documents import CandidateSummary

DEFAULT_MAX_ENERGY_ABOVE_HULL = 0.1
"""eV/atom; what ranks first unless a sweep's screen says otherwise."""


@dataclass(frozen=True)
class RankedSummary:
    """A summary and its place: from 1, or ``None`` below the line."""

    summary: CandidateSummary
    rank: int | None


def find_summaries(
    summaries: Store,
    where: Sequence[str] = (),
    *,
    sort: Sequence[str] = (),
    limit: int = 0,
) -> list[CandidateSummary]:
    """Return the summaries for which all filters hold.

    Parameters
    ----------
    summaries
        Connected store of summaries.
    where
        Filters, see :mod:`haloflow.stores.filters`.
    sort
        Names of fields, the first one counts most; ``-name`` sorts downwards. Summaries
        without the value come last.
    limit
        Most rows to return; 0 for all.

    Raises
    ------
    InputError, UnknownNameError
        A filter or sort does not fit the fields.
    """
    keys = [(get_field(name.lstrip("-")), name.startswith("-")) for name in sort]
    page = find_page(summaries, parse_filters(where), sort=keys, limit=limit)
    return [summary_of(row) for row in page.rows]


def rank(
    summaries: Iterable[CandidateSummary],
    *,
    max_energy_above_hull_ev_per_atom: float = DEFAULT_MAX_ENERGY_ABOVE_HULL,
) -> list[RankedSummary]:
    """Order candidates as the screen does; nothing is dropped.

    Ranked are those whose E_hull and sigma(300 K) are both ``ok``: first those that pass
    the limit of E_hull, each group by the lower bound of sigma(300 K) downwards. Below the
    line come the others, the more trustworthy and then the better bounded ones first.
    """
    limit = max_energy_above_hull_ev_per_atom
    ranked: list[CandidateSummary] = []
    others: list[CandidateSummary] = []
    for summary in summaries:
        (ranked if trust(summary) is Status.OK else others).append(summary)
    ranked.sort(
        key=lambda one: (not _passes(one, limit), -_pessimistic(one.sigma_300k_ms_cm), *_tie(one))
    )
    others.sort(
        key=lambda one: (
            trust(one).severity,
            not _passes(one, limit),
            -_optimistic(one.sigma_300k_ms_cm),
            *_tie(one),
        )
    )
    return [RankedSummary(one, place) for place, one in enumerate(ranked, start=1)] + [
        RankedSummary(one, None) for one in others
    ]


def trust(summary: CandidateSummary) -> Status:
    """Return the worse status of the two quantities that rank; never ``ok`` without values."""
    stability, conductivity = summary.energy_above_hull_ev_per_atom, summary.sigma_300k_ms_cm
    both = worst(stability.status, conductivity.status)
    known = stability.value is not None and conductivity.value is not None
    return both if known else worst(both, Status.UNCONVERGED)


def _passes(summary: CandidateSummary, limit: float) -> bool:
    value = summary.energy_above_hull_ev_per_atom.value
    return value is not None and value <= limit


def _pessimistic(quantity: Quantity) -> float:
    """Return the lower bound; without one the estimate must not win by its lack of error."""
    return quantity.lower if quantity.lower is not None else 0.0


def _optimistic(quantity: Quantity) -> float:
    known = (quantity.lower, quantity.value, quantity.upper)
    return max((number for number in known if number is not None), default=-1.0)


def _tie(summary: CandidateSummary) -> tuple[float, str]:
    value = summary.energy_above_hull_ev_per_atom.value
    return (float("inf") if value is None else value, summary.candidate_id)
