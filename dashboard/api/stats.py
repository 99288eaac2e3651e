"""What a store holds in numbers."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ...workflows.statistics import statistics
from .bodies import Answer, answer
from .dependencies import StoreDep
from .filters import FILTER_PARAMETERS, Criteria
from .kept import kept

router = APIRouter(tags=["campaign"])


@router.get("/stats", response_model=Answer, openapi_extra=FILTER_PARAMETERS)
def stats(request: Request, store: StoreDep, criteria: Criteria) -> Response:
    """Count candidates by property and level; ranges and quantiles of what is ok.

    E_hull in eV/atom, sigma(300 K) in mS/cm, E_a in eV, wall time in s.
    """
    return kept(request, lambda: answer(statistics(store, criteria)), store.summaries)
