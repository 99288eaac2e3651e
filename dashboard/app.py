"""The web application: REST API, pages and files of one store, for reading only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from .. import __version__
from ..errors import HaloflowError
from .answers import EntityTagMiddleware
from .api import HEAVY_ROUTERS, ROUTERS
from .api.candidates import CandidateResource
from .api.dependencies import PREFIX
from .api.kept import kept_answers
from .api.models import PROBLEMS
from .api.openapi import described
from .api.parameters import refuse_unknown_parameters
from .problems import (
    answer_http_exception,
    answer_invalid_request,
    answer_problem,
    answer_server_trouble,
)
from .security import LOOPBACK_HOSTS, SecurityMiddleware
from .turns import Turns, one_of_few

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Scope

    from ..stores.connection import HaloflowStore

STATIC: Final = Path(__file__).parent / "static"
_CHECKS: Final = [Depends(refuse_unknown_parameters)]
_IN_TURN: Final = [*_CHECKS, Depends(one_of_few, scope="function")]
FRONT_PAGE: Final = "explorer"
OPTIMADE_PATH: Final = "/optimade"
_DESCRIPTION = """\
Candidates for sodium solid electrolytes: stability, sodium transport, and how far each number
can be trusted. Only GET and HEAD. Numbers have the units that their descriptions name; what is
not known is null. Errors are `{"error": {"problem", "given", "allowed", "remedy"}}`.
"""


def create_app(
    store: HaloflowStore,
    *,
    token: str | None = None,
    allowed_hosts: Sequence[str] = LOOPBACK_HOSTS,
    optimade_url: str | None = None,
) -> FastAPI:
    """Return the application that shows `store`.

    Parameters
    ----------
    store
        Open store; the caller closes it.
    token
        What clients must know, as ``Authorization: Bearer`` or once as ``?token=``;
        ``None`` for no token.
    allowed_hosts
        Names under which the server answers, without ports.
    optimade_url
        Address of ``/optimade`` to name to clients; the endpoint is there where it is given
        (extra ``optimade``). The caller closes ``app.state.optimade.state.mirror``.
    """
    app = FastAPI(
        title="haloflow",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.store, app.state.turns, app.state.kept = store, Turns(), kept_answers()
    for router in (CandidateResource(store.summaries).router, *ROUTERS):
        app.include_router(router, prefix=PREFIX, responses=PROBLEMS, dependencies=_CHECKS)
    for router in HEAVY_ROUTERS:
        app.include_router(router, prefix=PREFIX, responses=PROBLEMS, dependencies=_IN_TURN)
    app.openapi = described(app, with_token=token is not None)  # type: ignore[method-assign]  # as FastAPI documents it
    _add_pages(app)
    if optimade_url is not None:
        from .optimade.app import create_optimade_app  # noqa: PLC0415  (an extra)

        app.state.optimade = create_optimade_app(store, base_url=optimade_url)
        app.mount(OPTIMADE_PATH, app.state.optimade)
    app.add_exception_handler(HaloflowError, answer_problem)
    app.add_exception_handler(RequestValidationError, answer_invalid_request)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_exception_handler(PyMongoError, answer_server_trouble)
    app.add_middleware(EntityTagMiddleware, prefix=PREFIX)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=4)
    app.add_middleware(SecurityMiddleware, allowed_hosts=allowed_hosts, token=token)
    return app


class _Files(StaticFiles):
    """Files of the package; a browser keeps those that are named with their hash."""

    def file_response(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  (starlette's)
        response = super().file_response(*args, **kwargs)
        scope: Scope = kwargs["scope"] if "scope" in kwargs else args[2]
        kept = "/vendor/" in scope["path"] and scope["query_string"]
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if kept else "no-cache"
        )
        return response


def _add_pages(app: FastAPI) -> None:
    app.mount("/static", _Files(directory=STATIC), name="static")
    for file in sorted(STATIC.glob("*.html")):
        path = "/" if file.stem == FRONT_PAGE else f"/{file.stem}"
        app.add_api_route(path, _page(file), include_in_schema=False)


def _page(file: Path) -> Any:  # noqa: ANN401  (an endpoint)
    def show() -> FileResponse:
        return FileResponse(file, media_type="text/html")

    return show
