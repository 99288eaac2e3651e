"""The document of an ensemble: relaxed frames of a glass's MD and their place above the hull."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..quantity import Quantity, Status  # noqa: TC001  (pydantic reads them at run time)
from .documents import HullProduct, Model, StepDocument


class FrameEnergy(Model):
    """One relaxed frame."""

    frame: int = Field(description="Place among the frames that were asked for, from 0.")
    energy_ev_per_atom: float
    energy_above_hull_ev_per_atom: float
    status: Status
    n_steps: int
    density_g_cm3: float


class EnsembleDocument(StepDocument):
    """How far above the hull the relaxed frames of an MD run lie."""

    kind: Literal["ensemble"] = "ensemble"
    level: str
    formula: str
    temperature_k: float = Field(description="Of the MD run that the frames are from.")
    n_asked: int
    energy_above_hull_ev_per_atom: Quantity = Field(
        description="Mean; sd is that of the frames, the interval holds 95 % of them."
    )
    lowest_ev_per_atom: Quantity = Field(description="Of the lowest frame, above the hull.")
    quantiles_ev_per_atom: dict[str, float]
    decomposition: list[HullProduct]
    frames: list[FrameEnergy]
