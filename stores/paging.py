"""One page of the summaries that pass a filter, in a stable order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .fields import get_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maggma.core import Store


@dataclass(frozen=True)
class Page:
    """Records as they are stored, and how many there are in all."""

    rows: list[dict[str, Any]]
    total: int


def find_page(
    summaries: Store,
    criteria: Mapping[str, Any],
    *,
    sort: Sequence[str] = (),
    skip: int = 0,
    limit: int,
    paths: Sequence[str] | None = None,
) -> Page:
    """Return a page of summaries.

    Parameters
    ----------
    summaries
        Connected store of summaries.
    criteria
        MongoDB filter.
    sort
        Names of fields, the first one counts most; ``-name`` sorts downwards. Missing values
        come last, equal ones in the order of their ids.
    skip, limit
        Records to pass over, and most records to return.
    paths
        Dotted paths to return; ``None`` for the whole record.
    """
    keys = [(get_field(name.lstrip("-")), name.startswith("-")) for name in sort]
    wanted = None if paths is None else [*paths, *(field.path for field, _ in keys)]
    found = list(summaries.query(criteria, wanted, sort={"candidate_id": 1}))
    for field, down in reversed(keys):
        known = [one for one in found if field.of(one) is not None]
        rest = [one for one in found if field.of(one) is None]
        found = sorted(known, key=field.of, reverse=down) + rest
    return Page(found[skip : skip + limit], len(found))
