"""A number with its error, its status and the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TWO_SIDED_95: Final = 1.96
"""Standard deviations of a normal distribution to either end of its 95 % interval."""


class Status(StrEnum):
    """How far a quantity can be trusted; the best one comes first."""

    OK = "ok"
    EXTRAPOLATED_THROUGH_TG = "extrapolated_through_tg"
    UNCONVERGED = "unconverged"
    OUT_OF_DOMAIN = "out_of_domain"
    NOT_MELTED = "not_melted"
    CRYSTALLISED = "crystallised"
    DECOMPOSED = "decomposed"
    DIVERGED = "diverged"
    FAILED = "failed"

    @property
    def severity(self) -> int:
        """Position in the order of trust; 0 is ``ok``."""
        return list(Status).index(self)

    @property
    def is_broken(self) -> bool:
        """Whether nothing can be built on what ended like this."""
        return self.broke_down or self is Status.FAILED

    @property
    def broke_down(self) -> bool:
        """Whether the physics ended it, which is a result and no failure."""
        return self in {Status.DECOMPOSED, Status.DIVERGED}


def worst(*statuses: Status) -> Status:
    """Return the least trustworthy of `statuses` (``ok`` for none)."""
    return max(statuses, key=lambda status: status.severity, default=Status.OK)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number as it is stored, shown and ranked.

    The unit stands in the name of the field that holds it.

    Attributes
    ----------
    value
        Best estimate; ``None`` where only bounds, or nothing, are known.
    sd
        Standard deviation of the estimate, same unit.
    lower, upper
        Ends of the 95 % interval; a one-sided bound has the other end ``None``.
    status
        How far the number can be trusted.
    note
        The reason for any status but ``ok``, in words for the reader.
    """

    value: float | None = None
    sd: float | None = None
    lower: float | None = None
    upper: float | None = None
    status: Status = Status.OK
    note: str = ""
