"""The rows of ``/candidates`` as OpenAPI describes them: every field with its unit."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from ...stores import fields

_TYPES: dict[str, Any] = {"number": float, "text": str, "flag": bool, "list": list[str]}


def _described(field: fields.Field) -> str:
    unit = f", in {field.unit}" if field.unit else ""
    return f"{field.label}: {field.description}{unit}. null: not known."


_ROW: dict[str, Any] = {
    field.name: (_TYPES[field.type] | None, Field(None, description=_described(field)))
    for field in fields.FIELDS.values()
}
CandidateRow: type[BaseModel] = create_model(
    "CandidateRow",
    __config__=ConfigDict(extra="allow"),
    __doc__="The fields asked for, by short name; or the whole summary.",
    **_ROW,
)


class FieldModel(BaseModel):
    """A field of a candidate."""

    name: str = Field(description="Short name.")
    label: str = Field(description="Heading, without the unit.")
    unit: str = Field(description="Unit of a number; empty where there is none.")
    type: fields.FieldType
    description: str
    allowed: list[str] = Field([], description="The values it can have; empty for any.")

    @classmethod
    def of(cls, field: fields.Field) -> FieldModel:
        """Describe a field."""
        return cls(
            name=field.name,
            label=field.label,
            unit=field.unit,
            type=field.type,
            description=field.description,
            allowed=list(field.allowed),
        )


class PageMeta(BaseModel):
    """What a page is a part of."""

    total_doc: int = Field(description="Candidates that pass the filters.")
    skip: int
    limit: int
    sort: list[str] = Field(description="Fields sorted by; a '-' sorts downwards.")
    fields: list[FieldModel] = Field(description="Of the rows; empty for whole summaries.")
    next: str | None = Field(
        None, description="`_after` of the next page; null at the end, or where only _skip helps."
    )


class CandidatePage(BaseModel):
    """A page of candidates."""

    data: list[CandidateRow]
    meta: PageMeta


class Problem(BaseModel):
    """What is wrong, and what to do."""

    problem: str
    given: Any = None
    allowed: Any = None
    remedy: str | None = None


class ProblemAnswer(BaseModel):
    """The body of every answer that is an error."""

    error: Problem


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": ProblemAnswer, "description": "A parameter cannot be used."},
    404: {"model": ProblemAnswer, "description": "There is no such thing."},
    414: {"model": ProblemAnswer, "description": "The address is too long."},
    503: {"model": ProblemAnswer, "description": "The store does not answer in time."},
}
