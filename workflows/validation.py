"""From pydantic's findings to one message that a person can act on."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from ..errors import SweepError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LONGEST_SHOWN = 80
_MAY_HOLD_SECRETS = frozenset(("trajectory_store",))
"""Fields whose messages show what was given without its secrets."""


def sweep_error(error: ValidationError, model: type[BaseModel], source: str) -> SweepError:
    """Turn pydantic's `error` into one error naming field, value, what is allowed, remedy."""
    found = _merge_unions(error.errors(include_url=False))
    lines = [_line(detail, model) for detail in found]
    count = f"{len(lines)} fields" if len(lines) > 1 else "a field"
    return SweepError(
        f"{source}: {count} cannot be used",
        given="\n  - " + "\n  - ".join(lines),
        remedy="mend the fields named; docs/sweep.md lists every field with its default",
    )


_KINDS = {
    "list_type": "a list",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "literal_error": "{expected}",
}


def _merge_unions(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Keep one finding per field: a union reports each of its members that failed.

    What a member says about its contents counts more than that another member is a list,
    a mapping or a word; where all say that, their kinds are joined.
    """
    merged: dict[str, ErrorDetails] = {}
    for detail in sorted(details, key=lambda d: (d["type"] in _KINDS, -len(_path(d)))):
        path = ".".join(_path(detail))
        if detail["type"] not in _KINDS:
            merged.setdefault(path, detail)
        elif path in merged and merged[path]["type"] in _KINDS:
            merged[path]["msg"] += f" or {_kind(detail)}"
        elif not any(f"{known}.".startswith(f"{path}.") for known in merged):
            merged[path] = detail | {"msg": f"input should be {_kind(detail)}"}
    return list(merged.values())


def _kind(detail: ErrorDetails) -> str:
    return _KINDS[detail["type"]].format(**detail.get("ctx", {}))


def _path(detail: ErrorDetails) -> list[str]:
    """Return the location without the names of union members and validators."""
    path = []
    for part in detail["loc"]:
        text = str(part)
        if "[" in text or text in {"GridRange", "function-after", "float", "str", "list"}:
            continue
        path.append(text)
    return path


def _line(detail: ErrorDetails, model: type[BaseModel]) -> str:
    path = _path(detail)
    field = ".".join(path) or "the file"
    if detail["type"] == "extra_forbidden":
        return _unknown_key(path, model)
    if detail["type"] == "missing":
        return f"{field}: missing; add it"
    message = detail["msg"].removeprefix("Value error, ")
    value = detail["input"]
    long = isinstance(value, (dict, list)) and len(str(value)) > _LONGEST_SHOWN
    shown = "" if long or field in _MAY_HOLD_SECRETS else f" {value!r}"
    return f"{field}:{shown} is not allowed; {message[0].lower()}{message[1:]}"


def _unknown_key(path: list[str], model: type[BaseModel]) -> str:
    known = sorted(_fields_at(path[:-1], model))
    near = get_close_matches(path[-1], known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else "remove it"
    return f"{'.'.join(path)}: unknown key; allowed here are {', '.join(known)}; {hint}"


def _fields_at(path: list[str], model: type[BaseModel]) -> set[str]:
    """Return the field names of the section at `path` (list indices are passed over)."""
    current = model
    for part in path:
        if part.isdigit():
            continue
        inner = _model_in(current.model_fields[part].annotation)
        if inner is None:
            return set()
        current = inner
    return set(current.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401  (a type form)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
