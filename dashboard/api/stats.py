"""What a store holds in numbers."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from ...workflows.statistics import statistics
from ..recent import Lately
from .bodies import Answer, answer
from .dependencies import StoreDep
from .filters import FILTER_PARAMETERS, Criteria

router = APIRouter(tags=["campaign"])
_KEPT = 32
_LEAST_S = 10.0


@router.get("/stats", response_model=Answer, openapi_extra=FILTER_PARAMETERS)
def stats(request: Request, store: StoreDep, criteria: Criteria) -> Response:
    """Count candidates by property and level; ranges and quantiles of what is ok.

    E_hull in eV/atom, sigma(300 K) in mS/cm, E_a in eV, wall time in s.
    """
    if not hasattr(request.app.state, "statistics"):
        request.app.state.statistics = Lately[dict[str, Any]](_KEPT, _LEAST_S)
    lately: Lately[dict[str, Any]] = request.app.state.statistics
    key = json.dumps(criteria, sort_keys=True, default=str)
    return answer(lately.get(key, lambda: statistics(store, criteria)))
