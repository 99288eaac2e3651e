"""What the routers share: the open store, the candidate of an address, the form of answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Path, Request

from ...errors import NotFoundError
from ...stores.connection import HaloflowStore
from ...stores.documents import CandidateSummary
from ...stores.records import summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "/api/v1"
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+()-]{0,199}$"


def get_store(request: Request) -> HaloflowStore:
    """Return the store that the app shows."""
    store = request.app.state.store
    assert isinstance(store, HaloflowStore)
    return store


StoreDep = Annotated[HaloflowStore, Depends(get_store)]
"""The open store, as the argument of an endpoint."""

CandidateId = Annotated[
    str,
    Path(pattern=ID_PATTERN, max_length=200, description="Id of a candidate, in full."),
]


def get_summary(store: StoreDep, candidate_id: CandidateId) -> CandidateSummary:
    """Return the summary of the candidate in the path.

    Raises
    ------
    NotFoundError
        No candidate of the store has this id.
    """
    row = store.summaries.query_one({"candidate_id": candidate_id})
    if row is None:
        raise NotFoundError(
            "the store has no candidate of this id",
            given=candidate_id,
            remedy="take the id, in full, from /api/v1/candidates",
        )
    return summary_of(row)


SummaryDep = Annotated[CandidateSummary, Depends(get_summary)]
"""The summary of ``{candidate_id}`` in the path, or an answer 404."""


def finite(value: Any) -> Any:  # noqa: ANN401  (any JSON value)
    """Return a JSON value with ``None`` for each number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def data(value: Any, **meta: Any) -> dict[str, Any]:  # noqa: ANN401  (any JSON value)
    """Return the body of an answer: ``data``, and ``meta`` where there is any."""
    return {"data": finite(value), **({"meta": finite(meta)} if meta else {})}


def error_body(problem: str, **parts: object) -> Mapping[str, Any]:
    """Return the body of an answer that says what is wrong."""
    known = {name: parts.get(name) for name in ("given", "allowed", "remedy")}
    return {"error": {"problem": problem, **known}}
