"""Many candidates at once, as maps need them: place, stability, conductivity, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pymatgen.core import Composition

from ..quantity import Quantity, Status
from ..stores.fields import get_field
from ..stores.paging import find_keys, find_page, find_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..stores.connection import HaloflowStore

_STABILITY: Final = "energy_above_hull_ev_per_atom"
_CONDUCTIVITY: Final = "sigma_300k_ms_cm"
_E_HULL: Final = f"{_STABILITY}.value"
_SIGMA: Final = f"{_CONDUCTIVITY}.value"
_PROPERTIES: Final = (
    "candidate_id",
    "label",
    "formula",
    "family",
    "phase",
    "phase_note",
    "levels",
    _STABILITY,
    _CONDUCTIVITY,
)
_BINARY: Final = 2
_TERNARY: Final = 3
_BLOCK: Final = 100
MOST_READ: Final = 2000
_UNKNOWN: Final = Quantity(status=Status.UNCONVERGED, note="not computed yet")


@dataclass(frozen=True, slots=True)
class OverviewPoint:
    """A candidate on a map.

    Attributes
    ----------
    components
        Formula units of the neutral compounds that it is made of; empty where unknown.
    """

    candidate_id: str
    label: str
    formula: str
    family: str
    phase: str
    phase_note: str
    levels: Mapping[str, str]
    stability: Quantity
    conductivity: Quantity
    components: Mapping[str, float]


@dataclass(frozen=True)
class Overview:
    """Candidates on a map.

    Attributes
    ----------
    points
        In the order of their ids; of very many candidates a sample.
    total
        Candidates that there are.
    front
        The Pareto front of all of them, see :func:`pareto_front`; empty if not asked for.
    """

    points: list[OverviewPoint]
    total: int
    front: list[OverviewPoint]

    @property
    def note(self) -> str:
        """Says that this is a sample; empty where it is not."""
        if len(self.points) >= self.total:
            return ""
        return f"{len(self.points):,} of {self.total:,} looked at: even blocks of ids, best always"


@dataclass(frozen=True)
class MixedSystem:
    """Candidates of a family that are mixed of the same two or three compounds.

    Attributes
    ----------
    components
        Formulas; the lightest, whose fraction is the axis of plots, comes last.
    points
        Each with the mole fraction of every component.
    """

    family: str
    components: tuple[str, ...]
    points: list[tuple[OverviewPoint, dict[str, float]]]

    @property
    def id(self) -> str:
        """Family and components, as addresses name it."""
        return f"{self.family}:{'-'.join(self.components)}"


def overview(
    store: HaloflowStore,
    criteria: Mapping[str, Any],
    *,
    most: int = MOST_READ,
    with_components: bool = False,
    with_front: bool = False,
) -> Overview:
    """Return the candidates whose summaries meet `criteria`, or of very many an even sample.

    The sample is of blocks of neighbouring ids at equal distances, blind to the numbers; the
    best conductors, and the Pareto front if it is asked for, are always there.
    """
    ids = find_keys(store.summaries, criteria)
    total = len(ids)
    rows = _rows(store, criteria, ids if total <= most else _sample(store, criteria, ids, most))
    best = _front_rows(store, criteria) if with_front else []
    rows |= {row["candidate_id"]: row for row in best}
    parts = _components(store, list(rows)) if with_components else {}
    points = [_point(row, parts.get(name, {})) for name, row in sorted(rows.items())]
    return Overview(
        points, max(total, len(points)), pareto_front([_point(row, {}) for row in best])
    )


def _sample(
    store: HaloflowStore, criteria: Mapping[str, Any], ids: Sequence[str], most: int
) -> list[str]:
    n_blocks = max(1, (most - _BLOCK) // _BLOCK)
    starts = [len(ids) * block // n_blocks for block in range(n_blocks)]
    by_sigma = [(get_field("sigma"), True)]
    best = find_page(
        store.summaries, criteria, sort=by_sigma, limit=_BLOCK, properties=["candidate_id"]
    )
    found = {name for start in starts for name in ids[start : start + _BLOCK]}
    return sorted(found | {row["candidate_id"] for row in best.rows})


def _rows(
    store: HaloflowStore, criteria: Mapping[str, Any], ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return what points are made of, by id; of those that still meet `criteria`."""
    wanted = {"$and": [_one_of(ids), *([dict(criteria)] if criteria else [])]}
    page = find_page(store.summaries, wanted, properties=_PROPERTIES)
    return {row["candidate_id"]: row for row in page.rows}


def _one_of(ids: Sequence[str]) -> dict[str, Any]:
    return {"candidate_id": {"$in": list(ids)}}


