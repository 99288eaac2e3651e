"""A filter of the store as query parameters of the REST API, as far as these can say it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from .fields import FIELDS, get_field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .fields import Field

_BOUNDS: Final = {"$gte": "_min", "$gt": "_min", "$lte": "_max", "$lt": "_max"}
_LONGEST: Final = 80
_BY_PATH: Final = {field.path: field for field in FIELDS.values()}


def narrowing_parameters(criteria: Mapping[str, Any]) -> dict[str, str]:
    """Return query parameters that let everything pass for which `criteria` hold.

    Only comparisons of single fields that must all hold are said; the rest (``or``, ``not``,
    regular expressions) is left for whoever gets the answer.
    """
    parameters: dict[str, str] = {}
    bounds: dict[str, float] = {}
    for path, operator, value in _comparisons(criteria):
        field = _field(path)
        if field is None or isinstance(value, bool) != (field.type == "flag"):
            continue
        if field.type == "flag" and operator == "$eq":
            parameters[field.name] = str(value).lower()
        elif field.type in {"text", "list"} and operator == "$eq" and _plain(value):
            parameters.setdefault(field.name, value)
        elif field.type == "number" and isinstance(value, int | float) and math.isfinite(value):
            for suffix in _sides(operator):
                tighter = max if suffix == "_min" else min
                name = field.name + suffix
                bounds[name] = tighter(bounds.get(name, value), value)
    return parameters | {name: repr(float(value)) for name, value in bounds.items()}


def _comparisons(criteria: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield path, operator and value of what must hold in any case."""
    for key, condition in criteria.items():
        if key == "$and":
            for part in condition:
                yield from _comparisons(part)
        elif not key.startswith("$"):
            known = condition if isinstance(condition, dict) else {"$eq": condition}
            yield from ((key, operator, value) for operator, value in known.items())


def _sides(operator: str) -> tuple[str, ...]:
    if operator == "$eq":
        return ("_min", "_max")
    return (_BOUNDS[operator],) if operator in _BOUNDS else ()


def _plain(value: object) -> bool:
    """Whether a text is one item of a list in an address."""
    return (
        isinstance(value, str)
        and value.isprintable()
        and 0 < len(value.strip()) == len(value) <= _LONGEST
        and "," not in value
    )


def _field(path: str) -> Field | None:
    """Return the field of a path, if one of the table or a sweep variable."""
    if path.startswith("variables."):
        return get_field(f"var.{path.removeprefix('variables.')}")
    field = _BY_PATH.get(path)
    return None if field is None or field.path == "last_updated" else field
