"""Figures of one candidate, made by the builders of the report."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ...errors import NotFoundError
from ...stores.documents import CandidateDocument
from ...stores.results import finished
from ...workflows.lookup import read_documents, summary_by_id
from ..panels import Panel
from ..panels_candidate import candidate_panels
from ..recent import Recent
from ..theme import drawable
from ..view import CandidateView
from .bodies import Answer, CandidateDep, answer, answer_list
from .dependencies import StoreDep

router = APIRouter(tags=["figures"])
_PREFIX = "of"
_KEPT = 16


@router.get("/candidates/{candidate_id}/figures", response_model=Answer)
def figures(request: Request, store: StoreDep, candidate: CandidateDep) -> Response:
    """List the figures that there are of a candidate, in the order of its page."""
    return answer_list([_head(panel) for panel in _panels(request, store, candidate)])


@router.get("/candidates/{candidate_id}/figures/{figure}", response_model=Answer)
def figure(request: Request, store: StoreDep, candidate: CandidateDep, figure: str) -> Response:
    """Give what plotly draws: data and layout, with its title and caption."""
    panels = {_name(panel): panel for panel in _panels(request, store, candidate)}
    if figure not in panels:
        raise NotFoundError(
            "the candidate has no such figure",
            given=figure,
            allowed=sorted(panels),
            remedy="take the id from the list of its figures",
        )
    return answer(_head(panels[figure]) | drawable(panels[figure].figure))


def _panels(request: Request, store: StoreDep, candidate: CandidateDocument) -> list[Panel]:
    """Return the panels of a candidate, made again when one of its steps has come or gone."""
    summary = summary_by_id(store, candidate)
    done = frozenset(finished(store, candidate.steps.values()))

    def make() -> list[Panel]:
        documents = read_documents(store, candidate).documents
        view = CandidateView(summary, documents, title=summary.label)
        return candidate_panels(view, _PREFIX)

    if not hasattr(request.app.state, "panels"):
        request.app.state.panels = Recent[list[Panel]](_KEPT)
    recent: Recent[list[Panel]] = request.app.state.panels
    return recent.get((candidate.candidate_id, done, summary.last_updated), make)


def _name(panel: Panel) -> str:
    return panel.id.removeprefix(f"{_PREFIX}-")


def _head(panel: Panel) -> dict[str, object]:
    return {
        "id": _name(panel),
        "title": panel.title,
        "caption": panel.caption,
        "section": panel.section,
        "height": panel.height,
    }
