"""What a yes-or-no finding rests on."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Evidence:
    """A finding, the rule it follows and the numbers that decided it.

    Attributes
    ----------
    holds
        Whether the finding holds.
    criterion
        The rule in words, with its thresholds.
    numbers
        What was compared; units stand in the keys.
    """

    holds: bool
    criterion: str
    numbers: dict[str, float] = field(default_factory=dict)
