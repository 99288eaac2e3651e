"""What a client may write as a value: numbers, words, flags, times; nothing else gets further."""

from __future__ import annotations

import csv
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pymatgen.core import Element

from ...errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ITEMS: Final = 100
MAX_TEXT: Final = 200
ELEMENTS: Final = frozenset(element.symbol for element in Element)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def number(name: str, text: str) -> float:
    """Return a finite number.

    Raises
    ------
    InputError
        It is none; NaN and infinities are none either.
    """
    if _NUMBER.fullmatch(text) and math.isfinite(value := float(text)):
        return value
    raise _wrong(name, text, "a finite number, e.g. 0.1 or -2.5e-3")


def whole_number(name: str, text: str, lowest: int, highest: int) -> int:
    """Return a whole number from `lowest` to `highest`, both allowed."""
    if _WHOLE.fullmatch(text) and lowest <= int(text) <= highest:
        return int(text)
    raise _wrong(name, text, f"a whole number from {lowest} to {highest}")


def flag(name: str, text: str) -> bool:
    """Return what ``true`` or ``false`` says."""
    if text not in {"true", "false"}:
        raise _wrong(name, text, "true or false")
    return text == "true"


def plain_text(name: str, text: str) -> str:
    """Return a short text without control characters."""
    if not text or len(text) > MAX_TEXT or _CONTROL.search(text):
        raise _wrong(name, text, f"1 to {MAX_TEXT} characters, none of them a control character")
    return text


def words(name: str, text: str, allowed: Sequence[str] = (), most: int = MAX_ITEMS) -> list[str]:
    """Return the parts between commas; a part within double quotes may hold commas itself.

    Raises
    ------
    InputError
        There are too many, or one is empty or too long.
    UnknownNameError
        One is not among `allowed`, where there are such; near ones are suggested.
    """
    if _CONTROL.search(text):
        plain_text(name, text)
    found = next(csv.reader([text], skipinitialspace=True), [])
    if len(found) > most:
        raise InputError(f"too many values for {name}", given=len(found), allowed=f"up to {most}")
    kept = [plain_text(name, part.strip()) for part in found] or [plain_text(name, "")]
    for part in kept:
        if allowed and part not in allowed:
            raise UnknownNameError.of(f"value of {name}", part, allowed)
    return kept


def elements(name: str, text: str) -> list[str]:
    """Return symbols of elements."""
    found = words(name, text)
    for symbol in found:
        if symbol not in ELEMENTS:
            raise _wrong(name, symbol, "symbols of elements, e.g. Na,Ta,Cl")
    return found


def time(name: str, text: str) -> datetime:
    """Return a time as stores keep it, in UTC without saying so."""
    try:
        given = datetime.fromisoformat(plain_text(name, text))
        return (
            (given if given.tzinfo else given.replace(tzinfo=UTC))
            .astimezone(UTC)
            .replace(tzinfo=None)
        )
    except (ValueError, OverflowError):
        raise _wrong(name, text, "a time, e.g. 2026-01-31 or 2026-01-31T12:00:00Z") from None


def _wrong(name: str, text: str, allowed: str) -> InputError:
    return InputError(f"the value of {name} cannot be used", given=text[:MAX_TEXT], allowed=allowed)
