"""``/fields``: what candidates can be filtered and sorted by, with units."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ...stores.fields import DEFAULT_COLUMNS, FIELDS, Field
from .dependencies import data

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
)


def described(field: Field) -> dict[str, Any]:
    """Return what a page needs to know of a field."""
    return {
        "name": field.name,
        "label": field.label,
        "unit": field.unit,
        "type": field.type,
        "description": field.description,
        "allowed": list(field.allowed),
    }


@router.get("/fields", summary="Fields of a candidate")
def list_fields() -> dict[str, Any]:
    """Return every field by its short name, with label, unit, type and allowed values.

    `templates` name the families of fields that depend on the sweep.
    """
    return data(
        [described(field) for field in FIELDS.values()],
        default=["id", *DEFAULT_COLUMNS],
        templates=list(TEMPLATES),
    )
