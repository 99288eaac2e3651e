"""What a store knows about its candidates: recorded, summarised, looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import UnknownNameError
from ..makers.progress import Progress, read_progress
from ..makers.step import step_directory
from ..settings import get_settings
from ..stores.builders import SummaryBuilder
from ..stores.claims import Claims
from ..stores.mongodb import persistently
from ..stores.records import candidate_of, candidate_record, step_of, summary_of
from ..stores.results import failures, stored_outputs
from ..stores.retention import record_rules
from ..stores.samples import Steps
from ..stores.trajectory_places import remember_place, use_place
from ..stores.trust import sample_of, trusted_documents

if TYPE_CHECKING:
    from ..stores.connection import HaloflowStore
    from ..stores.documents import CandidateDocument, CandidateSummary, StepDocument, StepState
    from .plan import Plan


_TURN_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class CandidateStates:
    """A candidate and where each of its steps stands."""

    document: CandidateDocument
    steps: list[StepState]
    progress: dict[str, Progress] = field(default_factory=dict)


def record_candidates(store: HaloflowStore, plan: Plan) -> None:
    """Write the candidates of `plan`.

    A known one keeps the names of its earlier sweeps, the glasses of their other seeds and
    the MD at their other temperatures. Processes that do this at the same time take turns.

    Raises
    ------
    ClaimError
        If another process is at it and does not end.
    StoreError, MissingDependencyError
        The sweep's place for trajectories cannot be used from here, or the store is a copy.
    """
    with Claims(store.claims).turn("candidates", timeout_s=_TURN_TIMEOUT_S):
        if plan.sweep.trajectory_store is not None:
            use_place(store, plan.sweep.trajectory_store)
        remember_place(store)  # a copy is refused here, and not by each of its steps
        record_rules(store, plan.sweep.name, plan.sweep.retention)
        _merge_candidates(store, plan)
    update_summaries(store)


def _merge_candidates(store: HaloflowStore, plan: Plan) -> None:
    rows = []
    for candidate in plan.candidates:
        document = candidate.document
        known = store.candidates.query_one(
            {"candidate_id": document.candidate_id}, ["sweeps", "steps"]
        )
        sweeps = sorted({*document.sweeps, *(known["sweeps"] if known else [])})
        kept = _steps_of_others(known["steps"], document) if known else {}
        merged = document.model_copy(update={"sweeps": sweeps, "steps": kept | document.steps})
        rows.append(candidate_record(merged))
    store.candidates.update(rows)


def _steps_of_others(known: dict[str, str], document: CandidateDocument) -> dict[str, str]:
    """Return the steps of earlier sweeps, of glasses and MD runs that this one has not."""
    samples = {sample for name in document.steps if (sample := sample_of(name))}
    return {
        name: identity
        for name, identity in known.items()
        if name not in document.steps
        and (name.startswith("md-") or ((own := sample_of(name)) and own not in samples))
    }


def update_summaries(
    store: HaloflowStore, candidate_ids: list[str] | None = None
) -> dict[str, str]:
    """Bring the summaries up to date with the steps that have run since.

    Parameters
    ----------
    store
        Open store.
    candidate_ids
        Look at these candidates only.

    Returns
    -------
    dict
        The candidates that cannot be read, and why; their summaries stay as they were.
    """

    def build() -> dict[str, str]:
        builder = SummaryBuilder.of(store, candidate_ids)
        builder.run()
        return builder.unreadable

    return persistently(build, get_settings().patience_s)


def candidate_documents(
    store: HaloflowStore, sweep_name: str | None = None
) -> list[CandidateDocument]:
    """Return the candidates of a sweep, or all of them.

    Raises
    ------
    UnknownNameError
        If no candidate belongs to the sweep.
    """
    criteria = {} if sweep_name is None else {"sweeps": sweep_name}
    rows = list(store.candidates.query(criteria, sort={"candidate_id": 1}))
    if not rows and sweep_name is not None:
        raise UnknownNameError.of("sweep", sweep_name, store.candidates.distinct("sweeps"))
    return [candidate_of(row) for row in rows]


def candidate_states(store: HaloflowStore, sweep_name: str | None = None) -> list[CandidateStates]:
    """Return each candidate's steps with their states, for a sweep or for all."""
    documents = candidate_documents(store, sweep_name)
    identities = {i for document in documents for i in document.steps.values()}
    outputs = stored_outputs(store, identities)
    running = Claims(store.claims).live(identities)
    failed = failures(store, identities)
    found = []
    for document in documents:
        states, progress = [], {}
        for state in Steps.of(document, outputs, running, failed).states:
            if state.state == "running" and (
                at := read_progress(step_directory(store.files_dir, state.identity))
            ):
                progress[state.name] = at
            states.append(state)
        found.append(CandidateStates(document, states, progress))
    return found


def step_documents(store: HaloflowStore, candidate: CandidateDocument) -> dict[str, StepDocument]:
    """Return the documents of those steps of `candidate` that have run, by step name.

    No number in them is better than what it comes from, see :mod:`haloflow.stores.trust`.
    """
    outputs = stored_outputs(store, candidate.steps.values())
    found = {
        name: step_of(outputs[identity])
        for name, identity in candidate.steps.items()
        if identity in outputs
    }
    return trusted_documents(found, candidate.n_mobile)


def find_candidate(store: HaloflowStore, name: str) -> CandidateDocument:
    """Return the one candidate with this id, start of an id, or label.

    Raises
    ------
    UnknownNameError
        If none, or more than one, fits.
    """
    documents = candidate_documents(store)
    exact = [d for d in documents if name in {d.candidate_id, d.label}]
    fitting = exact or [d for d in documents if d.candidate_id.startswith(name)]
    if len(fitting) != 1:
        raise UnknownNameError.of("candidate", name, [d.candidate_id for d in documents])
    return fitting[0]


def find_summary(store: HaloflowStore, name: str) -> CandidateSummary:
    """Return the summary of the candidate that `name` means; see `find_candidate`."""
    criteria = {"candidate_id": find_candidate(store, name).candidate_id}
    row = store.summaries.query_one(criteria)
    if row is None:
        update_summaries(store)
        row = store.summaries.query_one(criteria)
    return summary_of(row)
