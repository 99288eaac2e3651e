"""The document of the chain registries of a crystal."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pymatgen.core import Structure  # noqa: TC002  (pydantic reads it at run time)

from ..quantity import Quantity  # noqa: TC001  (idem)
from .documents import Model, StepDocument


class RegistryEnergy(Model):
    """One arrangement of the chains of a crystal, relaxed."""

    label: str = Field(description="Shift and polar direction of each chain, e.g. '0+ 1/2-'.")
    shifts: list[float] = Field(description="In M-M repeats.")
    polarities: list[int] = Field(description="1, -1, or 0 for M left where it was.")
    multiplicity: int = Field(description="Arrangements that are the same by symmetry.")
    structure: Structure
    energy_ev_per_atom: Quantity
    relative_energy_mev_per_atom: Quantity
    relaxed_into: str | None = Field(None, description="Label of the registry it became.")
    n_steps: int
    max_force_ev_a: float


class RegistryDocument(StepDocument):
    """Energies of the chain registries of a crystal, lowest first."""

    kind: Literal["registries"] = "registries"
    level: str
    former: str
    bridging: str
    registries: list[RegistryEnergy]