def _front_rows(store: HaloflowStore, criteria: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the trusted candidates that no other one beats in both numbers."""
    ok = {f"{path}.status": Status.OK.value for path in (_STABILITY, _CONDUCTIVITY)}
    known: dict[str, Any] = {_SIGMA: {"$gt": 0}, _E_HULL: {"$ne": None}}
    wanted = {"$and": [dict(criteria), ok, known]} if criteria else {"$and": [ok, known]}
    fields = [get_field("e_hull"), get_field("sigma")]
    numbers = find_values(store.summaries, wanted, fields)
    best, front = 0.0, []
    for name, _, sigma in sorted(numbers, key=lambda row: (row[1], -row[2], row[0])):
        if sigma > best:
            best = sigma
            front.append(name)
    return list(_rows(store, wanted, front).values())


def _point(row: Mapping[str, Any], components: Mapping[str, float]) -> OverviewPoint:
    return OverviewPoint(
        row["candidate_id"],
        row.get("label") or row["candidate_id"],
        row.get("formula") or "",
        row.get("family") or "",
        row.get("phase") or "",
        row.get("phase_note") or "",
        row.get("levels") or {},
        _quantity(row.get(_STABILITY)),
        _quantity(row.get(_CONDUCTIVITY)),
        components,
    )


def _quantity(stored: Mapping[str, Any] | None) -> Quantity:
    if not stored:
        return _UNKNOWN
    return Quantity(**{**stored, "status": Status(stored.get("status") or Status.UNCONVERGED)})


def _components(store: HaloflowStore, ids: Sequence[str]) -> dict[str, dict[str, float]]:
    rows = store.candidates.query(_one_of(ids), ["candidate_id", "components"])
    return {
        row["candidate_id"]: {f: n for f, n in (row.get("components") or {}).items() if n > 0}
        for row in rows
    }


def mixed_systems(points: Iterable[OverviewPoint]) -> list[MixedSystem]:
    """Return the binary and ternary systems of `points`, those with most of them first.

    A candidate of fewer compounds, e.g. an end member, belongs to the first system of its
    family that has all of them.
    """
    groups: dict[tuple[str, frozenset[str]], list[OverviewPoint]] = {}
    for point in points:
        if point.components:
            groups.setdefault((point.family, frozenset(point.components)), []).append(point)
    systems: dict[tuple[str, frozenset[str]], list[OverviewPoint]] = {}
    for (family, parts), members in sorted(groups.items(), key=_widest_first):
        home = next((key for key in systems if key[0] == family and parts <= key[1]), None)
        systems.setdefault(home or (family, parts), []).extend(members)
    made = [
        _system(family, parts, members)
        for (family, parts), members in systems.items()
        if len(parts) in {_BINARY, _TERNARY} and all(map(_weight, parts))
    ]
    return sorted(made, key=lambda system: (-len(system.points), system.id))


def _widest_first(
    group: tuple[tuple[str, frozenset[str]], list[OverviewPoint]],
) -> tuple[int, str, list[str]]:
    (family, parts), _ = group
    return -len(parts), family, sorted(parts)


def _system(family: str, parts: frozenset[str], members: list[OverviewPoint]) -> MixedSystem:
    order = tuple(sorted(parts, key=lambda f: (-_weight(f), f)))
    placed = []
    for point in sorted(members, key=lambda one: one.candidate_id):
        total = sum(point.components.values())
        placed.append((point, {f: point.components.get(f, 0.0) / total for f in order}))
    return MixedSystem(family, order, placed)


def _weight(formula: str) -> float:
    """Return the mass of a formula unit, 0 where the text is no formula."""
    try:
        return float(Composition(formula).weight)
    except (ValueError, AttributeError):  # the latter: made-up elements weigh nothing
        return 0.0


def pareto_front(points: Iterable[OverviewPoint]) -> list[OverviewPoint]:
    """Return the trusted points that no other beats in both: low E_hull and high sigma.

    Only candidates of which both numbers are ``ok`` take part; by rising E_hull.
    """
    known = [
        point
        for point in points
        if point.stability.status is Status.OK
        and point.conductivity.status is Status.OK
        and point.stability.value is not None
        and (point.conductivity.value or 0.0) > 0
    ]
    known.sort(key=lambda one: (one.stability.value, -(one.conductivity.value or 0.0)))
    front: list[OverviewPoint] = []
    best = 0.0
    for point in known:
        if (point.conductivity.value or 0.0) > best:
            front.append(point)
            best = point.conductivity.value or 0.0
    return front
