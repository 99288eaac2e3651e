"""The computed steps of a candidate, sorted by the samples (seeds) they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ..quantity import Quantity, Status
from .documents import StepDocument, StepState
from .learned_runs import without_round
from .records import step_of
from .trust import SEED_PART, limited, with_status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from .documents import CandidateDocument

DocumentT = TypeVar("DocumentT", bound=StepDocument)
ANALYSES = ("diffusion", "transport", "structure", "landscape")
"""Stages that take the MD runs of a sample, those that arrived."""
TUNED = "tuned_"
"""Before the name of a step that a model of the same sweep drives, or that analyses such runs."""
_RELAXATIONS = ("phase-", "reference-", "frame-")
"""Of competing phases at the level of the hull, and of an ensemble; of frames."""


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
            step_state(
                name,
                identity,
                documents.get(name),
                is_running=identity in running,
                failures=failures,
            )
            for name, identity in candidate.steps.items()
        ]
        by_name = {state.name: state for state in states}
        states = [_or_skipped(state, by_name) for state in states]
        seeds = [match.group() for name in candidate.steps if (match := SEED_PART.search(name))]
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
        by_name = {state.name: state for state in self.states}
        states = [by_name[f"{stage}{s}"] for s in self.samples if f"{stage}{s}" in by_name]
        if not states:
            return Quantity(status=Status.UNCONVERGED, note="not planned")
        causes = [cause_of(state.name, by_name) for state in states]
        known = [cause for cause in causes if cause is not None]
        if len(known) == len(causes):
            first = max(known, key=_severity)
            return Quantity(status=first.status or Status.FAILED, note=_reason(first))
        is_running = any(state.state == "running" for state in states)
        return Quantity(
            status=Status.UNCONVERGED, note="running" if is_running else "not computed yet"
        )

    def limited_by_lost(self, quantity: Quantity, stage: str) -> Quantity:
        """Return `quantity` no better than samples that broke down before `stage`."""
        by_name = {state.name: state for state in self.states}
        for sample in self.samples:
            state = by_name.get(f"{stage}{sample}")
            cause = cause_of(state.name, by_name) if state and state.state == "skipped" else None
            if cause is not None and cause.status is not None:
                quantity = with_status(quantity, cause.status, _reason(cause))
        return quantity


def cause_of(name: str, states: Mapping[str, StepState]) -> StepState | None:
    """Return the step that leaves `name` without a result: itself or one before it.

    Analyses of several MD runs are lost only with all of them, and take a run that broke
    down as it is.
    """
    state = states[name]
    if state.status is not None and state.state != "skipped":
        return state if state.status.is_broken else None
    parents = _parents(name, states)
    causes = [(states[parent], cause_of(parent, states)) for parent in parents]
    if _stage(name) in ANALYSES:
        lost = [cause for parent, cause in causes if cause and parent.state != "done"]
        return lost[0] if lost and len(lost) == len(causes) else None
    return next((cause for _, cause in causes if cause is not None), None)


def _or_skipped(state: StepState, states: Mapping[str, StepState]) -> StepState:
    """Return a waiting step as skipped, when what it starts from decomposed or diverged."""
    cause = cause_of(state.name, states) if state.state == "waiting" else None
    if cause is None or cause.status is None or cause.state == "failed":
        return state
    return state.model_copy(
        update={"state": "skipped", "status": cause.status, "note": _reason(cause)}
    )


def _severity(state: StepState) -> int:
    return state.status.severity if state.status else 0


def _reason(state: StepState) -> str:
    word = (state.status or Status.FAILED).value.replace("_", " ")
    return f"{state.name} {word}: {state.note}" if state.note else f"{state.name} {word}"


def _stage(name: str) -> str:
    return SEED_PART.sub("", without_round(name)).removeprefix(TUNED)


def _parents(name: str, known: Collection[str]) -> list[str]:
    """Return the steps that the step `name` starts from, by the names of a candidate's steps."""
    match = SEED_PART.search(name)
    sample = match.group() if match else ""
    glass = f"melt_quench{sample}"
    relaxed = [f"relax-hull{sample}", f"static{sample}", f"relax{sample}"]
    stage = _stage(name)
    if stage in ANALYSES:
        runs = f"{TUNED if name.startswith(TUNED) else ''}md{sample}-"
        return [other for other in known if other.startswith(runs)]
    if stage.startswith("frame-"):
        return [f"md{sample}-{stage.split('-')[1]}"]
    if stage.startswith("md-") or stage == "neb":
        return _first([glass, "relax-md", "relax"], known)
    if stage == "hull":
        return [*_first(relaxed, known), *(o for o in known if o.startswith("phase-"))]
    if stage in {"relax-hull", "static"}:
        return _first(relaxed[2:], known)
    return _first([glass], known) if stage == "relax" else []


def _first(names: list[str], known: Collection[str]) -> list[str]:
    return [name for name in names if name in known][:1]


def step_state(
    name: str,
    identity: str,
    document: StepDocument | None,
    *,
    is_running: bool,
    failures: Mapping[str, str],
) -> StepState:
    """Return what is known of the step `name`: computed, running, failed or waiting."""
    stage = without_round(name).removeprefix(TUNED)
    kind = "relax" if stage.startswith(_RELAXATIONS) else stage.partition("-")[0]
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
