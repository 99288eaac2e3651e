"""Answers that cost much, kept as they were given until what they are made of changes."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from fastapi import Request, Response

from ...stores.memory import version_of
from ..recent import Lately

if TYPE_CHECKING:
    from collections.abc import Callable

    from .maggma_api import Store

GOOD_FOR_S: Final = 5.0
"""Longest time until an answer tells of what was written since; see :class:`Lately`."""
_KEPT: Final = 128
_JSON: Final = "application/json"
_FASTEST: Final = 1
"""Compression: a figure of 400 kB is kept in a tenth of that."""

Bodies = Lately[bytes]
"""Compressed."""


def kept_answers() -> Bodies:
    """Return what an application keeps as ``app.state.kept``."""
    return Lately(_KEPT, GOOD_FOR_S)


def kept(request: Request, make: Callable[[], Response], *stores: Store) -> Response:
    """Return what `make` answers, or did when nothing was different.

    Parameters
    ----------
    request
        What is asked for.
    make
        Makes the answer, which is JSON.
    stores
        All collections that it is made of; none where it is made of more than these.
    """
    kept_: Bodies = request.app.state.kept
    asked = sorted(request.query_params.multi_items())
    key = (request.url.path, *asked)
    version = version_of(*stores) if stores else None
    body = kept_.get(key, lambda: zlib.compress(make().body, _FASTEST), version)
    return Response(zlib.decompress(body), media_type=_JSON)
