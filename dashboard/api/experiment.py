"""Published values, and the computed candidates beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from ...workflows.experiment import (
    COMPARED,
    Comparison,
    Published,
    comparisons,
    literature_candidates,
    published_values,
)
from ..wording import literature_label, literature_text, reason
from .bodies import Answer, answer_list
from .dependencies import StoreDep
from .kept import kept

if TYPE_CHECKING:
    from ...stores.connection import HaloflowStore

router = APIRouter(tags=["experiment"])

Quantities = Annotated[
    str | None,
    Query(max_length=200, description=f"Names, joined by commas, of {', '.join(COMPARED)}."),
]


@router.get("/literature", response_model=Answer)
def literature(request: Request, store: StoreDep) -> Response:
    """List all published values with the phases that were present, and what was computed.

    Units stand in the names of the quantities: mS/cm, eV, eV/atom, V. Of the candidates that
    published values belong to, at most 300 are read; `is_cut` tells whether there are more.
    """
    return kept(request, lambda: _literature(store), store.summaries)


def _literature(store: HaloflowStore) -> Response:
    rows = {one.key: _published(one) | {"computed": []} for one in published_values()}
    candidates, is_cut = literature_candidates(store)
    for pair in comparisons(candidates):
        one = pair.published
        rows.setdefault(one.key, _published(one) | {"computed": []})
        rows[one.key]["computed"].append(_computed(pair))
    sources = {row["source"] for row in rows.values()}
    counts = {"n_candidates": len(candidates), "is_cut": is_cut}
    return answer_list(list(rows.values()), n_sources=len(sources), **counts)


@router.get("/experiment", response_model=Answer)
def experiment(
    request: Request,
    store: StoreDep,
    quantity: Quantities = None,
    kind: Annotated[
        str | None, Query(pattern="^(experiment|computed)$", description="Of published values.")
    ] = None,
) -> Response:
    """List each pair of a published and a computed value, with the residual.

    The residual of a conductivity is in decades, log10(computed / published); others are
    computed less published. `caution` says why a pair is not like with like. At most 300
    candidates are read; `is_cut` tells whether there are more.
    """
    return kept(request, lambda: _experiment(store, quantity, kind), store.summaries)


def _experiment(store: HaloflowStore, quantity: str | None, kind: str | None) -> Response:
    wanted = set(quantity.split(",")) if quantity else set(COMPARED)
    candidates, is_cut = literature_candidates(store)
    found = [
        one
        for one in comparisons(candidates)
        if one.published.row.quantity in wanted and kind in {None, one.published.row.kind}
    ]
    rows = [_published(one.published) | _computed(one) for one in found]
    counts = {"n_candidates": len(candidates), "is_cut": is_cut}
    return answer_list(rows, n_like_with_like=sum(one.like_with_like for one in found), **counts)


def _published(one: Published) -> dict[str, Any]:
    row = one.row
    return {
        "quantity": row.quantity,
        "quantity_label": literature_label(row),
        "published": {"value": row.value, "lower": row.lower, "upper": row.upper},
        "published_text": literature_text(row),
        "kind": row.kind,
        "source": row.source,
        "phases_present": row.phases_present,
        "conditions": row.conditions,
        "electrode": row.electrode,
        "family": one.family,
        "former": one.former,
        "at": dict(one.at),
        "sample_phase": one.phase,
    }


def _computed(one: Comparison) -> dict[str, Any]:
    return {
        "candidate_id": one.candidate.candidate_id,
        "candidate_family": one.candidate.family,
        "label": one.candidate.label,
        "phase": one.candidate.phase,
        "phase_note": one.candidate.phase_note,
        "computed": one.computed,
        "reason": reason(one.computed),
        "level": one.level,
        "like_with_like": one.like_with_like,
        "caution": one.caution,
        "residual": one.residual,
    }
