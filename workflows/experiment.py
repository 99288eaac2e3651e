"""Published values and what was computed of the same thing, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..quantity import TWO_SIDED_95, Quantity, Status
from ..stores.records import summary_of
from ..systems.families import list_families

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..stores.connection import HaloflowStore
    from ..stores.documents import CandidateSummary, LiteratureValue
    from ..systems.declarations import PublishedValue

SIGMA: Final = "sigma_300k_ms_cm"
ENERGY: Final = "activation_energy_ev"
COMPARED: Final = (
    SIGMA,
    ENERGY,
    "energy_above_hull_ev_per_atom",
    "reduction_limit_v",
    "oxidation_limit_v",
)
"""Quantities that are both published and a part of a summary."""
MOST_CANDIDATES: Final = 300
_LOGARITHMIC: Final = frozenset({SIGMA})
_STAGE: Final = {SIGMA: "md", ENERGY: "md"}


@dataclass(frozen=True)
class Published:
    """A published value, and where the families of the package list it.

    Attributes
    ----------
    row
        As published.
    family, former, at
        What it belongs to.
    phase
        ``crystal``, ``glass``, or ``None`` where the sample was neither.
    listed
        Whether the families of this package list it, and so tell the phase.
    """

    row: PublishedValue
    family: str
    former: str | None = None
    at: tuple[tuple[str, float], ...] = ()
    phase: str | None = None
    listed: bool = True

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from all other published values."""
        return (self.family, self.former, self.at, *_contents(self.row))


@dataclass(frozen=True)
class Comparison:
    """A published value beside a computed one.

    Attributes
    ----------
    level
        Level of theory of the computed value.
    like_with_like
        Whether both are of the same state of matter.
    caution
        What keeps them from being compared; empty where nothing does.
    residual
        Computed less published: decades of a conductivity, else in the unit of the quantity;
        bounds where only bounds are known. ``None`` where no number of either is.
    """

    published: Published
    candidate: CandidateSummary
    computed: Quantity
    level: str
    like_with_like: bool
    caution: str
    residual: Quantity | None


def published_values() -> list[Published]:
    """Return all published values of the package's families."""
    return [
        Published(row, family.id, row.former, tuple(sorted(row.at.items())), row.phase)
        for family in list_families()
        for row in family.literature
    ]


def literature_candidates(
    store: HaloflowStore, criteria: dict[str, Any] | None = None
) -> tuple[list[CandidateSummary], bool]:
    """Return summaries that published values belong to, `criteria` met too.

    At most `MOST_CANDIDATES` are read; the flag tells whether there are more.
    """
    known: dict[str, Any] = {"literature.0": {"$exists": True}}
    asked = {"$and": [known, criteria]} if criteria else known
    rows = list(store.summaries.query(asked, limit=MOST_CANDIDATES + 1))
    found = [summary_of(row) for row in rows[:MOST_CANDIDATES]]
    found.sort(key=lambda one: one.candidate_id)
    return found, len(rows) > MOST_CANDIDATES


def comparisons(summaries: Iterable[CandidateSummary]) -> list[Comparison]:
    """Return every published value of the candidates beside what was computed."""
    listed: dict[tuple[object, ...], list[Published]] = {}
    for one in published_values():
        listed.setdefault(_contents(one.row), []).append(one)
    return [
        _compared(_meant(row, summary, listed.get(_contents(row), [])), summary)
        for summary in summaries
        for row in summary.literature
        if row.quantity in COMPARED
    ]


def _meant(row: LiteratureValue, summary: CandidateSummary, listed: list[Published]) -> Published:
    """Return the listed value that a candidate's is, of its own family where several are equal."""
    own = [one for one in listed if one.family == summary.family]
    return next(iter(own or listed), Published(row, summary.family, listed=False))


def _contents(row: PublishedValue) -> tuple[object, ...]:
    names = ("quantity", "value", "lower", "upper", "kind", "phases_present", "source")
    return (*(getattr(row, name) for name in names), row.conditions)


def _compared(published: Published, summary: CandidateSummary) -> Comparison:
    row = published.row
    computed = getattr(summary, row.quantity) or Quantity(
        status=Status.UNCONVERGED, note="not computed"
    )
    caution = _caution(published, summary)
    return Comparison(
        published=published,
        candidate=summary,
        computed=computed,
        level=summary.levels.get(_STAGE.get(row.quantity, "hull"), ""),
        like_with_like=not caution,
        caution=caution,
        residual=None if row.electrode else _residual(row, computed),
    )


def _caution(published: Published, summary: CandidateSummary) -> str:
    row = published.row
    if row.electrode:
        return f"published against {row.electrode}, computed against the metal"
    if not published.listed:
        return f"whether the sample was a crystal or a glass is not known: {row.phases_present}"
    if published.phase is None:
        return f"the sample was neither the crystal nor the glass: {row.phases_present}"
    if published.phase != summary.phase:
        return f"published for the {published.phase}, computed for the {summary.phase}"
    return ""


def _residual(row: PublishedValue, computed: Quantity) -> Quantity | None:
    """Return computed less published, with what the errors and bounds of both leave open."""
    log = row.quantity in _LOGARITHMIC
    published = Quantity(row.value, lower=row.lower, upper=row.upper)
    one, other = (_ends(quantity, log=log) for quantity in (computed, published))
    value = None if one[1] is None or other[1] is None else one[1] - other[1]
    lower = None if one[0] is None or other[2] is None else one[0] - other[2]
    upper = None if one[2] is None or other[0] is None else one[2] - other[0]
    if value is None and lower is None and upper is None:
        return None
    return Quantity(value, lower=lower, upper=upper, status=computed.status, note=computed.note)


def _ends(quantity: Quantity, *, log: bool) -> tuple[float | None, float | None, float | None]:
    """Return lower end, value and upper end, as logarithms where asked.

    Without an interval, a value is its own ends; a single bound leaves the other end open.
    """
    value, lower, upper = quantity.value, quantity.lower, quantity.upper
    if value is not None and lower is None and upper is None:
        width = TWO_SIDED_95 * (quantity.sd or 0.0)
        lower, upper = value - width, value + width
    if not log:
        return lower, value, upper
    return _log(lower), _log(value), _log(upper)


def _log(value: float | None) -> float | None:
    return math.log10(value) if value is not None and value > 0 else None
