"""Transport of one run: diffusivity, collective conductivity, Haven ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..analysis.arrhenius import nernst_einstein_ms_cm
from ..analysis.diffusion import path_diffusivity
from ..errors import AnalysisError
from ..stores.analyses import TransportAnalysis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..analysis.passage import Passage

_MOBILE_ONLY = "mobile ions only, relative to the framework"


def measure_transport(
    passage: Passage,
    mobile: str,
    *,
    frame_ps: float,
    temperature_k: float | None = None,
    charges: Mapping[str, float] | None = None,
    lags: Sequence[int] | None = None,
) -> TransportAnalysis:
    """Return what the run tells about transport.

    Parameters
    ----------
    passage
        The trajectory, read with `mobile` as its mobile species.
    mobile
        The mobile species.
    frame_ps
        Time between frames, ps.
    temperature_k
        Needed for conductivities.
    charges
        Of the mobile species alone (default 1), or of all species: then the full charge
        displacement makes the conductivity.
    lags
        Lags of the curves in frames; default: all.

    Raises
    ------
    AnalysisError
        For too few frames, lags beyond the run, charges that do not fit the species, or a
        sample that is not neutral.
    """
    given = dict(charges or {})
    charge = given.get(mobile, 1.0)
    estimate = path_diffusivity(passage.path_a, frame_ps=frame_ps)
    at = _lags(lags, passage.n_frames)
    sigma_ne = None
    if temperature_k is not None:
        sigma_ne = nernst_einstein_ms_cm(
            estimate.diffusivity_cm2_s,
            n_mobile=estimate.n_mobile,
            volume_a3=passage.volume_a3,
            temperature_k=temperature_k,
            charge=charge,
        )
    return TransportAnalysis(
        mobile=mobile,
        charge=charge,
        charge_model=_MOBILE_ONLY,
        temperature_k=temperature_k,
        n_mobile=estimate.n_mobile,
        volume_a3=passage.volume_a3,
        frame_ps=frame_ps,
        n_frames=passage.n_frames,
        lags_frames=at.tolist(),
        lags_ps=estimate.lag_ps[at].tolist(),
        msd_self_a2=estimate.msd_a2[at].tolist(),
        msd_collective_a2=estimate.collective_msd_a2[at].tolist(),
        diffusivity_cm2_s=estimate.diffusivity_cm2_s,
        window_ps=estimate.window_ps,
        loglog_slope=estimate.loglog_slope,
        n_effective_hops=estimate.n_effective_hops,
        sigma_ne_ms_cm=sigma_ne,
    )


def _lags(asked: Sequence[int] | None, n_frames: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if n_frames < 2:  # noqa: PLR2004  (a displacement)
        raise AnalysisError(
            "too few frames for a displacement",
            given=f"{n_frames} frame",
            allowed="2 frames or more",
            remedy="run longer or save frames more often",
        )
    if asked is None:
        return np.arange(1, n_frames)
    if wrong := [lag for lag in asked if not 0 < lag < n_frames]:
        raise AnalysisError(
            "a lag lies outside the trajectory",
            given=f"{wrong} frames",
            allowed=f"1 to {n_frames - 1} frames",
        )
    return np.array(asked, dtype=np.int64)
