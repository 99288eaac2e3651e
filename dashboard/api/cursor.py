"""Where a page ended, for the next one to go on from there, whatever was added meanwhile."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...errors import InputError
from ...stores.fields import get_field

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST: Final = 1500
_ID: Final = "candidate_id"
_TIME: Final = "time"


def cursor_after(record: Any, sort: Sequence[str]) -> str | None:  # noqa: ANN401  (a raw document)
    """Return what the page after this record is asked for with.

    ``None`` where it sorts by something that is no short value: then only ``_skip`` helps.

    Parameters
    ----------
    record
        The last of a page, with what it sorts by.
    sort
        Short names of fields, with ``-`` downwards.
    """
    values = [_plain(get_field(name.removeprefix("-")).of(record)) for name in sort]
    if any(isinstance(value, list | dict) and _TIME not in value for value in values):
        return None
    text = orjson.dumps([list(sort), values, record[_ID]])
    made = base64.urlsafe_b64encode(text).decode().rstrip("=")
    return made if len(made) <= LONGEST else None


def criteria_after(cursor: str, sort: Sequence[str]) -> dict[str, Any]:
    """Return the filter of what comes after a page; what is not known comes last.

    Raises
    ------
    InputError
        The cursor is none, or of another order.
    """
    known, values, name = _parts(cursor)
    if known != list(sort):
        raise InputError(
            "this place is one in another order",
            given=",".join(known),
            allowed=",".join(sort) or "no order",
            remedy="give _after with the same _sort_fields as the page before",
        )
    paths = [get_field(one.removeprefix("-")).path for one in sort]
    places: list[dict[str, Any]] = []
    equal: dict[str, Any] = {}
    for path, value, one in zip(paths, values, sort, strict=True):
        if value is not None:
            beyond = {"$lt" if one[0] == "-" else "$gt": value}
            places.append({**equal, "$or": [{path: beyond}, {path: None}]})
        equal[path] = value
    if _ID not in equal:
        places.append({**equal, _ID: {"$gt": name}})
    return {"$or": places}


def _plain(value: Any) -> Any:  # noqa: ANN401  (any value of a document)
    return {_TIME: value.isoformat()} if isinstance(value, dt.datetime) else value


def _parts(cursor: str) -> tuple[list[str], list[Any], str]:
    """Return order, values and id, all of types that a page can end with."""
    try:
        text = base64.b64decode(f"{cursor}{'=' * (-len(cursor) % 4)}", b"-_", validate=True)
        sort, given, name = orjson.loads(text)
        values = [dt.datetime.fromisoformat(v[_TIME]) if isinstance(v, dict) else v for v in given]
        fine = isinstance(name, str) and len(values) == len(sort) and len(cursor) <= LONGEST
        fine = fine and all(isinstance(one, str) for one in sort)
    except (binascii.Error, ValueError, TypeError, KeyError):
        fine = False
    if not fine or not all(_is_value(value) for value in values):
        raise InputError(
            "this is no place between two pages",
            given=cursor[:100],
            allowed="what `meta.next` of a page says",
        )
    return sort, values, name


def _is_value(value: object) -> bool:
    number = isinstance(value, int | float) and abs(value) < 2.0**63
    return value is None or number or isinstance(value, str | dt.datetime)
