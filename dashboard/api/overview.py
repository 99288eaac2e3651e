"""Figures over many candidates: maps, the Pareto front, the hull, parity with experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from ...errors import UnknownNameError
from ...workflows.experiment import (
    ENERGY,
    MOST_CANDIDATES,
    SIGMA,
    comparisons,
    literature_candidates,
)
from ...workflows.lookup import results_of_kind
from ...workflows.overview import mixed_systems, overview
from ..figures_hull_overview import hull_overview
from ..figures_map import map_figure
from ..figures_pareto import pareto_figure
from ..figures_parity import parity_figure, residual_figure
from ..figures_sections import section_figures
from ..overview_marks import MOST_POINTS, thinned
from ..theme import drawable
from ..view import ranked_views
from .bodies import Answer, answer
from .dependencies import StoreDep
from .filters import FILTER_PARAMETERS, Criteria
from .kept import kept

if TYPE_CHECKING:
    from ...workflows.overview import MixedSystem, OverviewPoint
    from ..theme import Figure

router = APIRouter(tags=["figures"])

_DRAWN_AT_MOST: Final = 10_000
MOST_HULLS: Final = {"section": 60, "ternary": 60, "segregation": 20}
Most = Annotated[
    int, Query(ge=10, le=_DRAWN_AT_MOST, description="Points to draw; of more, an even sample.")
]
_MAP_CAPTION = (
    "Filled marks are ok, hollow ones are not (hover says why), triangles are mere bounds. "
    "{errors} σ at 300 K is extrapolated along the Arrhenius line."
)
_HULL_CAPTION = "Energy above the hull of the competing phases; hollow marks are not ok."
_CUT = f" Of more candidates, {MOST_CANDIDATES} are looked at."
_NO_SECTION = "No hull through several compositions of one system"
_ERRORS = {2: "Bars are 95 % intervals.", 3: "Rings are the wider the larger the 95 % interval."}


@router.get("/figures/map", response_model=Answer, openapi_extra=FILTER_PARAMETERS)
def composition_map(
    request: Request,
    store: StoreDep,
    criteria: Criteria,
    system: Annotated[
        str | None,
        Query(max_length=300, description="Id of one of `systems`; default: the first."),
    ] = None,
    most: Most = MOST_POINTS,
) -> Response:
    """Draw candidates over their composition, coloured by log10 sigma(300 K), mS/cm.

    Binary systems as a line, ternary ones as a triangle; `systems` lists those that there are.
    """

    def make() -> Response:
        seen = overview(store, criteria, with_components=True)
        systems = mixed_systems(seen.points)
        chosen = _chosen(systems, system)
        figure = map_figure(chosen, most, seen.note) if chosen is not None else None
        size = len(chosen.components) if chosen is not None else 0
        n_placed = sum(len(one.points) for one in systems)
        return _shown(
            "map",
            "Conductivity over composition",
            _MAP_CAPTION.format(errors=_ERRORS.get(size, "")),
            figure,
            system=chosen.id if chosen is not None else None,
            systems=_heads(systems),
            n_candidates=seen.total,
            n_read=len(seen.points),
            n_unplaced=len(seen.points) - n_placed,
        )

    return kept(request, make, store.summaries, store.candidates)


@router.get("/figures/pareto", response_model=Answer, openapi_extra=FILTER_PARAMETERS)
def pareto(
    request: Request, store: StoreDep, criteria: Criteria, most: Most = MOST_POINTS
) -> Response:
    """Draw E_hull (meV/atom) against sigma(300 K) (mS/cm) with the Pareto front of what is ok."""

    def make() -> Response:
        seen = overview(store, criteria, with_front=True)
        return _shown(
            "pareto",
            "Stability against conductivity",
            "Best towards the upper left. Green: no other candidate of which both are ok is "
            "better in both, errors aside. Bars: 95 % intervals, of E_hull with the error of its "
            "level. Hollow: not ok; triangles: bounds of σ.",
            pareto_figure(seen, most),
            n_candidates=seen.total,
            n_read=len(seen.points),
        )

    return kept(request, make, store.summaries)


@router.get("/figures/hull", response_model=Answer, openapi_extra=FILTER_PARAMETERS)
def hull(
    request: Request,
    store: StoreDep,
    criteria: Criteria,
    show: Annotated[
        Literal["overview", "section", "ternary", "segregation"],
        Query(description="E_hull of all, or the hull through the compounds of a system."),
    ] = "overview",
    system: Annotated[
        str | None, Query(max_length=300, description="Id of one of `systems`; default: the first.")
    ] = None,
    most: Most = MOST_POINTS,
) -> Response:
    """Draw E_hull (meV/atom) over sodium content, or the hull along a system's compositions.

    The latter reads the hulls of at most 60 candidates, that with segregation of 20.
    """

    def make() -> Response:
        seen = overview(store, criteria, with_components=True)
        systems = mixed_systems(seen.points)
        counts = {"n_candidates": seen.total, "n_read": len(seen.points)}
        shared = {"systems": _heads(systems), **counts}
        if show == "overview":
            figure = hull_overview(seen, most)
            return _shown("hull", "Stability over composition", _HULL_CAPTION, figure, **shared)
        chosen = _chosen(systems, system)
        members = chosen.points if chosen is not None else []
        some = thinned([point for point, _ in members], _id_of, MOST_HULLS[show])
        found = results_of_kind(store, map(_id_of, some), ("hull",))
        views = ranked_views(
            [one.summary for one in found],
            {one.summary.candidate_id: one.documents for one in found},
        )
        entries = section_figures(views, segregation=show == "segregation")
        drawn = [entry for entry in entries if f"-{show}-" in entry[0]]
        title, caption, figure = drawn[0][1:] if drawn else (_NO_SECTION, "", None)
        cut = f" From {len(some)} of {len(members)} candidates." if len(some) < len(members) else ""
        chosen_id = chosen.id if chosen is not None else None
        return _shown(f"hull-{show}", title, caption + cut, figure, system=chosen_id, **shared)

    return kept(request, make, store.summaries, store.candidates, store.outputs)


@router.get("/figures/parity", response_model=Answer, openapi_extra=FILTER_PARAMETERS)
def parity(
    request: Request,
    store: StoreDep,
    criteria: Criteria,
    quantity: Annotated[
        Literal["sigma", "e_a"], Query(description="sigma(300 K) in mS/cm, or E_a in eV.")
    ] = "sigma",
    show: Annotated[
        Literal["parity", "residual"], Query(description="Computed against measured, or less it.")
    ] = "parity",
) -> Response:
    """Draw computed against measured values, intervals on both axes, like with like only."""

    def make() -> Response:
        field = SIGMA if quantity == "sigma" else ENERGY
        candidates, is_cut = literature_candidates(store, criteria)
        pairs = [
            one
            for one in comparisons(candidates)
            if one.published.row.quantity == field and one.published.row.kind == "experiment"
        ]
        alike = [one for one in pairs if one.like_with_like]
        draw = parity_figure if show == "parity" else residual_figure
        of = "σ(300 K)" if quantity == "sigma" else "Activation energy"
        titles = {"parity": "computed against measured", "residual": "computed less measured"}
        return _shown(
            f"parity-{quantity}-{show}",
            f"{of}: {titles[show]}",
            "Bars are 95 % intervals, or the published range. Hollow: not ok; triangles: bounds. "
            "Colours tell the level of theory. Samples that are neither this crystal nor this "
            "glass are left out." + (_CUT if is_cut else ""),
            draw(alike, field),
            n_pairs=len(pairs),
            n_like_with_like=len(alike),
            n_candidates=len(candidates),
            is_cut=is_cut,
        )

    return kept(request, make, store.summaries)


def _chosen(systems: list[MixedSystem], name: str | None) -> MixedSystem | None:
    """Return the system of this id, or the first."""
    if name is None:
        return next(iter(systems), None)
    known = {one.id: one for one in systems}
    if name not in known:
        raise UnknownNameError.of("system of these candidates", name, known)
    return known[name]


def _heads(systems: list[MixedSystem]) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "family": one.family,
            "components": one.components,
            "n_candidates": len(one.points),
        }
        for one in systems
    ]


def _id_of(point: OverviewPoint) -> str:
    return point.candidate_id


def _shown(name: str, title: str, caption: str, figure: Figure | None, **meta: object) -> Response:
    """Answer with a figure; without data where there is nothing to draw."""
    body = drawable(figure) if figure is not None else {"data": [], "layout": {}}
    head = {"id": name, "title": title, "caption": caption, "is_empty": figure is None}
    return answer(head | body, meta)
