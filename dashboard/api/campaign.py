"""How far the sweeps of a store are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from ...stores.memory import version_of
from ...workflows.campaign import STATES, Campaign, campaign, of_sweep, sweeps
from ...workflows.campaign_steps import CountedSteps, Stage, count_steps
from ..recent import Lately
from .bodies import Answer, answer, answer_list
from .dependencies import StoreDep
from .kept import GOOD_FOR_S, kept

router = APIRouter(tags=["campaign"])
_KEPT = 8


@router.get("/campaign", response_model=Answer)
def show_campaign(
    request: Request,
    store: StoreDep,
    sweep: Annotated[str | None, Query(max_length=200, description="Name; default: all.")] = None,
) -> Response:
    """Say how far a sweep, or the whole store, is.

    Steps by stage and state, what runs and how far (`share` of 1), time left in s, failures
    grouped by cause with examples, cost in core-hours. Taken at `taken_at`, some seconds ago.
    Of more than 4,000 candidates `note` says that numbers of steps are estimates.
    """
    if not hasattr(request.app.state, "steps"):
        request.app.state.steps = Lately[CountedSteps](_KEPT, GOOD_FOR_S)
    steps: Lately[CountedSteps] = request.app.state.steps

    def make() -> Response:
        version = version_of(store.summaries)
        counted = steps.get(sweep, lambda: count_steps(store, of_sweep(sweep)), version)
        return answer(_shown(campaign(store, sweep, counted)))

    return kept(request, make)  # how far a step is stands in no store


@router.get("/sweeps", response_model=Answer)
def list_sweeps(request: Request, store: StoreDep) -> Response:
    """List the sweeps of the store with their numbers of candidates."""
    return kept(request, lambda: answer_list(sweeps(store)), store.summaries)


def _shown(found: Campaign) -> dict[str, Any]:
    stages = [_stage(one) for one in found.stages]
    total = {state: sum(stage[state] for stage in stages) for state in STATES}
    return {
        "n_candidates": found.n_candidates,
        "n_complete": found.n_complete,
        "states": total | {"total": sum(total.values())},
        "stages": stages,
        "running": [
            {
                "candidate_id": one.step.candidate_id,
                "label": one.step.label,
                "step": one.step.name,
                "kind": one.step.kind,
                "identity": one.identity,
                "process": one.process,
                "since": one.since,
                "stage": one.stage,
                "share": one.share,
                "seconds_left": one.seconds_left,
            }
            for one in found.running
        ],
        "failures": found.failures,
        "n_failures": sum(group.count for group in found.failures),
        "core_hours": found.core_hours,
        "threads": found.threads,
        "eta_s": found.eta_s,
        "eta_note": found.eta_note,
        "note": found.note,
        "taken_at": found.taken_at,
    }


def _stage(one: Stage) -> dict[str, Any]:
    return {
        "stage": one.stage,
        **{state: one.states[state] for state in STATES},
        "total": sum(one.states.values()),
        "not_ok": dict(one.not_ok),
        "wall_s": one.wall_s,
        "mean_s": one.mean_s,
    }
