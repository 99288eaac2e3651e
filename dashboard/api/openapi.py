"""The OpenAPI document, as what is really answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

_NEVER = "422"
"""FastAPI's answer to a wrong parameter; ours is 400, or 404 for one in the path."""
_UNUSED = ("HTTPValidationError", "ValidationError")


def described(app: FastAPI, *, with_token: bool) -> Callable[[], dict[str, Any]]:
    """Return what makes the OpenAPI document of `app`, once."""
    describe = app.openapi

    def make() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _corrected(describe(), with_token=with_token)
        return app.openapi_schema

    return make


def _corrected(document: dict[str, Any], *, with_token: bool) -> dict[str, Any]:
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop(_NEVER, None)
    parts = document["components"]
    for name in _UNUSED:
        parts["schemas"].pop(name, None)
    if with_token:
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document
