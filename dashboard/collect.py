"""The report of what a store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..stores.query import DEFAULT_MAX_ENERGY_ABOVE_HULL
from ..workflows.collect import collect
from .panels import ENERGY_LIMIT
from .report import Report
from .view import ranked_views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stores.connection import HaloflowStore
    from ..stores.documents import CandidateDocument


def collect_report(store: HaloflowStore, sweep_name: str | None = None) -> Report:
    """Report on the candidates of a sweep, or all of a store.

    Raises as :func:`~haloflow.workflows.collect.collect` does.
    """
    found = collect(store, sweep_name)
    views = ranked_views(
        found.summaries,
        found.documents,
        limit_ev=found.screen.get(ENERGY_LIMIT, DEFAULT_MAX_ENERGY_ABOVE_HULL),
    )
    return Report(title=_title(sweep_name, found.candidates), views=views, screen=found.screen)


def _title(sweep_name: str | None, candidates: Sequence[CandidateDocument]) -> str:
    if sweep_name is not None:
        return f"Sweep {sweep_name}"
    sweeps = sorted({name for candidate in candidates for name in candidate.sweeps})
    return f"Sweep {sweeps[0]}" if len(sweeps) == 1 else "All sweeps of the store"
