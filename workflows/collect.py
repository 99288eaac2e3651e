"""What a store holds on the candidates of a sweep, collected to be shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ..errors import InputError
from ..stores.records import summary_of
from .status import candidate_documents, step_documents, update_summaries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stores.connection import HaloflowStore
    from ..stores.documents import (
        CandidateDocument,
        CandidateSummary,
        LiteratureValue,
        StepDocument,
    )

DocumentT = TypeVar("DocumentT", bound="StepDocument")


@dataclass(frozen=True)
class CandidateResults:
    """A candidate's row of the ranking and the documents behind it.

    Attributes
    ----------
    summary
        Its row of the ranking.
    documents
        Step name to document, of the steps that are done.
    """

    summary: CandidateSummary
    documents: dict[str, StepDocument] = field(default_factory=dict)

    def of_kind(self, kind: type[DocumentT]) -> dict[str, DocumentT]:
        """Return the documents of one kind, by step name."""
        return {name: found for name, found in self.documents.items() if isinstance(found, kind)}

    def literature(self, quantity: str) -> list[LiteratureValue]:
        """Return the published values of `quantity`."""
        return [row for row in self.summary.literature if row.quantity == quantity]


@dataclass(frozen=True)
class Collection:
    """The candidates of a sweep, or of a whole store.

    Attributes
    ----------
    candidates
        As planned.
    summaries
        Their rows of the ranking, in any order.
    documents
        Candidate id to the documents of its steps.
    screen
        Field to limit, of the limits that all of them were screened with.
    """

    candidates: list[CandidateDocument]
    summaries: list[CandidateSummary]
    documents: dict[str, dict[str, StepDocument]]
    screen: dict[str, float]


def collect(store: HaloflowStore, sweep_name: str | None = None) -> Collection:
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
    return Collection(
        candidates,
        [summary_of(row) for row in rows],
        {candidate.candidate_id: step_documents(store, candidate) for candidate in candidates},
        common_screen(candidates),
    )


def common_screen(candidates: Sequence[CandidateDocument]) -> dict[str, float]:
    """Return the limits that all candidates were screened with."""
    first = candidates[0].screen
    return {
        name: limit
        for name, limit in first.items()
        if all(candidate.screen.get(name) == limit for candidate in candidates)
    }
