"""Options that hold lists: words, numbers, charges."""

from __future__ import annotations

import math

from ..errors import InputError


def words_of(text: str | None) -> tuple[str, ...]:
    """Split ``a,b,c``; nothing gives nothing."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def integers_of(text: str | None) -> tuple[int, ...] | None:
    """Split ``1,10,100``.

    Raises
    ------
    InputError
        For anything but whole numbers.
    """
    try:
        return tuple(int(word) for word in words_of(text)) or None
    except ValueError:
        raise InputError(
            "a list of lags cannot be read", given=text, allowed="whole numbers: 1,10,100"
        ) from None


def numbers_of(text: str | None) -> tuple[float, ...]:
    """Split ``132.294,73.39``.

    Raises
    ------
    InputError
        For anything but numbers.
    """
    try:
        return tuple(float(word) for word in words_of(text))
    except ValueError:
        raise InputError(
            "a list of numbers cannot be read", given=text, allowed="numbers: 132.294,73.39"
        ) from None


def charges_of(text: str | None) -> dict[str, float]:
    """Split ``Na=1,Ta=5,O=-2,Cl=-1``.

    Raises
    ------
    InputError
        For anything else.
    """
    charges = {}
    for word in words_of(text):
        name, _, value = (part.strip() for part in word.partition("="))
        try:
            charge = float(value)
        except ValueError:
            charge = math.nan
        if name in charges or not math.isfinite(charge):
            raise InputError(
                "a charge cannot be read",
                given=word,
                allowed="element=charge, each element once: Na=1,O=-2",
            )
        charges[name] = charge
    return charges
