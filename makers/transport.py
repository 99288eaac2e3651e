"""Transport of one run: diffusivity, collective conductivity, Haven ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..analysis.conductivity import charge_path, path_conductivity
from ..analysis.diffusion import path_diffusivity
from ..errors import AnalysisError
from ..stores.analyses import TransportAnalysis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..analysis.passage import Passage


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
    at = _lags(lags, passage.n_frames)
    tracer = path_diffusivity(passage.path_a, frame_ps=frame_ps)
    found = TransportAnalysis(
        mobile=mobile,
        charge=charge,
        temperature_k=temperature_k,
        n_mobile=tracer.n_mobile,
        volume_a3=passage.volume_a3,
        frame_ps=frame_ps,
        n_frames=passage.n_frames,
        lags_frames=at.tolist(),
        lags_ps=tracer.lag_ps[at].tolist(),
        msd_self_a2=tracer.msd_a2[at].tolist(),
        msd_collective_a2=tracer.collective_msd_a2[at].tolist(),
        diffusivity_cm2_s=tracer.diffusivity_cm2_s,
        window_ps=tracer.window_ps,
        loglog_slope=tracer.loglog_slope,
        n_effective_hops=tracer.n_effective_hops,
    )
    if temperature_k is None:
        return found
    sigma = path_conductivity(
        passage.path_a,
        frame_ps=frame_ps,
        temperature_k=temperature_k,
        volume_a3=passage.volume_a3,
        charge=charge,
        charge_path_ea=_charge_path(passage, mobile, given),
        tracer=tracer,
    )
    return found.model_copy(
        update={
            "charge_model": sigma.basis,
            "collective_diffusivity_cm2_s": sigma.collective_diffusivity_cm2_s,
            "collective_window_ps": sigma.window_ps,
            "sigma_ne_ms_cm": sigma.sigma_ne_ms_cm,
            "sigma_ms_cm": sigma.sigma_ms_cm,
            "haven_ratio": sigma.haven_ratio,
        }
    )


def _charge_path(
    passage: Passage, mobile: str, charges: Mapping[str, float]
) -> NDArray[np.float64] | None:
    """Return the displacement of all charges, or nothing where only mobile ones are given."""
    if not set(charges) - {mobile}:
        return None
    names, numbers = np.unique(passage.species, return_counts=True)
    counts = {str(name): int(n) for name, n in zip(names, numbers, strict=True)}
    return charge_path(passage.sums_a, counts, charges)


def _lags(asked: Sequence[int] | None, n_frames: int) -> NDArray[np.int64]:
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
