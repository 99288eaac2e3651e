"""One candidate of a store by its id: its record, its summary, the documents of its steps.

Nothing is written, so a store that was opened to be read will do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import DocumentError, NotFoundError
from ..identity import step_uuid
from ..quantity import Status
from ..stores.claims import Claims
from ..stores.records import candidate_of, step_of, summary_of
from ..stores.results import failures, stored_outputs
from ..stores.summary import summarize
from ..stores.trust import GLASS, Verdict, trusted_documents
from .collect import CandidateResults

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ..stores.connection import HaloflowStore
    from ..stores.documents import CandidateDocument, CandidateSummary, StepDocument


@dataclass(frozen=True)
class ReadDocuments:
    """The documents of a candidate's steps, those that can be read.

    Attributes
    ----------
    documents
        By step name, in the candidate's order.
    unreadable
        Step name to what is wrong with its document.
    """

    documents: dict[str, StepDocument] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def candidate_by_id(store: HaloflowStore, candidate_id: str) -> CandidateDocument:
    """Return the candidate with this very id.

    Raises
    ------
    NotFoundError
        There is none.
    DocumentError
        Its record cannot be read.
    """
    record = store.candidates.query_one({"candidate_id": candidate_id})
    if record is None:
        raise NotFoundError(
            "the store has no candidate of this id",
            given=candidate_id,
            remedy="take the id, in full, from the list of candidates",
        )
    return candidate_of(record)


def summary_by_id(store: HaloflowStore, candidate: CandidateDocument) -> CandidateSummary:
    """Return the summary of a candidate as stored, or as it would be where none is.

    Raises
    ------
    DocumentError
        It, or a document that it is made from, cannot be read.
    """
    record = store.summaries.query_one({"candidate_id": candidate.candidate_id})
    if record is not None:
        return summary_of(record)
    identities = list(candidate.steps.values())
    return summarize(
        candidate,
        stored_outputs(store, identities),
        running=Claims(store.claims).live(identities),
        failures=failures(store, identities),
    )


def summaries_by_id(store: HaloflowStore, ids: Iterable[str]) -> dict[str, CandidateSummary]:
    """Return the stored summaries of those `ids` that have one, in the order asked for."""
    wanted = list(dict.fromkeys(ids))
    rows = store.summaries.query({"candidate_id": {"$in": wanted}})
    found = {row["candidate_id"]: summary_of(row) for row in rows}
    return {name: found[name] for name in wanted if name in found}


def results_of_kind(
    store: HaloflowStore, ids: Iterable[str], kinds: Collection[str]
) -> list[CandidateResults]:
    """Return the candidates of `ids` with the documents of some kinds, those without any too.

    Ids that the store does not know are passed over; damaged documents are left out.
    """
    wanted = list(dict.fromkeys(ids))
    summaries = summaries_by_id(store, wanted)
    rows = store.candidates.query({"candidate_id": {"$in": wanted}}, ["candidate_id", "steps"])
    steps = {row["candidate_id"]: row["steps"] for row in rows}
    return [
        CandidateResults(
            summary, documents_of(store, steps.get(name, {}), summary.n_mobile, kinds).documents
        )
        for name, summary in summaries.items()
    ]


def read_documents(
    store: HaloflowStore, candidate: CandidateDocument, kinds: Collection[str] = ()
) -> ReadDocuments:
    """Read the documents of a candidate's steps; a damaged one is said, not fatal.

    No number in them is better than what it comes from, see :mod:`haloflow.stores.trust`.

    Parameters
    ----------
    store, candidate
        Open store and a candidate in it.
    kinds
        Kinds of documents wanted; all for none.
    """
    return documents_of(store, candidate.steps, candidate.n_mobile, kinds)


def documents_of(
    store: HaloflowStore, steps: Mapping[str, str], n_mobile: int, kinds: Collection[str] = ()
) -> ReadDocuments:
    """Read the documents of `steps` (name to identity), as :func:`read_documents`."""
    found = stored_documents(store, steps, kinds)
    glasses = _verdicts(store, steps) if kinds and GLASS not in kinds else None
    return ReadDocuments(trusted_documents(found.documents, n_mobile, glasses), found.unreadable)


def stored_documents(
    store: HaloflowStore, steps: Mapping[str, str], kinds: Collection[str] = ()
) -> ReadDocuments:
    """Read the documents of `steps` (name to identity) as the steps returned them."""
    criteria: dict[str, object] = {"uuid": {"$in": [step_uuid(one) for one in steps.values()]}}
    if kinds:
        criteria["output.kind"] = {"$in": list(kinds)}
    outputs = {
        row["uuid"]: row["output"] for row in store.outputs.query(criteria, ["uuid", "output"])
    }
    found = ReadDocuments()
    for name, identity in steps.items():
        output = outputs.get(step_uuid(identity))
        if output is None:
            continue
        try:
            found.documents[name] = step_of(output)
        except DocumentError as error:
            found.unreadable[name] = str(error)
    return found


def _verdicts(store: HaloflowStore, steps: Mapping[str, str]) -> dict[str, Verdict]:
    """Read how the glasses of a candidate turned out, and no more of them."""
    names = {step_uuid(one): name for name, one in steps.items() if name.startswith(GLASS)}
    if not names:
        return {}
    fields = ["uuid", "output.kind", "output.status", "output.note"]
    known = set(Status)
    return {
        names[row["uuid"]]: Verdict(
            GLASS, Status(row["output"]["status"]), row["output"].get("note", "")
        )
        for row in store.outputs.query({"uuid": {"$in": list(names)}}, fields)
        if row.get("output", {}).get("status") in known
    }
