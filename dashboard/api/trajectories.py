"""Trajectories of a candidate's runs, some frames at a time."""

from __future__ import annotations

from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Query, Response

from ...errors import UnknownNameError
from ...workflows.frames import read_frames, stored_trajectories
from ...workflows.lookup import read_documents
from .bodies import Answer, CandidateDep, answer, answer_list
from .dependencies import StoreDep

router = APIRouter(tags=["trajectories"])
MOST_FRAMES: Final = 200
MOST_POSITIONS: Final = 200_000
_DECIMALS = 3
_KINDS = ("md", "melt_quench")
_LAST_FRAME = 10**9


@router.get("/candidates/{candidate_id}/trajectory", response_model=Answer)
def trajectory(store: StoreDep, candidate: CandidateDep) -> Response:
    """List the steps that have a trajectory: frames, time between them in ps, size in bytes."""
    found = read_documents(store, candidate, _KINDS)
    rows = stored_trajectories(found.documents, store.files)
    return answer_list(
        rows, most_frames=MOST_FRAMES, most_positions=MOST_POSITIONS, unreadable=found.unreadable
    )


@router.get("/candidates/{candidate_id}/trajectory/frames", response_model=Answer)
def frames(
    store: StoreDep,
    candidate: CandidateDep,
    step: Annotated[str, Query(max_length=200, description="Name of a step, e.g. md-600K.")],
    part: Annotated[
        str | None, Query(max_length=50, description="Of the run; default: its last.")
    ] = None,
    start: Annotated[int, Query(ge=0, le=_LAST_FRAME, description="First frame, from 0.")] = 0,
    stop: Annotated[
        int | None, Query(ge=1, le=_LAST_FRAME, description="Frame after the last; default: all.")
    ] = None,
    stride: Annotated[
        int | None,
        Query(ge=1, le=_LAST_FRAME, description="Default: the least at which all frames fit."),
    ] = None,
    wrap: Annotated[bool, Query(description="Whether atoms are moved into the cell.")] = False,
) -> Response:
    """Give positions and cells in angstrom, times in ps; at most 200 frames and 2e5 positions.

    Where a limit cuts, `next_start` of the meta is the frame to go on with. Every file that
    frames are read from is checked against its sha256.
    """
    documents = read_documents(store, candidate, _KINDS).documents
    if step not in documents:
        raise UnknownNameError.of("step with a trajectory", step, documents)
    found = read_frames(
        documents[step],
        part,
        store.files,
        start=start,
        stop=stop,
        stride=stride,
        wrap=wrap,
        most_frames=MOST_FRAMES,
        most_positions=MOST_POSITIONS,
    )
    return answer(
        {
            "step": step,
            "species": found.species,
            "frames": found.frames,
            "times_ps": np.round(found.times_ps, _DECIMALS + 3),
            "cells_a": np.round(found.cells_a, _DECIMALS + 1),
            "positions_a": np.round(found.positions_a, _DECIMALS),
        },
        {
            "n_frames": found.n_frames,
            "stride": found.stride,
            "next_start": found.next_start,
        },
    )
