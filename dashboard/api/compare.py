"""Up to six candidates over each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from ...errors import InputError, NotFoundError, UnknownNameError
from ...workflows.lookup import results_of_kind
from ..figures_compare import compare_arrhenius, compare_msd, compare_rdf
from ..panels import candidate_facts
from ..theme import drawable
from ..view import CandidateView, candidate_colour, unique_titles
from .bodies import Answer, answer
from .dependencies import StoreDep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..theme import Figure

router = APIRouter(tags=["compare"])
MOST_CANDIDATES: Final = 6
_KINDS = ("diffusion", "transport", "structure", "hull", "melt_quench")
_ARRHENIUS_CAPTION: Final = (
    "Solid where data stand, dotted where extrapolated; stars at 300 K are extrapolated. Long "
    "dashes: regimes of different activation energy. Hollow: not ok."
)
_FIGURES: Final[dict[str, tuple[str, str, Callable[[Sequence[CandidateView]], Figure | None]]]] = {
    "arrhenius": (
        "Conductivity over temperature",
        _ARRHENIUS_CAPTION,
        compare_arrhenius,
    ),
    "msd": (
        "Mean squared displacement",
        "Of the mobile ions, at the temperature chosen in the menu; slope 1 is diffusion.",
        compare_msd,
    ),
    "rdf": (
        "Pair distribution functions",
        "Of the pair and at the temperature chosen in the menu.",
        compare_rdf,
    ),
}


@router.get("/compare", response_model=Answer)
def compare(
    store: StoreDep,
    ids: Annotated[
        str, Query(min_length=1, max_length=1300, description="Ids of candidates, by commas.")
    ],
    figures: Annotated[
        str, Query(max_length=100, description=f"Of {', '.join(_FIGURES)}, by commas.")
    ] = ",".join(_FIGURES),
) -> Response:
    """Give up to six candidates with their results, and figures with all of them in one plot.

    `facts` are quantities with value, sd, 95 % bounds, status and unit, or words.
    """
    views = _views(store, _listed("candidates", ids, MOST_CANDIDATES))
    wanted = _listed("figures", figures, len(_FIGURES))
    for name in wanted:
        if name not in _FIGURES:
            raise UnknownNameError.of("figure to compare", name, _FIGURES)
    return answer(
        {
            "candidates": [_shown(view, index) for index, view in enumerate(views)],
            "figures": [_figure(name, _with_levels(views)) for name in wanted],
        }
    )


def _listed(what: str, text: str, most: int) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not 1 <= len(names) <= most:
        raise InputError(
            f"the number of {what} to compare is out of range",
            given=len(names),
            allowed=f"1 to {most}",
        )
    return names


def _views(store: StoreDep, ids: list[str]) -> list[CandidateView]:
    found = results_of_kind(store, ids, _KINDS)
    known = {one.summary.candidate_id: one for one in found}
    if missing := [name for name in ids if name not in known]:
        raise NotFoundError(
            "the store has no candidate of this id",
            given=", ".join(missing),
            remedy="take the id, in full, from the list of candidates",
        )
    titles = unique_titles(one.summary for one in found)
    return [
        CandidateView(known[name].summary, known[name].documents, title=titles[name])
        for name in ids
    ]


def _with_levels(views: list[CandidateView]) -> list[CandidateView]:
    """Return the views with the level of their dynamics in the title, where these differ."""
    levels = {view.summary.levels.get("md") for view in views}
    if len(levels) == 1:
        return views
    return [
        replace(view, title=f"{view.title} ({view.summary.levels.get('md', 'no level')})")
        for view in views
    ]


def _shown(view: CandidateView, index: int) -> dict[str, Any]:
    facts = [fact.row() for fact in candidate_facts(view)]
    summary = view.summary.model_dump(mode="json", exclude={"steps"})
    return {
        **summary,
        "title": view.title,
        "colour": candidate_colour(index),
        "facts": facts,
    }


def _figure(name: str, views: Sequence[CandidateView]) -> dict[str, Any]:
    title, caption, draw = _FIGURES[name]
    figure = draw(views)
    body = drawable(figure) if figure is not None else {"data": [], "layout": {}}
    head = {"id": name, "title": title, "caption": caption, "is_empty": figure is None}
    return head | body
