"""The document of the barriers of single hops."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..quantity import Quantity  # noqa: TC001  (pydantic reads it at run time)
from .documents import Model, StepDocument


class HopBarrier(Model):
    """One hop of a mobile ion, and the band between its ends."""

    label: str = Field(description="Number of the ion and of the site, e.g. 'Na3 to Na7'.")
    kind: str = Field(description="How the sites' polyhedra touch and by what: 'O corner'.")
    linkage: Literal["corner", "edge", "face", "apart"]
    shared: dict[str, int] = Field(description="Anions that coordinate both sites, by element.")
    distance_a: float = Field(description="Between the sites.")
    n_alike: int = Field(description="Hops that are the same by symmetry.")
    route: str = Field(description="What the band was started from.")
    barrier_ev: Quantity
    backward_barrier_ev: Quantity
    difference_ev: float | None = Field(description="Energy of the end relative to the start.")
    path_a: list[float] = Field(description="Along the band, at each image.")
    energies_ev: list[float] = Field(description="Relative to the start, at each image.")
    window: list[tuple[str, float]] = Field(
        description="Anions nearest to the ion on top of the band, and their distances in A."
    )
    max_force_ev_a: float | None = None
    n_steps: int


class BarriersDocument(StepDocument):
    """Barriers of chosen hops of one structure, from nudged elastic bands."""

    kind: Literal["neb"] = "neb"
    level: str
    mobile: str
    into: Literal["vacancy", "empty"] = Field(
        description="Into the site of an ion that was taken out, or a site that was empty."
    )
    charge_note: str
    max_distance_a: float
    fmax_ev_a: float
    n_images: int
    n_possible: dict[str, int] = Field(description="Hops of the structure by kind.")
    host_max_stress_gpa: float | None = Field(
        None, description="Left in the cell that all bands share, which is not relaxed here."
    )
    hops: list[HopBarrier]
