"""``/fields``: what candidates can be filtered and sorted by, with units."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ...stores.fields import FIELDS
from .bodies import Answer, answer
from .models import FieldModel
from .operators import DEFAULT_FIELDS

router = APIRouter(tags=["candidates"])

TEMPLATES = (
    {
        "name": "var.<name>",
        "label": "sweep variable",
        "unit": "",
        "type": "number",
        "description": "a variable of a sweep, e.g. var.x",
    },
    {
        "name": "d_<T>K",
        "label": "D(T)",
        "unit": "cm2/s",
        "type": "number",
        "description": "Na tracer diffusivity, e.g. d_600K; also _sd, _lower, _upper, _status",
    },
    {
        "name": "level_<stage>",
        "label": "level of theory",
        "unit": "",
        "type": "text",
        "description": "of relax, hull, melt_quench or md, e.g. level_md",
    },
)


@router.get("/fields", summary="Fields of a candidate", response_model=Answer)
def list_fields() -> Response:
    """Give every field by its short name, with label, unit, type and allowed values.

    `templates` name the families of fields that depend on the sweep.
    """
    rows = [FieldModel.of(field) for field in FIELDS.values()]
    return answer(rows, {"default": DEFAULT_FIELDS, "templates": TEMPLATES})
