"""What the analyses of a candidate's runs give its summary, combined over its samples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..quantity import TWO_SIDED_95, Quantity, Status, worst
from .analyses import (
    LandscapeDocument,
    StructureDocument,
    TransportAnalysis,
    TransportDocument,
)
from .barrier_documents import BarriersDocument
from .combine import combine, is_known
from .documents import StepDocument
from .ensemble_documents import EnsembleDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .analyses import PopulationAnalysis, SpeciationAnalysis
    from .samples import Steps

_BRIDGES = ("O", "S", "Cl")
_CHALCOGENIDES = frozenset({"O", "S", "Se"})
_HALIDES = frozenset({"F", "Cl", "Br", "I"})
DocumentT = TypeVar("DocumentT", bound=StepDocument)


def analysis_columns(known: Steps) -> dict[str, Quantity | None]:
    """Return the fields of a summary that come from analyses; ``None`` for what is not there.

    Numbers of one run are those of the coldest temperature that all samples have, which their
    note names.
    """
    transport = _coldest(known.each("transport", TransportDocument))
    structure = _coldest(known.each("structure", StructureDocument))

    def moving(read: Callable[[TransportAnalysis], Quantity | None]) -> Quantity | None:
        found = _combined(known, "transport", TransportDocument, _at(transport, read))
        return _at_temperature(found, transport)

    def built(read: Callable[[SpeciationAnalysis], Quantity | None]) -> Quantity | None:
        def of_point(point: Any) -> Quantity | None:
            return read(point.speciation) if point.speciation is not None else None

        found = _combined(known, "structure", StructureDocument, _at(structure, of_point))
        return _at_temperature(found, structure)

    return {
        "sigma_collective_300k_ms_cm": _combined(
            known, "transport", TransportDocument, _collective, logarithmic=True
        ),
        "haven_ratio": moving(lambda point: point.haven_ratio),
        "anisotropy": moving(_anisotropy),
        "bridging_fraction": built(_bridging),
        "mean_chain_length": built(
            lambda found: _of_population(found.chains_by_bridges.mean_length)
        ),
        "t1_ms": _relaxation(known),
        "corner_barrier_chalcogenide_ev": _barrier(known, _CHALCOGENIDES),
        "corner_barrier_halide_ev": _barrier(known, _HALIDES),
        "ensemble_above_hull_ev_per_atom": _ensemble(known),
    }


def _combined(
    known: Steps,
    stage: str,
    kind: type[DocumentT],
    read: Callable[[DocumentT], Quantity | None],
    *,
    logarithmic: bool = False,
) -> Quantity | None:
    samples = known.quantities(stage, kind, read)
    if not samples:
        return None
    found = combine(samples, n_expected=len(known.samples), logarithmic=logarithmic)
    return known.limited_by_lost(found, stage)


def _coldest(documents: Sequence[TransportDocument | StructureDocument]) -> float | None:
    """Return the lowest temperature at which every document has a point."""
    of_each = [{point.temperature_k for point in document.points} for document in documents]
    shared = set.intersection(*of_each) if of_each else set()
    return min((t for t in shared if t is not None), default=None)


def _at(
    temperature_k: float | None, read: Callable[[Any], Quantity | None]
) -> Callable[[Any], Quantity | None]:
    def of_document(document: Any) -> Quantity | None:
        points = [p for p in document.points if p.temperature_k == temperature_k]
        return read(points[0]) if points else None

    return of_document


def _at_temperature(found: Quantity | None, temperature_k: float | None) -> Quantity | None:
    if found is None or temperature_k is None:
        return found
    return _noted(found, f"at {temperature_k:g} K")


def _noted(quantity: Quantity | None, note: str) -> Quantity | None:
    if quantity is None:
        return None
    return replace(quantity, note="; ".join(filter(None, [note, quantity.note])))


def _collective(document: TransportDocument) -> Quantity | None:
    law = document.laws.get("sigma_ms_cm")
    return None if law is None else law.sigma_300k_ms_cm


def _relaxation(known: Steps) -> Quantity | None:
    """Return T1 at the first temperature asked for and the highest Larmor frequency."""
    laws = [document.jump_law for document in known.each("landscape", LandscapeDocument)]
    asked = [
        (point.temperature_k, max(point.t1_ms, key=float), law)
        for law in laws
        if law is not None
        for point in law.points[:1]
        if point.t1_ms
    ]
    if not asked:
        return None
    temperature_k, name, first = asked[0]

    def read(document: LandscapeDocument) -> Quantity | None:
        points = document.jump_law.points if document.jump_law else []
        return next((p.t1_ms.get(name) for p in points if p.temperature_k == temperature_k), None)

    found = _combined(known, "landscape", LandscapeDocument, read, logarithmic=True)
    condition = f"conditional on C_Q = {first.quadrupole_coupling_mhz:g} MHz"
    return _noted(found, f"at {temperature_k:g} K and {name} MHz, {condition}")


def _barrier(known: Steps, elements: frozenset[str]) -> Quantity | None:
    """Return the mean barrier, there and back, over hops that share one corner of these."""

    def read(document: BarriersDocument) -> Quantity | None:
        hops = [
            barrier
            for hop in document.hops
            if hop.linkage == "corner" and set(hop.shared) <= elements
            for barrier in (hop.barrier_ev, hop.backward_barrier_ev)
        ]
        sound = [hop for hop in hops if is_known(hop) and hop.status is Status.OK]
        if not sound:
            return Quantity(status=Status.UNCONVERGED, note=f"{len(hops) // 2} bands, none sound") \
                if hops else None  # fmt: skip
        values = [hop.value for hop in sound if hop.value is not None]
        n_sound, n_hops = len(sound) // 2, len(hops) // 2
        said = f"mean of {n_sound} hops, {min(values):.2f} to {max(values):.2f} eV"
        if n_sound < n_hops:
            said = f"{n_hops - n_sound} of {n_hops} bands gave no sound barrier; {said}"
        found = combine(sound, n_expected=len(sound))
        status = worst(found.status, Status.OK if n_sound == n_hops else Status.UNCONVERGED)
        return replace(found, status=status, note=f"{said}, into {document.into} sites")

    return _combined(known, "neb", BarriersDocument, read)


def _ensemble(known: Steps) -> Quantity | None:
    """Return the mean over the frames of all samples, with the lowest in the note."""
    documents = known.each("ensemble", EnsembleDocument)
    if not documents:
        return None
    found = _combined(
        known, "ensemble", EnsembleDocument, lambda one: one.energy_above_hull_ev_per_atom
    )
    lowest = min(frame.energy_above_hull_ev_per_atom for one in documents for frame in one.frames)
    n = sum(len(one.frames) for one in documents)
    kelvin = documents[0].temperature_k
    said = f"{n} frames at {kelvin:g} K by {documents[0].level}, lowest {1000 * lowest:.1f} meV"
    return _noted(found, said)


def _anisotropy(point: TransportAnalysis) -> Quantity | None:
    """Return the fastest over the slowest principal diffusivity."""
    if not point.principal_diffusivities_cm2_s:
        return None
    slow, fast = point.principal_diffusivities_cm2_s[0], point.principal_diffusivities_cm2_s[-1]
    status = worst(slow.status, fast.status)
    note = "; ".join(dict.fromkeys(q.note for q in (slow, fast) if q.note))
    if not slow.value or not fast.value:
        return Quantity(status=status, note=note)
    ratio = fast.value / slow.value
    if slow.sd is None or fast.sd is None:
        return Quantity(ratio, status=status, note=note)
    relative = math.hypot(slow.sd / slow.value, fast.sd / fast.value)
    factor = math.exp(TWO_SIDED_95 * relative)
    return Quantity(ratio, ratio * relative, ratio / factor, ratio * factor, status, note)


def _bridging(found: SpeciationAnalysis) -> Quantity | None:
    """Return the share of bridging O, or S, or Cl, the first of them that is there."""
    name = next((name for name in _BRIDGES if name in found.roles), None)
    if name is None:
        return None
    rows = [row for role, row in found.roles[name].items() if role.startswith("bridging")]
    value = math.fsum(row.value for row in rows)
    if any(row.sd is None for row in rows):
        return Quantity(value, note=f"of {name}")
    half = TWO_SIDED_95 * (sd := math.hypot(*(row.sd or 0.0 for row in rows)))
    ends = (max(0.0, value - half), min(1.0, value + half))
    return Quantity(value, sd, *ends, note=f"of {name}")


def _of_population(row: PopulationAnalysis | None) -> Quantity | None:
    if row is None:
        return None
    if row.sd is None:
        return Quantity(row.value)
    half = TWO_SIDED_95 * row.sd
    return Quantity(row.value, row.sd, max(0.0, row.value - half), row.value + half)
