"""maggma's query operators for a page of candidates: bounded, checked, in a stable order."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from fastapi import Request

from ...errors import InputError
from ...stores.fields import DEFAULT_COLUMNS, FIELDS, get_fields
from . import values
from .cursor import LONGEST
from .filters import FILTER_PARAMETERS, criteria_of
from .maggma_api import QueryOperator

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
MAX_SKIP: Final = 1_000_000
MAX_SORT_FIELDS: Final = 5
DEFAULT_FIELDS: Final = ("id", *DEFAULT_COLUMNS)


def _parameter(name: str, description: str, **schema: object) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
    }


def _names(name: str, description: str, known: list[str], most: int) -> dict[str, Any]:
    items = {"type": "string", "enum": known}
    made = _parameter(name, description, type="array", items=items, minItems=1, maxItems=most)
    return {**made, "style": "form", "explode": False}


class DescribedQuery(QueryOperator):
    """A query operator that says which parameters it reads.

    Attributes
    ----------
    parameters
        As OpenAPI describes them.
    """

    parameters: ClassVar[list[dict[str, Any]]]


class FilterQuery(DescribedQuery):
    """Which candidates; see :mod:`haloflow.dashboard.api.filters`."""

    parameters: ClassVar[list[dict[str, Any]]] = FILTER_PARAMETERS["parameters"]

    def query(self, request: Request) -> dict[str, Any]:
        """Return the criteria that the query parameters say."""
        return {"criteria": criteria_of(request.query_params.multi_items())}


class PageQuery(DescribedQuery):
    """Which part of them: ``_skip`` and ``_limit``, or ``_page`` and ``_per_page``."""

    parameters: ClassVar[list[dict[str, Any]]] = [
        _parameter(
            "_limit",
            f"Most rows of the answer, 1 to {MAX_LIMIT}.",
            type="integer",
            minimum=1,
            maximum=MAX_LIMIT,
            default=DEFAULT_LIMIT,
        ),
        _parameter(
            "_skip", "Rows to pass over.", type="integer", minimum=0, maximum=MAX_SKIP, default=0
        ),
        _parameter(
            "_after",
            "What `next` of the meta of the page before says: rows after it, in the same order "
            "(_sort_fields). None comes twice and none is left out as others come or go.",
            type="string",
            minLength=1,
            maxLength=LONGEST,
        ),
        _parameter(
            "_page", "Page, from 1; not with _limit and _skip.", type="integer", minimum=1,
            maximum=MAX_SKIP,
        ),
        _parameter(
            "_per_page", f"Rows of a page, 1 to {MAX_LIMIT}; with _page.", type="integer",
            minimum=1, maximum=MAX_LIMIT,
        ),
    ]  # fmt: skip

    def query(self, request: Request) -> dict[str, Any]:
        """Return how many rows to pass over and to give.

        Raises
        ------
        InputError
            A number is out of bounds, or both ways of paging are used.
        """
        asked = request.query_params
        if "_after" in asked and asked.keys() & {"_skip", "_page", "_per_page"}:
            raise InputError(
                "a page is asked for in two ways",
                given=[name for name in asked if name in {"_after", "_skip", "_page", "_per_page"}],
                allowed="_after, or _skip, or _page and _per_page",
            )
        if "_page" not in asked and "_per_page" not in asked:
            limit = values.whole_number(
                "_limit", asked.get("_limit", str(DEFAULT_LIMIT)), 1, MAX_LIMIT
            )
            return {
                "after": asked.get("_after"),
                "skip": values.whole_number("_skip", asked.get("_skip", "0"), 0, MAX_SKIP),
                "limit": limit,
            }
        if "_limit" in asked or "_skip" in asked:
            raise InputError(
                "a page is asked for in two ways",
                given=[name for name in asked if name in {"_limit", "_skip", "_page", "_per_page"}],
                allowed="_skip and _limit, or _page and _per_page",
            )
        size = values.whole_number(
            "_per_page", asked.get("_per_page", str(DEFAULT_LIMIT)), 1, MAX_LIMIT
        )
        page = values.whole_number("_page", asked.get("_page", "1"), 1, MAX_SKIP // size + 1)
        return {"after": None, "skip": (page - 1) * size, "limit": size}


class SortQuery(DescribedQuery):
    """In which order: fields by their short names, missing values always last."""

    parameters: ClassVar[list[dict[str, Any]]] = [
        _names(
            "_sort_fields",
            "Fields to sort by, the first one counts most; -NAME sorts downwards. Missing values "
            "come last, equal ones in the order of their ids.",
            [*FIELDS, *(f"-{name}" for name in FIELDS)],
            MAX_SORT_FIELDS,
        )
    ]

    def query(self, request: Request) -> dict[str, Any]:
        """Return the fields to sort by, as :func:`~haloflow.stores.paging.find_page` takes them.

        Raises
        ------
        InputError
            There are too many fields, or one stands twice.
        UnknownNameError
            There is no such field.
        """
        given = request.query_params.get("_sort_fields")
        if given is None:
            return {"sort": []}
        asked = values.words("_sort_fields", given)
        names = [field.name for field in get_fields(name.removeprefix("-") for name in asked)]
        if len(names) > MAX_SORT_FIELDS or len(set(names)) < len(names):
            raise InputError(
                "the candidates cannot be sorted so",
                given=asked,
                allowed=f"up to {MAX_SORT_FIELDS} different fields",
            )
        downwards = [name.startswith("-") for name in asked]
        return {"sort": [f"-{n}" if down else n for n, down in zip(names, downwards, strict=True)]}


_MOST_FIELDS: Final = len(FIELDS) + values.MAX_ITEMS
"""All that there are, and as many of sweep variables and temperatures."""


class FieldsQuery(DescribedQuery):
    """What of each: fields by their short names, or the whole summary."""

    parameters: ClassVar[list[dict[str, Any]]] = [
        _names(
            "_fields",
            f"Fields of each row. Default: {', '.join(DEFAULT_FIELDS)}.",
            list(FIELDS),
            _MOST_FIELDS,
        ),
        _parameter(
            "_all_fields", "Give the whole summary of each instead.", type="boolean", default=False
        ),
    ]

    def query(self, request: Request) -> dict[str, Any]:
        """Return the names of the fields; ``None`` for the whole summary.

        Raises
        ------
        InputError
            ``_fields`` stands beside ``_all_fields=true``.
        UnknownNameError
            There is no such field.
        """
        asked = request.query_params
        given = asked.get("_fields")
        if values.flag("_all_fields", asked.get("_all_fields", "false")):
            if given is not None:
                raise InputError(
                    "fields are asked for in two ways",
                    given="_fields and _all_fields=true",
                    allowed="one of them",
                )
            return {"fields": None}
        names = (
            DEFAULT_FIELDS if given is None else values.words("_fields", given, most=_MOST_FIELDS)
        )
        return {"fields": list(dict.fromkeys(field.name for field in get_fields(names)))}
