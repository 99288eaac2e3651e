"""Phases that are models or unverified, marked wherever they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..stores.documents import HullDocument
from ..systems.phases import load_phases
from .theme import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..stores.documents import HullProduct, StepDocument

MARK: Final = "†"


def caution_of(phase_id: str) -> str:
    """Return what a reader must know of a phase; empty when nothing, or it is not ours."""
    phase = load_phases().get(phase_id)
    return phase.caution if phase is not None else ""


def marked(formula: str, phase_id: str) -> str:
    """Return `formula`, with a dagger where its phase has a caution."""
    return f"{formula}{MARK}" if caution_of(phase_id) else formula


def caution_line(phase_id: str) -> str:
    """Return the caution of a phase as a further line of a plot's hover text."""
    caution = caution_of(phase_id)
    return f"<br>{MARK} {text(caution)}" if caution else ""


def caution_notes(phase_ids: Iterable[str]) -> list[str]:
    """Return the footnotes that the daggers of these phases point to, one per caution."""
    groups: dict[str, list[str]] = {}
    for phase_id in sorted(set(phase_ids)):
        if caution := caution_of(phase_id):
            groups.setdefault(caution, []).append(phase_id)
    return [f"{MARK} {', '.join(ids)}: {caution}." for caution, ids in groups.items()]


def shown_phases(documents: Iterable[StepDocument]) -> list[str]:
    """Return the ids of all phases that the page of a candidate names as products."""
    hulls = [document for document in documents if isinstance(document, HullDocument)]
    return list(dict.fromkeys(product.phase_id for hull in hulls for product in _products(hull)))


def _products(hull: HullDocument) -> list[HullProduct]:
    named = [*hull.decomposition, *hull.reaction_components]
    if hull.window is not None:
        named += [*hull.window.reduction_products, *hull.window.oxidation_products]
        named += [product for state in hull.window.states for product in state.products]
    if hull.segregation is not None:
        named += [product for split in hull.segregation.splits for product in split.products]
    return named
