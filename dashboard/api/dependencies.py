"""What the routers share: where it lies, the open store, the id in a path."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from ...stores.connection import HaloflowStore

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
