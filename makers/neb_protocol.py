"""Which hops get a nudged elastic band, and how it is relaxed, as a section of a sweep file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..analysis.hop_pairs import MAX_DISTANCE_A


class NebProtocol(BaseModel):
    """Barriers of single hops by nudged elastic bands with a climbing image."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: str | None = Field(None, description="Level of theory; default: stages.md.")
    into: Literal["vacancy", "empty"] = Field(
        "vacancy",
        description="Hops into the site of an ion that is taken out, or into sites that are "
        "empty; with VASP the default is empty.",
    )
    max_distance_a: float = Field(
        MAX_DISTANCE_A, gt=0, le=10, description="Longest hop, between the sites, A."
    )
    per_kind: int = Field(
        2, ge=1, description="Hops of each kind (O corner, Cl edge...), short and long ones."
    )
    n_images: int = Field(5, ge=1, le=19, description="Between the ends.")
    fmax_ev_a: float = Field(0.05, gt=0, description="Largest force at convergence, eV/A.")
    max_steps: int = Field(300, ge=1, description="Of each end and of the band, at most.")
