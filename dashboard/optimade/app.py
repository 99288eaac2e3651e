"""The OPTIMADE endpoint: optimade-python-tools over the structures of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from optimade.exceptions import BadRequest, InternalServerError
from optimade.models import Implementation, Provider
from optimade.server.config import ServerConfig
from optimade.server.create_app import create_app
from optimade.server.exception_handlers import general_exception
from optimade.server.routers import landing
from pymongo.errors import PyMongoError
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware

from ... import __version__
from ...errors import StoreError
from .entries import PREFIX, described_fields
from .mirror import EntryMirror
from .structures import StoredStructures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI, Request
    from starlette.responses import Response

    from ...stores.connection import HaloflowStore

WAIT_S: Final = 4.0
PAGE_LIMIT_MAX: Final = 500


def create_optimade_app(store: HaloflowStore, *, base_url: str | None = None) -> FastAPI:
    """Return the application that gives the structures of `store` by OPTIMADE's rules.

    It keeps its entries in a passing folder (``app.state.mirror``, to be closed) and answers
    503 while they are made for the first time.

    Parameters
    ----------
    store
        Open store; it is only read.
    base_url
        Where the application is mounted; default: as each request names it.
    """
    config = _config(base_url)
    app: FastAPI = create_app(config, logger_tag=PREFIX)
    _keep_to_this_origin(app)
    app.add_exception_handler(RequestValidationError, _answer_wrong_parameter)
    app.add_exception_handler(Exception, _answer_fault)
    mirror = EntryMirror(store)
    collections = app.state.entry_collections
    collections["structures"] = StoredStructures(mirror.entries, collections["structures"])
    app.state.mirror = mirror
    app.add_middleware(_WhenReady, mirror=mirror)
    return app


def _answer_wrong_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())
    answer: Response = general_exception(request, BadRequest(detail=wrong))
    return answer


def _answer_fault(request: Request, _error: Exception) -> Response:
    """Say nothing of where the fault lies; the server's log does."""
    answer: Response = general_exception(request, InternalServerError(detail="a fault of haloflow"))
    return answer


def _config(base_url: str | None) -> ServerConfig:
    return ServerConfig(
        insert_test_data=False,
        base_url=base_url,
        page_limit_max=PAGE_LIMIT_MAX,
        provider=Provider(
            prefix=PREFIX,
            name="haloflow",
            description="Screening of sodium solid electrolytes with haloflow.",
        ),
        implementation=Implementation(name="haloflow", version=__version__),
        provider_fields={"structures": described_fields()},
    )


def _keep_to_this_origin(app: FastAPI) -> None:
    """Take away what lets other sites read the store, and the page that asks other sites."""
    app.user_middleware = [one for one in app.user_middleware if _class_of(one) != CORSMiddleware]
    app.router.routes = [route for route in app.router.routes if not _asks_others(route)]


def _class_of(middleware: Any) -> Any:  # noqa: ANN401  (starlette names only what makes one)
    return middleware.cls


def _asks_others(route: Any) -> bool:  # noqa: ANN401  (starlette's routes share no type)
    path = getattr(route, "path", "")
    is_landing = getattr(route, "original_router", None) is landing.router
    return is_landing or path.endswith(("/docs", "/redoc", "/oauth2-redirect"))


class _WhenReady(BaseHTTPMiddleware):
    """Lets requests through when the entries are there."""

    def __init__(self, app: Any, mirror: EntryMirror) -> None:  # noqa: ANN401  (ASGI)
        super().__init__(app)
        self._mirror = mirror

    async def dispatch(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Wait a moment for the entries, then answer."""
        try:
            if await run_in_threadpool(self._mirror.wait, WAIT_S):
                return await call_next(request)
        except (StoreError, PyMongoError):
            return _unavailable("the store cannot be used now; ask again in a moment")
        return _unavailable("the structures of the store are being prepared; ask again in a moment")


def _unavailable(detail: str) -> JSONResponse:
    error = {"status": "503", "title": "Service Unavailable", "detail": detail}
    return JSONResponse({"errors": [error]}, 503, {"Retry-After": "5"})
