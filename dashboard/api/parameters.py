"""Query parameters that an endpoint does not know, or that stand twice: refused for all alike."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fastapi import Request

from ...errors import InputError, UnknownNameError
from .filters import FILTERS, get_filter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant
    from fastapi.routing import APIRoute

_FREQUENT = ("_limit", "_skip", "_sort_fields", "_fields", "text", "sigma_min", "e_hull_max")


def refuse_unknown_parameters(request: Request) -> None:
    """Raise where the query has a parameter that the endpoint does not take.

    Raises
    ------
    UnknownNameError
        There is no such parameter; near names are suggested.
    InputError
        A parameter stands more than once.
    """
    if not request.query_params:
        return
    known, filters = _known(request.scope["route"])
    counts = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in counts.items():
        one = get_filter(name) if filters else None
        if one is None and name not in known:
            raise _unknown(name, known)
        if count > 1 and not (one and one.repeatable):
            raise InputError(
                f"the parameter {name[:50]} stands more than once",
                given=count,
                remedy="join the values with commas where it takes a list",
            )


def _known(route: APIRoute) -> tuple[set[str], bool]:
    """Return the parameters of a route, and whether it takes all filters too."""
    extra = route.openapi_extra or {}
    declared = {one["name"] for one in extra.get("parameters", ())}
    return declared.union(_read_by(route.dependant)), bool(extra.get("x-filters"))


def _read_by(dependant: Dependant) -> Iterator[str]:
    yield from (one.alias for one in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _read_by(inner)


def _unknown(name: str, known: set[str]) -> InputError:
    error = UnknownNameError.of("parameter", name[:100], known)
    if len(known) >= len(FILTERS):
        frequent = [one for one in _FREQUENT if one in known]
        error.allowed = f"{', '.join(frequent)}... see /docs for all {len(known)}"
    elif not known:
        error.allowed, error.remedy = "none at this address", "leave it out"
    return error
