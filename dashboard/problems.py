"""Errors as answers: which status they have, and the parts of their message as JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException

from ..errors import (
    AnalysisError,
    DocumentError,
    HaloflowError,
    InputError,
    NotFoundError,
    StoreError,
    StoreTimeoutError,
    TrajectoryError,
)

if TYPE_CHECKING:
    from fastapi import Request

_STATUS: tuple[tuple[type[HaloflowError], int], ...] = (
    (NotFoundError, 404),
    (AnalysisError, 404),
    (TrajectoryError, 404),
    (InputError, 400),
    (DocumentError, 500),
    (StoreError, 503),
)
_GIVEN_LENGTH = 200


def status_of(error: HaloflowError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def answer(
    status: int,
    problem: str,
    *,
    given: object = None,
    allowed: object = None,
    remedy: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return an answer that says what is wrong, was given, is allowed, and what to do."""
    parts = {"given": _plain(given), "allowed": _plain(allowed), "remedy": remedy}
    body = {"error": {"problem": problem, **parts}}
    return JSONResponse(body, status, {"Cache-Control": "no-store", **(headers or {})})


def answer_problem(_: Request, error: Exception) -> JSONResponse:
    """Answer an error that haloflow raised on purpose."""
    assert isinstance(error, HaloflowError)
    status = status_of(error)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return _trouble(error.problem, late=isinstance(error, StoreTimeoutError))
    return answer(
        status,
        error.problem,
        given=error.given,
        allowed=error.allowed,
        remedy=error.remedy,
    )


def answer_invalid_request(_: Request, error: Exception) -> JSONResponse:
    """Answer a parameter that is not what its declaration says."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place, *names = first["loc"]
    name = ".".join(map(str, names)) or place
    is_path = place == "path"
    return answer(
        404 if is_path else 400,
        f"the parameter {name} cannot be so",
        given=first.get("input"),
        allowed=first["msg"].removeprefix("Input should be ").removeprefix("Value error, "),
    )


def answer_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Answer an address that leads nowhere."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return answer(
            404,
            "there is nothing at this address",
            given=request.url.path,
            remedy="see /docs for all addresses",
        )
    headers = dict(error.headers) if error.headers else None
    return answer(error.status_code, str(error.detail), headers=headers)


def answer_server_trouble(_: Request, error: Exception) -> JSONResponse:
    """Answer that the MongoDB server did not answer, or not in time."""
    assert isinstance(error, PyMongoError)
    problem = f"the store does not answer: {type(error).__name__}"
    return _trouble(problem, late=bool(error.timeout))


def _trouble(problem: str, *, late: bool) -> JSONResponse:
    """Say that the store fails, but not where it lies, to whom need not know."""
    remedy = "ask for less: narrower filters, fewer rows" if late else "see where the server runs"
    return answer(
        HTTPStatus.SERVICE_UNAVAILABLE, problem, remedy=remedy, headers={"Retry-After": "5"}
    )


def _plain(value: Any) -> Any:  # noqa: ANN401  (any value)
    if isinstance(value, str):
        return value if len(value) <= _GIVEN_LENGTH else f"{value[:_GIVEN_LENGTH]}…"
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else _plain(repr(value))
