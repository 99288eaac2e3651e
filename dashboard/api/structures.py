"""Structures of a candidate: as files, and as scenes for a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from ...errors import NotFoundError, UnknownNameError
from ...workflows.lookup import read_documents
from ..structure_files import FORMATS, STRUCTURED_KINDS, structure_file, structures_of
from ..structures import viewer_scene
from ..wording import number
from .bodies import Answer, CandidateDep, answer, answer_list, attachment
from .dependencies import StoreDep

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ...stores.connection import HaloflowStore
    from ...stores.documents import CandidateDocument

router = APIRouter(tags=["structure"])

Step = Annotated[
    str | None,
    Query(
        max_length=200, description="Name of a step with a structure; default: the most relaxed."
    ),
]
_SUPERCELL = r"^[1-9]\d?,[1-9]\d?,[1-9]\d?$"


@router.get("/candidates/{candidate_id}/structures", response_model=Answer)
def structures(store: StoreDep, candidate: CandidateDep) -> Response:
    """List the steps that have a structure, the most relaxed first; density in g/cm3."""
    found = _structures(store, candidate)
    return answer_list(
        [
            {
                "step": name,
                "formula": structure.composition.reduced_formula,
                "n_atoms": len(structure),
                "density_g_cm3": float(structure.density),
            }
            for name, structure in found.items()
        ],
        formats=list(FORMATS),
    )


_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {media_type: {} for media_type, _ in FORMATS.values()}}
}


@router.get("/candidates/{candidate_id}/structure", response_class=Response, responses=_FILES)
def structure(
    store: StoreDep,
    candidate: CandidateDep,
    fmt: Annotated[
        Literal["cif", "poscar", "json", "xyz"], Query(description="Of the file.")
    ] = "cif",
    step: Step = None,
) -> Response:
    """Give a structure as a file to be saved; lengths in angstrom, json is pymatgen's."""
    name, found = _structure(store, candidate, step)
    media_type, ending = FORMATS[fmt]
    file_name = f"{candidate.candidate_id}-{name}.{ending}"
    return attachment(structure_file(found, fmt), media_type, file_name)


@router.get("/candidates/{candidate_id}/scene", response_model=Answer)
def scene(
    store: StoreDep,
    candidate: CandidateDep,
    step: Step = None,
    supercell: Annotated[
        str,
        Query(pattern=_SUPERCELL, description="Repeats along a, b, c, e.g. 2,2,1; 1 to 5 each."),
    ] = "1,1,1",
) -> Response:
    """Give atoms, bonds, polyhedra and cell for a viewer; positions and radii in angstrom."""
    a, b, c = (int(repeats) for repeats in supercell.split(","))
    name, found = _structure(store, candidate, step)
    caption = f"{len(found)} atoms in the cell, {number(float(found.density))} g/cm³."
    return answer(viewer_scene(found, (a, b, c)) | {"step": name, "caption": caption})


def _structure(
    store: HaloflowStore, candidate: CandidateDocument, step: str | None
) -> tuple[str, Structure]:
    found = _structures(store, candidate)
    if not found:
        raise NotFoundError(
            "the candidate has no structure yet",
            given=candidate.candidate_id,
            remedy="run its sweep, or look at its status",
        )
    if step is None:
        return next(iter(found.items()))
    if step not in found:
        raise UnknownNameError.of("step with a structure", step, found)
    return step, found[step]


def _structures(store: HaloflowStore, candidate: CandidateDocument) -> dict[str, Structure]:
    return structures_of(read_documents(store, candidate, STRUCTURED_KINDS).documents)
