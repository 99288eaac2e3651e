"""The computed steps of a candidate, sorted by the samples (seeds) they belong to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ..quantity import Quantity, Status, worst
from .documents import StepDocument, StepState
from .records import step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from .documents import CandidateDocument

DocumentT = TypeVar("DocumentT", bound=StepDocument)
_SEED = re.compile(r"-seed\d+(?=-|$)")


@dataclass(frozen=True)
class Steps:
    """All steps of a candidate and what is known of them.

    Attributes
    ----------
    states
        One per step, in the candidate's order.
    documents
        By step name; only of steps that were computed.
    samples
        ``""`` for a crystal, ``"-seed1"``, ``"-seed2"``... for glasses.
    """

    states: list[StepState]
    documents: dict[str, StepDocument]
    samples: list[str]

    @classmethod
    def of(
        cls,
        candidate: CandidateDocument,
        outputs: Mapping[str, Any],
        running: Collection[str],
        failures: Mapping[str, str],
    ) -> Steps:
        """Sort `outputs` (by identity) into the candidate's steps."""
        documents = {
            name: step_of(outputs[identity])
            for name, identity in candidate.steps.items()
            if identity in outputs
        }
        states = [
            step_state(name, identity, documents.get(name), identity in running, failures)
            for name, identity in candidate.steps.items()
        ]
        seeds = [match.group() for name in candidate.steps if (match := _SEED.search(name))]
        return cls(states, documents, list(dict.fromkeys(seeds)) or [""])

    def document(self, name: str, kind: type[DocumentT]) -> DocumentT | None:
        """Return the document of the step, if it was computed."""
        found = self.documents.get(name)
        return found if isinstance(found, kind) else None

    def each(self, stage: str, kind: type[DocumentT]) -> list[DocumentT]:
        """Return the documents of a stage, one per sample that has come so far."""
        found = (self.document(stage + sample, kind) for sample in self.samples)
        return [document for document in found if document is not None]

    def quantities(
        self, stage: str, kind: type[DocumentT], read: Callable[[DocumentT], Quantity | None]
    ) -> list[Quantity]:
        """Return a quantity of each sample, no better than its document and its glass."""
        result = []
        for sample in self.samples:
            document = self.document(stage + sample, kind)
            quantity = None if document is None else read(document)
            if document is not None and quantity is not None:
                glass = self.documents.get(f"melt_quench{sample}")
                result.append(limited(limited(quantity, document), glass))
        return result

    def missing(self, stage: str) -> Quantity:
        """Return the quantity of a stage of which no sample was computed, and why."""
        states = [state for state in self.states if state.name.removesuffix(_seed(state)) == stage]
        if not states:
            return Quantity(status=Status.UNCONVERGED, note="not planned")
        failed = [state for state in self.states if state.state == "failed"]
        if failed and {_seed(state) for state in failed} >= set(self.samples):
            return Quantity(status=Status.FAILED, note=f"{failed[0].name} failed: {failed[0].note}")
        is_running = any(state.state == "running" for state in states)
        return Quantity(
            status=Status.UNCONVERGED, note="running" if is_running else "not computed yet"
        )


def _seed(state: StepState) -> str:
    match = _SEED.search(state.name)
    return match.group() if match else ""


def limited(quantity: Quantity, document: StepDocument | None) -> Quantity:
    """Return `quantity` with a status no better than that of `document`."""
    if document is None or document.status.severity <= quantity.status.severity:
        return quantity
    reason = document.note or document.status.value.replace("_", " ")
    return with_status(quantity, document.status, f"{document.kind}: {reason}")


def with_status(quantity: Quantity, status: Status, note: str) -> Quantity:
    """Return `quantity` with a status no better than `status`, and its reason."""
    notes = "; ".join(dict.fromkeys(text for text in (quantity.note, note) if text))
    return Quantity(
        quantity.value,
        quantity.sd,
        quantity.lower,
        quantity.upper,
        worst(quantity.status, status),
        notes,
    )


def step_state(
    name: str,
    identity: str,
    document: StepDocument | None,
    is_running: bool,  # noqa: FBT001
    failures: Mapping[str, str],
) -> StepState:
    """Return what is known of the step `name`: computed, running, failed or waiting."""
    kind = "relax" if name.startswith("phase-") else name.partition("-")[0]
    if document is None:
        if is_running:
            return StepState(name=name, kind=kind, identity=identity, state="running")
        if identity in failures:
            error = failures[identity]
            return StepState(
                name=name,
                kind=kind,
                identity=identity,
                state="failed",
                status=Status.FAILED,
                note=error,
            )
        return StepState(name=name, kind=kind, identity=identity, state="waiting")
    return StepState(
        name=name,
        kind=document.kind,
        identity=identity,
        state="failed" if document.status is Status.FAILED else "done",
        status=document.status,
        note=document.note,
        wall_s=document.provenance.wall_s,
        files=document.files,
        potential=document.provenance.potential,
    )
