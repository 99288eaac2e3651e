"""What analyses found of one candidate: motion, structure, landscape, stability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import APIRouter, Response

from ...stores.analyses import LandscapeDocument, StructureDocument, TransportDocument
from ...stores.documents import DiffusionDocument, HullDocument, StepDocument
from ...workflows.lookup import read_documents
from ..cautions import caution_of
from ..wording import decomposition_text, hull_error_note
from .bodies import Answer, CandidateDep, answer_list
from .dependencies import StoreDep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ...stores.connection import HaloflowStore
    from ...stores.documents import CandidateDocument

router = APIRouter(tags=["results of a candidate"])
DocumentT = TypeVar("DocumentT", bound=StepDocument)
_BOOKKEEPING = {"schema_version", "provenance", "files"}


@router.get("/candidates/{candidate_id}/transport", response_model=Answer)
def transport(store: StoreDep, candidate: CandidateDep) -> Response:
    """Give diffusivity, conductivity and laws over temperature, by step.

    Units stand in the names: diffusivities in cm2/s, conductivities in mS/cm, energies in eV,
    lags in ps, squared displacements in A2, temperatures in K.
    """
    kinds = (DiffusionDocument, TransportDocument)
    return _listed(store, candidate, kinds, lambda name, found: [_without(name, found, "rdf")])


@router.get("/candidates/{candidate_id}/rdf", response_model=Answer)
def rdf(store: StoreDep, candidate: CandidateDep) -> Response:
    """Give the pair distribution functions g(r), r in angstrom, with mean coordinations.

    Where the structure was analysed, its curves; else those of the diffusion analysis.
    """
    found = read_documents(store, candidate, ("structure", "diffusion"))
    structure = [
        {
            "step": name,
            "pair": pair,
            "temperature_k": point.temperature_k,
            "r_a": curve.r_a,
            "g": curve.g,
            "coordination": point.structure.coordination.get(pair),
        }
        for name, document in found.documents.items()
        if isinstance(document, StructureDocument)
        for point in document.points
        for pair, curve in point.structure.rdf.items()
    ]
    diffusion = [
        {"step": name, **curve.model_dump(), "coordination": None}
        for name, document in found.documents.items()
        if isinstance(document, DiffusionDocument)
        for curve in document.rdf
    ]
    return answer_list(structure or diffusion, unreadable=found.unreadable)


@router.get("/candidates/{candidate_id}/speciation", response_model=Answer)
def speciation(store: StoreDep, candidate: CandidateDep) -> Response:
    """Give shares of polyhedra, bridges and chain lengths, by step and temperature (K)."""
    return _points(store, candidate, StructureDocument, ("speciation", "octahedra"))


@router.get("/candidates/{candidate_id}/structure-analysis", response_model=Answer)
def structure_analysis(store: StoreDep, candidate: CandidateDep) -> Response:
    """Give cells (A, degrees), scattering and surroundings, by step and temperature (K)."""
    return _points(store, candidate, StructureDocument, ("structure", "environment"))


@router.get("/candidates/{candidate_id}/density", response_model=Answer)
def density(store: StoreDep, candidate: CandidateDep) -> Response:
    """Give free energies (eV) and densities of the mobile ions on planes, and their hops."""
    return _points(store, candidate, LandscapeDocument, ("landscape", "hops"))


@router.get("/candidates/{candidate_id}/topology", response_model=Answer)
def topology(store: StoreDep, candidate: CandidateDep) -> Response:
    """Give barcodes of persistent homology, births and deaths in angstrom."""
    return _points(store, candidate, LandscapeDocument, ("topology",))


@router.get("/candidates/{candidate_id}/hull", response_model=Answer)
def hull(store: StoreDep, candidate: CandidateDep) -> Response:
    """Give stability, competing phases, voltage window and segregation, by step.

    Energies in eV/atom, voltages in V against the metal of the mobile ion.
    """

    def shown(name: str, document: HullDocument) -> list[dict[str, Any]]:
        named = {product.phase_id for product in document.decomposition}
        cautions = {one: caution for one in sorted(named) if (caution := caution_of(one))}
        words = {
            "decomposition_text": decomposition_text(document.decomposition),
            "error_note": hull_error_note(document.level),
            "cautions": cautions,
        }
        return [_without(name, document) | words]

    return _listed(store, candidate, (HullDocument,), shown)


def _points(
    store: HaloflowStore,
    candidate: CandidateDocument,
    kind: type[StructureDocument | LandscapeDocument],
    parts: Iterable[str],
) -> Response:
    """Give the named parts of every point, one row for each that has any of them."""

    def shown(name: str, document: StructureDocument | LandscapeDocument) -> list[dict[str, Any]]:
        rows = []
        for point in document.points:
            dumped = point.model_dump(mode="json")
            own = {part: dumped[part] for part in parts}
            if "structure" in own:
                own["structure"].pop("rdf")
            at = dumped.get("temperature_k") or dumped["landscape"]["temperature_k"]
            if any(own.values()):
                rows.append({"step": name, "temperature_k": at, **own})
        return rows

    return _listed(store, candidate, (kind,), shown)


def _listed(
    store: HaloflowStore,
    candidate: CandidateDocument,
    kinds: tuple[type[DocumentT], ...],
    shown: Callable[[str, Any], list[dict[str, Any]]],
) -> Response:
    found = read_documents(store, candidate, [kind.model_fields["kind"].default for kind in kinds])
    rows = [row for name, document in found.documents.items() for row in shown(name, document)]
    return answer_list(rows, unreadable=found.unreadable)


def _without(name: str, document: StepDocument, *more: str) -> dict[str, Any]:
    """Return a document of the step `name` without bookkeeping and the fields `more`."""
    return {"step": name, **document.model_dump(mode="json", exclude={*_BOOKKEEPING, *more})}
