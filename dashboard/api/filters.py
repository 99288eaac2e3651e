"""Which candidates: query parameters to a filter of the store, from the table of fields alone.

Clients name fields and give values. They never give an operator, a path or a pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from ...errors import InputError, UnknownNameError
from ...stores.fields import FIELDS, Field, get_field
from ...workflows.sweep import Stages
from . import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Read = Callable[[str, str], dict[str, Any]]

STAGES = tuple(Stages.model_fields)
_LIST = {"type": "array", "maxItems": values.MAX_ITEMS}
_VARIABLE = re.compile(r"(?P<name>[A-Za-z]\w{0,39}):(?P<low>[^:]*):(?P<high>[^:]*)", re.ASCII)
_TEMPLATE = re.compile(
    r"(var\.[A-Za-z]\w{0,39}?|d_\d{1,5}[kK]\w{0,12}?)(_min|_max|_not)?", re.ASCII
)


@dataclass(frozen=True)
class Filter:
    """A query parameter: how it is read, and how it is described.

    Attributes
    ----------
    read
        Turns the name and the text of the parameter into a filter of the store.
    schema
        JSON schema of the value, for OpenAPI.
    repeatable
        Whether it may stand more than once; all must then hold.
    """

    name: str
    description: str
    schema: dict[str, Any]
    read: Read
    repeatable: bool = False

    @property
    def openapi(self) -> dict[str, Any]:
        """The parameter as OpenAPI describes it."""
        style = {"style": "form", "explode": self.repeatable}
        return {
            "name": self.name,
            "in": "query",
            "required": False,
            "description": self.description,
            "schema": self.schema,
            **(style if self.schema["type"] == "array" else {}),
        }


def _filters_of(field: Field) -> list[Filter]:
    what = f"{field.label}: {field.description}" + (f", in {field.unit}" if field.unit else "")
    if field.path == "last_updated":
        return _bounds(field, what, {"type": "string", "maxLength": 40}, values.time)
    if field.type == "number":
        return _bounds(field, what, {"type": "number"}, values.number)
    if field.type == "flag":
        read = _reader(field, "$eq", values.flag)
        return [Filter(field.name, what, {"type": "boolean"}, read)]
    item: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": values.MAX_TEXT}
    if field.allowed:
        item = {"type": "string", "enum": list(field.allowed)}
    schema = {**_LIST, "items": item, "minItems": 1}

    def words(name: str, text: str) -> list[str]:
        found = values.words(name, text, field.allowed)
        return ["-".join(sorted(w.split("-"))) for w in found] if field.path == "chemsys" else found

    return [
        Filter(field.name, f"{what}. Any of these.", schema, _reader(field, "$in", words)),
        Filter(
            f"{field.name}_not", f"{what}. None of these.", schema, _reader(field, "$nin", words)
        ),
    ]


def _bounds(
    field: Field, what: str, schema: dict[str, Any], parse: Callable[[str, str], Any]
) -> list[Filter]:
    low, high = _reader(field, "$gte", parse), _reader(field, "$lte", parse)
    return [
        Filter(f"{field.name}_min", f"{what}. At least this.", schema, low),
        Filter(f"{field.name}_max", f"{what}. At most this.", schema, high),
    ]


def _reader(field: Field, operator: str, parse: Callable[[str, str], Any]) -> Read:
    return lambda name, text: {field.path: {operator: parse(name, text)}}


def _has(name: str, text: str) -> dict[str, Any]:
    fields = [get_field(word) for word in values.words(name, text)]
    return {"$and": [{field.path: {"$ne": None}} for field in fields]}


def _holds(symbols: Iterable[str]) -> dict[str, Any]:
    """Return the filter for systems with any of these elements, which must be known ones."""
    return {"chemsys": {"$regex": f"(^|-)({'|'.join(symbols)})(-|$)"}}


def _elements_all(name: str, text: str) -> dict[str, Any]:
    return {"$and": [_holds([symbol]) for symbol in values.elements(name, text)]}


def _elements_any(name: str, text: str) -> dict[str, Any]:
    return _holds(values.elements(name, text))


def _elements_none(name: str, text: str) -> dict[str, Any]:
    return {"$nor": [_holds(values.elements(name, text))]}


def _any_level(name: str, text: str) -> dict[str, Any]:
    wanted = values.words(name, text)
    return {"$or": [{f"levels.{stage}": {"$in": wanted}} for stage in STAGES]}


def _level_of(stage: str) -> Read:
    return lambda name, text: {f"levels.{stage}": {"$in": values.words(name, text)}}


def _variable(name: str, text: str) -> dict[str, Any]:
    found = _VARIABLE.fullmatch(text)
    if found is None or not (found["low"] or found["high"]):
        raise InputError(
            f"the value of {name} cannot be used",
            given=text[: values.MAX_TEXT],
            allowed="NAME:LOWEST:HIGHEST, e.g. x:0.2:0.8; one of the ends may be left out",
        )
    ends = (("$gte", found["low"]), ("$lte", found["high"]))
    bounds = {operator: values.number(name, end) for operator, end in ends if end}
    return {f"variables.{found['name']}": bounds}


def _text(name: str, text: str) -> dict[str, Any]:
    pattern = {"$regex": re.escape(values.plain_text(name, text)), "$options": "i"}
    return {"$or": [{"label": pattern}, {"formula": pattern}]}


def _special() -> list[Filter]:
    elements = {**_LIST, "items": {"type": "string", "enum": sorted(values.ELEMENTS)}}
    names = {**_LIST, "items": {"type": "string", "enum": list(FIELDS)}}
    levels = {**_LIST, "items": {"type": "string", "minLength": 1, "maxLength": values.MAX_TEXT}}
    bounds = {**_LIST, "items": {"type": "string", "pattern": r"^[A-Za-z]\w*:[^:]*:[^:]*$"}}
    text = {"type": "string", "minLength": 1, "maxLength": values.MAX_TEXT}
    word = "case does not matter"
    return [
        Filter("has", "Fields that must be known.", names, _has),
        Filter("elements_all", "Elements that must all be in it.", elements, _elements_all),
        Filter("elements_any", "Elements one of which must be in it.", elements, _elements_any),
        Filter("elements_none", "Elements that must not be in it.", elements, _elements_none),
        Filter("level", "Levels of theory, of any stage.", levels, _any_level),
        *[
            Filter(f"level_{stage}", f"Levels of theory of {stage}.", levels, _level_of(stage))
            for stage in STAGES
        ],
        Filter(
            "variable",
            "Sweep variable within bounds: NAME:LOWEST:HIGHEST.",
            bounds,
            _variable,
            repeatable=True,
        ),
        Filter("text", f"Part of the label or of the formula; {word}.", text, _text),
    ]


_ALL = [*(one for field in FIELDS.values() for one in _filters_of(field)), *_special()]
FILTERS: dict[str, Filter] = {one.name: one for one in _ALL}


def get_filter(name: str) -> Filter | None:
    """Return the filter of a query parameter; also of ``var.x_min``, ``d_600K_max``..."""
    if name in FILTERS:
        return FILTERS[name]
    template = _TEMPLATE.fullmatch(name)
    if template is None:
        return None
    try:
        field = get_field(template[1])
    except UnknownNameError:  # no filter: the caller says which there are
        return None
    known = {one.name: one for one in _filters_of(field)}
    return known.get(field.name + (template[2] or ""))


def can_be_asked(name: str, value: str) -> bool:
    """Tell whether the filter `name` takes `value`, in quotes where it needs them."""
    known = get_filter(name)
    try:
        return (
            known is not None and value == value.strip() and bool(known.read(name, quoted(value)))
        )
    except InputError:  # that is the answer
        return False


def quoted(value: str) -> str:
    """Return a value as one item of a list between commas."""
    return '"' + value.replace('"', '""') + '"' if {",", '"'} & set(value) else value


def criteria_of(asked: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the filter for which all query parameters hold; ``{}`` for none.

    Parameters that are no filters are passed over.

    Raises
    ------
    InputError, UnknownNameError
        A value does not fit its parameter.
    """
    parts = [one.read(name, text) for name, text in asked if (one := get_filter(name))]
    return parts[0] if len(parts) == 1 else {"$and": parts} if parts else {}


def _criteria(request: Request) -> dict[str, Any]:
    return criteria_of(request.query_params.multi_items())


Criteria = Annotated[dict[str, Any], Depends(_criteria)]
"""The filter that the query parameters say, as the argument of an endpoint."""

FILTER_PARAMETERS: dict[str, Any] = {
    "parameters": [one.openapi for one in FILTERS.values()],
    "x-filters": True,
}
"""``openapi_extra`` of an endpoint that takes :data:`Criteria`."""
