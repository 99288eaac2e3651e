"""Provenance of a candidate's numbers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ...workflows.provenance import candidate_provenance
from .bodies import Answer, CandidateDep, answer_list
from .dependencies import StoreDep

router = APIRouter(tags=["provenance"])


@router.get("/candidates/{candidate_id}/provenance", response_model=Answer)
def provenance(store: StoreDep, candidate: CandidateDep) -> Response:
    """Say of every step how its numbers came about, down to the weights of the potential.

    Each has its state, identity, job UUID, versions of haloflow, Python and packages, the
    potential with the sha256 of its weights, parents, settings, files with sha256 and size,
    threads, device and wall time in s.
    """
    return answer_list(
        candidate_provenance(store, candidate), levels=candidate.levels, sweeps=candidate.sweeps
    )
