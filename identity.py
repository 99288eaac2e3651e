"""What makes two steps the same: a hash over everything that changes the result."""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from .errors import InputError

if TYPE_CHECKING:
    from pymatgen.core import Structure

_NAMESPACE = uuid.UUID("5b1d9f1e-3f0e-4c0a-9d55-6a1c6d0b7c11")
_POSITION_DECIMALS = 6
_PLAIN = frozenset((str, int, bool))


def canonical(value: object) -> Any:  # noqa: ANN401  (JSON has no narrower type)
    """Reduce `value` to JSON types with one spelling for equal contents.

    Integral floats become integers, so 300 and 300.0 are the same temperature.
    """
    return _reduced(value, in_order=True)


def _reduced(value: Any, *, in_order: bool) -> Any:  # noqa: ANN401  (JSON has no narrower type)
    """Reduce `value`; mappings need no order where who writes them brings it about."""
    if value is None or type(value) in _PLAIN:  # most are
        return value
    if isinstance(value, dict):
        items = sorted(value.items(), key=str) if in_order else value.items()
        return {str(key): _reduced(item, in_order=in_order) for key, item in items}
    if isinstance(value, (list, tuple)):
        return [_reduced(item, in_order=in_order) for item in value]
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    return _reduced(_opened(value), in_order=in_order)


def _opened(value: Any) -> Any:  # noqa: ANN401  (JSON has no narrower type)
    """Return what a value of a type of its own is made of."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="python")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, (Path, str)):
        return str(value)
    if isinstance(value, int):
        return int(value)
    raise InputError(
        "a value cannot be part of a step's identity",
        given=f"{type(value).__name__} {value!r}",
        allowed="finite numbers, text, booleans, lists, mappings, dataclasses, pydantic models",
        remedy="pass its defining parameters instead",
    )


def content_hash(value: object) -> str:
    """Return the sha256 of the canonical JSON of `value`."""
    plain = _reduced(value, in_order=False)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 of the file at `path`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def structure_hash(structure: Structure) -> str:
    """Return a hash of species, cell and positions, rounded to 1e-6 A and 1e-6 fractions.

    The order of the sites counts, since it decides the order of velocities drawn for them.
    """
    frac = structure.frac_coords % 1.0
    return content_hash(
        {
            "species": [site.species_string for site in structure],
            "lattice": structure.lattice.matrix.round(_POSITION_DECIMALS).tolist(),
            "frac": (frac.round(_POSITION_DECIMALS) % 1.0).tolist(),
        }
    )


def step_identity(kind: str, code_version: int, parameters: dict[str, object]) -> str:
    """Identify a step by what it physically does.

    Parameters
    ----------
    kind
        Name of the step, e.g. ``"md"``.
    code_version
        Raised whenever the step's code changes its results.
    parameters
        All settings, the identity of each potential, and the identities of the
        steps (or hashes of the structures) that it starts from.
    """
    return content_hash({"kind": kind, "code_version": code_version, "parameters": parameters})


def step_uuid(identity: str) -> str:
    """Return the job UUID of a step: equal identities give equal UUIDs."""
    return str(uuid.uuid5(_NAMESPACE, identity))
