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


def canonical(value: object) -> Any:  # noqa: ANN401  (JSON has no narrower type)
    """Reduce `value` to JSON types with one spelling for equal contents.

    Integral floats become integers, so 300 and 300.0 are the same temperature.
    """
    if isinstance(value, BaseModel):
        return canonical(value.model_dump(mode="python"))
    if is_dataclass(value) and not isinstance(value, type):
        return canonical(asdict(value))
    if isinstance(value, Enum):
        return canonical(value.value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in sorted(value.items(), key=str)}
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise InputError(
        "a value cannot be part of a step's identity",
        given=f"{type(value).__name__} {value!r}",
        allowed="finite numbers, text, booleans, lists, mappings, dataclasses, pydantic models",
        remedy="pass its defining parameters instead",
    )


def content_hash(value: object) -> str:
    """Return the sha256 of the canonical JSON of `value`."""
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
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
