"""Summaries in memory, in the order that a store would give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fields import get_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .documents import CandidateSummary


def sorted_summaries(
    summaries: Iterable[CandidateSummary], sort: Sequence[str] = ()
) -> list[CandidateSummary]:
    """Return `summaries` sorted by fields, the first one counting most.

    ``-name`` sorts downwards. Those without the value come last, equal ones by their ids.

    Raises
    ------
    UnknownNameError
        There is no such field.
    """
    keys = [(get_field(name.lstrip("-")), name.startswith("-")) for name in sort]
    found = sorted(summaries, key=lambda one: one.candidate_id)
    for field, down in reversed(keys):
        known = [one for one in found if field.of(one) is not None]
        rest = [one for one in found if field.of(one) is None]
        found = sorted(known, key=field.of, reverse=down) + rest
    return found
