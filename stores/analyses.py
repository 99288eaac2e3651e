"""What analyses of a trajectory find, as documents and files hold it; units in the names.

Curves are lists of equal length; long ones are thinned before they come into a document.
"""

from __future__ import annotations

from pydantic import Field

from ..quantity import Quantity  # noqa: TC001  (pydantic reads it at run time)
from .documents import Model


class TransportAnalysis(Model):
    """How the mobile ions move at one temperature, alone and in concert."""

    mobile: str
    charge: float = Field(description="Of the mobile ion, e.")
    charge_model: str = Field("", description="Which displacements make sigma.")
    temperature_k: float | None
    n_mobile: int
    volume_a3: float
    frame_ps: float
    n_frames: int
    lags_frames: list[int]
    lags_ps: list[float]
    msd_self_a2: list[float]
    msd_collective_a2: list[float] = Field(description="|sum of displacements|^2 / n_mobile.")
    diffusivity_cm2_s: Quantity
    window_ps: tuple[float, float] | None
    loglog_slope: float | None
    n_effective_hops: float
    collective_diffusivity_cm2_s: Quantity | None = None
    collective_window_ps: tuple[float, float] | None = None
    sigma_ne_ms_cm: Quantity | None = Field(None, description="Of ions that move alone.")
    sigma_ms_cm: Quantity | None = Field(None, description="With their correlations.")
    haven_ratio: Quantity | None = Field(None, description="sigma_ne / sigma.")


class RdfAnalysis(Model):
    """A pair distribution function."""

    r_a: list[float]
    g: list[float]


class CoordinationAnalysis(Model):
    """Mean number of partners up to the first minimum of g(r)."""

    n: float
    sd: float | None = None
    cutoff_a: float


class StructureAnalysis(Model):
    """Pair structure; keys are pairs, centre first."""

    n_frames: int
    rdf: dict[str, RdfAnalysis]
    coordination: dict[str, CoordinationAnalysis]
