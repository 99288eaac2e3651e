"""What an endpoint gives back: JSON without gaps in the language, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import Depends, Response
from pydantic import BaseModel

from ...stores.documents import CandidateDocument
from ...workflows.lookup import candidate_by_id
from .dependencies import CandidateId, StoreDep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Answer(BaseModel):
    """One thing, or a list of things with what is known of the whole list."""

    data: Any
    meta: dict[str, Any] | None = None


def answer(data: object, meta: Mapping[str, object] | None = None) -> Response:
    """Return `data` as JSON; what is no number (NaN, infinity) becomes null."""
    body: dict[str, object] = {"data": data}
    if meta is not None:
        body["meta"] = meta
    content = orjson.dumps(
        body,
        default=_plain,
        option=orjson.OPT_SERIALIZE_NUMPY
        | orjson.OPT_NON_STR_KEYS
        | orjson.OPT_NAIVE_UTC
        | orjson.OPT_UTC_Z,
    )
    return Response(content, media_type="application/json")


def answer_list(rows: Sequence[object], **meta: object) -> Response:
    """Return rows with their number, and what else is known of them."""
    return answer(rows, {"total_doc": len(rows), **meta})


def attachment(content: str, media_type: str, file_name: str) -> Response:
    """Return a file to be saved; its name is reduced to what every system takes."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in file_name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return Response(content, media_type=f"{media_type}; charset=utf-8", headers=headers)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(type(value).__name__)


def _candidate(store: StoreDep, candidate_id: CandidateId) -> CandidateDocument:
    return candidate_by_id(store, candidate_id)


CandidateDep = Annotated[CandidateDocument, Depends(_candidate)]
