"""Candidates as entries of OPTIMADE: one per relaxed structure, with our numbers beside."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from optimade.adapters.structures.pymatgen import from_pymatgen

from ...quantity import Status
from ...stores.fields import FIELDS, Field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pymatgen.core import Structure

    from ...stores.documents import CandidateSummary

PREFIX: Final = "haloflow"
_STANDARD: Final = {"id", "updated"}
_TYPES: Final = {"number": "float", "text": "string", "flag": "boolean", "list": "list"}


def own_fields() -> dict[str, Field]:
    """Return what we add to each entry: name in OPTIMADE (lower case) to field of a summary."""
    return {
        f"_{PREFIX}_{name.lower()}": field
        for name, field in FIELDS.items()
        if name not in _STANDARD
    }


def described_fields() -> list[dict[str, str]]:
    """Return our fields as OPTIMADE's ``/info/structures`` describes them."""
    described = []
    for name, field in own_fields().items():
        one = {"name": name, "type": _TYPES[field.type], "description": field.description}
        described.append(one | ({"unit": field.unit} if field.unit else {}))
    return described


def entries_of(
    summary: CandidateSummary, structures: Mapping[str, Structure]
) -> Iterator[dict[str, Any]]:
    """Yield the entries of one candidate, as the filters of OPTIMADE read them.

    Parameters
    ----------
    summary
        The candidate.
    structures
        Ordered structures by the name of the step that relaxed them, e.g. ``relax-seed2``.
    """
    numbers = {name: _plain(field.of(summary)) for name, field in own_fields().items()}
    for step, structure in structures.items():
        _, dash, sample = step.partition("-")
        attributes = from_pymatgen(structure.copy(site_properties={})).model_dump(mode="json")
        attributes["species"] = [
            {key: value for key, value in kind.items() if value is not None}
            for kind in sorted(attributes["species"], key=lambda kind: str(kind["name"]))
        ]
        yield {
            **attributes,
            **numbers,
            "id": f"{summary.candidate_id}{dash}{sample}",
            "type": "structures",
            "candidate_id": summary.candidate_id,
            "immutable_id": None,
            "last_modified": summary.last_updated.astimezone(UTC).replace(
                tzinfo=None, microsecond=0
            ),
        }


def _plain(value: Any) -> Any:  # noqa: ANN401  (of any field)
    return value.value if isinstance(value, Status) else value
