"""How far numbers can be trusted for what they come from: step, glass, number of mobile ions.

Summaries, figures and the API apply the same rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from ..quantity import Quantity, Status, worst
from ..systems.mixture import DEFAULT_N_MOBILE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .documents import StepDocument

MIN_MOBILE_IONS: Final = DEFAULT_N_MOBILE
"""Below this many mobile ions transport is not ``ok``, however long the run."""
SEED_PART: Final = re.compile(r"-seed\d+(?=-|$)")
GLASS: Final = "melt_quench"
OF_MOTION: Final = frozenset({"diffusion", "transport", "landscape"})
"""Kinds of documents about how ions move."""


@dataclass(frozen=True)
class Verdict:
    """How a step ended, and why."""

    kind: str
    status: Status
    note: str = ""


def limited(quantity: Quantity, document: StepDocument | Verdict | None) -> Quantity:
    """Return `quantity` with a status no better than that of `document`."""
    if document is None or document.status.severity <= quantity.status.severity:
        return quantity
    return with_status(quantity, document.status, _reason(document))


def with_status(quantity: Quantity, status: Status, note: str) -> Quantity:
    """Return `quantity` with a status no better than `status`, and its reason."""
    return replace(
        quantity, status=worst(quantity.status, status), note=_joined(quantity.note, note)
    )


def with_enough_ions(quantity: Quantity, n_mobile: int) -> Quantity:
    """Return a quantity of motion no better than ``unconverged`` where few ions move."""
    if n_mobile >= MIN_MOBILE_IONS:
        return quantity
    return with_status(quantity, Status.UNCONVERGED, few_ions(n_mobile))


def few_ions(n_mobile: int) -> str:
    """Say that there are too few mobile ions."""
    return f"fewer than {MIN_MOBILE_IONS} mobile ions ({n_mobile})"


def trusted_documents(
    documents: Mapping[str, StepDocument],
    n_mobile: int,
    glasses: Mapping[str, StepDocument | Verdict] | None = None,
) -> dict[str, StepDocument]:
    """Return documents as they are shown: no number better than what it comes from.

    Parameters
    ----------
    documents
        Of a candidate's steps, by step name.
    n_mobile
        Mobile ions in its cell.
    glasses
        How its glasses turned out, by step name; default: the documents in `documents`.
    """
    known: Mapping[str, StepDocument | Verdict] = documents if glasses is None else glasses
    return {
        name: _trusted(document, known.get(f"{GLASS}{sample_of(name)}"), n_mobile)
        for name, document in documents.items()
    }


def sample_of(step_name: str) -> str:
    """Return the sample that a step belongs to: ``-seed1``...; empty for a crystal."""
    found = SEED_PART.search(step_name)
    return found.group() if found else ""


def _trusted(
    document: StepDocument, glass: StepDocument | Verdict | None, n_mobile: int
) -> StepDocument:
    status, note = document.status, document.note
    if glass is not None and glass.status.severity > status.severity:
        status, note = glass.status, _joined(note, _reason(glass))
    moving = document.kind in OF_MOTION and n_mobile < MIN_MOBILE_IONS
    if moving:
        status, note = worst(status, Status.UNCONVERGED), _joined(note, few_ions(n_mobile))
    if status is Status.OK:
        return document

    def rule(quantity: Quantity) -> Quantity:
        found = limited(limited(quantity, document), glass)
        return with_enough_ions(found, n_mobile) if moving else found

    parts = {name: _each(getattr(document, name), rule) for name in type(document).model_fields}
    return document.model_copy(update=parts | {"status": status, "note": note})


def _each(node: Any, rule: Callable[[Quantity], Quantity]) -> Any:
    """Return `node` with the rule applied to every quantity in it."""
    if isinstance(node, Quantity):
        return rule(node)
    if isinstance(node, BaseModel):
        names = type(node).model_fields
        return node.model_copy(update={name: _each(getattr(node, name), rule) for name in names})
    if is_dataclass(node) and not isinstance(node, type):
        return replace(
            node, **{one.name: _each(getattr(node, one.name), rule) for one in fields(node)}
        )
    if isinstance(node, dict):
        return {key: _each(value, rule) for key, value in node.items()}
    if isinstance(node, list) and not (node and isinstance(node[0], int | float)):
        return [_each(value, rule) for value in node]
    return node


def _reason(document: StepDocument | Verdict) -> str:
    return f"{document.kind}: {document.note or document.status.value.replace('_', ' ')}"


def _joined(*notes: str) -> str:
    return "; ".join(dict.fromkeys(note for note in notes if note))
