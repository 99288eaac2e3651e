"""Where every number of a candidate comes from, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..identity import step_uuid
from ..stores.claims import Claims
from ..stores.results import failures
from ..stores.samples import Steps
from .lookup import stored_documents

if TYPE_CHECKING:
    from ..stores.connection import HaloflowStore
    from ..stores.documents import CandidateDocument, StepState
    from .lookup import ReadDocuments


def step_states(
    store: HaloflowStore, candidate: CandidateDocument, found: ReadDocuments
) -> list[StepState]:
    """Return where each step of a candidate stands; one that cannot be read has failed."""
    identities = list(candidate.steps.values())
    lost = {candidate.steps[name]: problem for name, problem in found.unreadable.items()}
    outputs = {candidate.steps[name]: document for name, document in found.documents.items()}
    running = Claims(store.claims).live(identities)
    return Steps.of(candidate, outputs, running, failures(store, identities) | lost).states


def candidate_provenance(
    store: HaloflowStore, candidate: CandidateDocument
) -> list[dict[str, Any]]:
    """Return a mapping per step: state, job, identity, potential, packages, parents, files.

    Parents that are steps of this candidate are named; others (structures of the library,
    steps of a shared phase) are known by their identity or hash alone.
    """
    found = stored_documents(store, candidate.steps)
    names = {identity: name for name, identity in candidate.steps.items()}
    rows = []
    for state in step_states(store, candidate, found):
        document = found.documents.get(state.name)
        row: dict[str, Any] = state.model_dump(mode="json", exclude={"files", "potential"})
        row["job_uuid"] = step_uuid(state.identity)
        row["provenance"] = None
        row["files"] = []
        if document is not None:
            made = document.provenance.model_dump(mode="json", exclude={"parents"})
            parents = document.provenance.parents
            made["parents"] = [{"identity": one, "step": names.get(one)} for one in parents]
            row["provenance"] = made
            row["files"] = [file.model_dump() for file in document.files]
        rows.append(row)
    return rows
