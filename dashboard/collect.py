"""Reading from a store what a report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from ..stores.query import DEFAULT_MAX_ENERGY_ABOVE_HULL
from ..stores.records import summary_of
from ..workflows.status import candidate_documents, step_documents, update_summaries
from .panels import ENERGY_LIMIT
from .report import Report
from .view import ranked_views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stores.connection import HaloflowStore
    from ..stores.documents import CandidateDocument


def collect_report(store: HaloflowStore, sweep_name: str | None = None) -> Report:
    """Read the candidates of a sweep, or all of a store, with all their documents.

    Raises
    ------
    UnknownNameError
        If no candidate belongs to the sweep.
    InputError
        If the store holds no candidate at all.
    """
    candidates = candidate_documents(store, sweep_name)
    if not candidates:
        raise InputError(
            "the store holds no candidates to report on",
            given=store.name,
            remedy="run a sweep first: haloflow run examples/quickstart.yaml",
        )
    update_summaries(store)
    ids = [candidate.candidate_id for candidate in candidates]
    rows = store.summaries.query({"candidate_id": {"$in": ids}})
    screen = common_screen(candidates)
    views = ranked_views(
        [summary_of(row) for row in rows],
        {candidate.candidate_id: step_documents(store, candidate) for candidate in candidates},
        limit_ev=screen.get(ENERGY_LIMIT, DEFAULT_MAX_ENERGY_ABOVE_HULL),
    )
    return Report(title=_title(sweep_name, candidates), views=views, screen=screen)


def common_screen(candidates: Sequence[CandidateDocument]) -> dict[str, float]:
    """Return the limits that all candidates were screened with."""
    first = candidates[0].screen
    return {
        name: limit
        for name, limit in first.items()
        if all(candidate.screen.get(name) == limit for candidate in candidates)
    }


def _title(sweep_name: str | None, candidates: Sequence[CandidateDocument]) -> str:
    if sweep_name is not None:
        return f"Sweep {sweep_name}"
    sweeps = sorted({name for candidate in candidates for name in candidate.sweeps})
    return f"Sweep {sweeps[0]}" if len(sweeps) == 1 else "All sweeps of the store"
