"""``/candidates``: pages of candidates, one of them in full, and counts by property."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from ...stores.facets import count_facets
from ...stores.fields import Field, get_field, get_fields
from ...stores.memory import version_of
from ...stores.paging import find_page
from ...stores.ranking import Ranking
from ...stores.records import summary_of
from ...workflows.lookup import read_documents, summary_by_id
from ..cautions import shown_phases
from ..panels import candidate_facts
from ..recent import Lately
from ..view import CandidateView
from ..wording import footnotes, screen_text
from .bodies import Answer, CandidateDep, answer
from .cursor import criteria_after, cursor_after
from .dependencies import StoreDep
from .filters import FILTER_PARAMETERS, Criteria, can_be_asked
from .kept import GOOD_FOR_S, kept
from .maggma_api import ReadOnlyResource, attach_query_ops, merge_queries
from .models import CandidatePage, CandidateRow, FieldModel
from .operators import FieldsQuery, FilterQuery, PageQuery, SortQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...stores.connection import HaloflowStore
    from .maggma_api import Store

router = APIRouter(tags=["candidates"])
_FILTER_OF = {"element": "elements_all"}
OPERATORS = (FilterQuery(), PageQuery(), SortQuery(), FieldsQuery())


class CandidateResource(ReadOnlyResource):
    """maggma's read-only resource over the summaries, with pages from the store's own paging.

    The search of maggma sorts missing values first when going upwards, and reads every row
    of the collection where ``limit`` is 0; its other routes are not wanted.
    """

    def __init__(self, summaries: Store) -> None:
        # maggma changes the model that it is given: it loses its descriptions
        model = type("CandidateRow", (CandidateRow,), {})
        super().__init__(
            summaries,
            model,
            tags=["candidates"],
            query_operators=list(OPERATORS),
            sub_path="/candidates",
        )

    def setup_redirect(self) -> None:
        """Leave out maggma's redirection, which leads to no route."""

    def build_dynamic_model_search(self) -> None:
        """Add the endpoint that answers a page."""

        def search(**queries: Any) -> Response:  # noqa: ANN401  (maggma's signature)
            asked = merge_queries([queries[f"dep{i}"] for i in range(len(OPERATORS))])
            return _page(self.store, asked)

        endpoint = attach_query_ops(search, self.query_operators)
        endpoint.__doc__ = "Give the candidates that pass all filters, page by page."
        self.router.get(
            self.sub_path,
            tags=self.tags,
            summary="Search candidates",
            response_model=CandidatePage,
            openapi_extra={
                **FILTER_PARAMETERS,
                "parameters": [one for operator in OPERATORS for one in operator.parameters],
            },
        )(endpoint)


def _page(summaries: Store, asked: Mapping[str, Any]) -> Response:
    fields = None if asked["fields"] is None else get_fields(asked["fields"])
    sort = [(get_field(name.removeprefix("-")), name[0] == "-") for name in asked["sort"]]
    shown = [*(fields or ()), *(field for field, _ in sort)]
    criteria, after = asked["criteria"], asked["after"]
    if after is not None:
        criteria = {
            "$and": [criteria_after(after, asked["sort"]), *([criteria] if criteria else [])]
        }
    page = find_page(
        summaries,
        criteria,
        sort=sort,
        skip=asked["skip"],
        limit=asked["limit"],
        properties=None if fields is None else [field.path for field in shown],
    )
    is_last = asked["skip"] + len(page.rows) >= page.total
    if fields is None:
        rows = [summary_of(record).model_dump(mode="json") for record in page.rows]
    else:
        rows = [_row(record, fields) for record in page.rows]
    meta = {
        "total_doc": page.total if after is None else summaries.count(asked["criteria"]),
        "skip": asked["skip"],
        "limit": asked["limit"],
        "sort": asked["sort"],
        "fields": [FieldModel.of(field) for field in fields or ()],
        "next": None if is_last or not page.rows else cursor_after(page.rows[-1], asked["sort"]),
    }
    return answer(rows, meta)


def _row(record: Any, fields: list[Field]) -> dict[str, Any]:  # noqa: ANN401  (a raw document)
    return {field.name: field.of(record) for field in fields}


@router.get("/facets", response_model=Answer, openapi_extra=FILTER_PARAMETERS)
def facets(request: Request, store: StoreDep, criteria: Criteria) -> Response:
    """Count the candidates that pass all filters by family, phase, status, system, element...

    Each list is sorted by count, and holds what the filter of its name takes (`elements_all`
    for `element`). `left_out` says how many other values there are: empty, too long, or with
    control characters.
    """
    return kept(request, lambda: _facets(store, criteria), store.summaries)


def _facets(store: HaloflowStore, criteria: dict[str, Any]) -> Response:
    counts = count_facets(store.summaries, criteria)
    shown = {
        name: {
            value: n
            for value, n in found.items()
            if can_be_asked(_FILTER_OF.get(name, name), value)
        }
        for name, found in counts.items()
    }
    left_out = {name: n for name in counts if (n := len(counts[name]) - len(shown[name]))}
    return answer(shown, {"left_out": left_out})


@router.get("/candidates/{candidate_id}", response_model=Answer)
def candidate(request: Request, store: StoreDep, candidate: CandidateDep) -> Response:
    """Give the whole summary of a candidate, its place in the ranking, and its cautions.

    `rank` counts from 1; null where E_hull or sigma(300 K) is not ok. `cautions` concern this
    candidate, `footnotes` the level of theory and the phases that it is compared with;
    `facts` are its results in words, each with unit, status and why it is not ok; `screen`
    is what `passes_screen` answers.
    """
    summary = summary_by_id(store, candidate)
    documents = read_documents(store, candidate, kinds=("hull", "melt_quench")).documents
    view = CandidateView(summary, documents, title=summary.label)
    cautions = [summary.phase_note] if summary.phase_note else []
    return answer(
        {
            **summary.model_dump(mode="json"),
            "rank": _ranking(request, store).place_of(summary),
            "cautions": [*cautions, *summary.warnings],
            "footnotes": footnotes([summary], shown_phases(documents.values())),
            "facts": [fact.row() for fact in candidate_facts(view)],
            "screen": {"criteria": candidate.screen, "text": screen_text(candidate.screen)},
        }
    )


def _ranking(request: Request, store: HaloflowStore) -> Ranking:
    if not hasattr(request.app.state, "rankings"):
        request.app.state.rankings = Lately[Ranking](1, GOOD_FOR_S)
    rankings: Lately[Ranking] = request.app.state.rankings
    version = version_of(store.summaries)
    return rankings.get("", lambda: Ranking.of(store.summaries), version)
