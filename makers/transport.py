"""Transport of one run: alone and in concert, by direction and by pairs of species."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..analysis.conductivity import charge_path, path_conductivity
from ..analysis.cross_displacements import N_BLOCKS, mean_cross_displacements
from ..analysis.diffusion import path_diffusivity
from ..analysis.directional import diffusion_tensor
from ..analysis.onsager import onsager_matrix
from ..analysis.species_msd import species_msd
from ..errors import AnalysisError
from ..quantity import Quantity
from ..stores.analyses import CurveAnalysis, TransportAnalysis
from ..systems.formulae import place_in_formula
from .curves import curve, if_possible, thinned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..analysis.conductivity import ConductivityEstimate
    from ..analysis.directional import DiffusionTensor
    from ..analysis.passage import Passage

_N_PAIR_POINTS = 60
_LONGEST_LAG_SHARE = 0.5
_VALUES_FOR_TENSOR = 16_000_000


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
        Lags of the displacement curves in frames; default: all.

    Raises
    ------
    AnalysisError
        For too few frames, lags beyond the run, charges that do not fit the species, or a
        sample that is not neutral.
    """
    given = dict(charges or {})
    at = _lags(lags, passage.n_frames)
    charge_ea = _charge_path(passage, mobile, given)
    tracer = path_diffusivity(passage.path_a, frame_ps=frame_ps)
    tensor = if_possible(lambda: _tensor(passage, frame_ps))
    found = TransportAnalysis(
        mobile=mobile,
        charge=given.get(mobile, 1.0),
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
        principal_axes=tensor.axes.round(4).tolist() if tensor else [],
        principal_diffusivities_cm2_s=[one.diffusivity_cm2_s for one in tensor.along]
        if tensor
        else [],
        msd_by_species_a2=_by_species(passage, mobile, frame_ps),
        cross_displacement_a2=_cross_displacements(passage, tracer.n_mobile, frame_ps),
    )
    sigma = path_conductivity(
        passage.path_a,
        frame_ps=frame_ps,
        temperature_k=temperature_k,
        volume_a3=passage.volume_a3,
        charge=found.charge,
        charge_path_ea=charge_ea,
        tracer=tracer,
    )
    found = found.model_copy(
        update={
            "charge_model": sigma.basis,
            "collective_diffusivity_cm2_s": sigma.collective_diffusivity_cm2_s,
            "collective_window_ps": sigma.window_ps,
            "sigma_ne_ms_cm": sigma.sigma_ne_ms_cm,
            "sigma_ms_cm": sigma.sigma_ms_cm,
            "haven_ratio": sigma.haven_ratio,
        }
    )
    if temperature_k is None:
        return found
    along = _along(passage, tensor, found, charge_ea) if tensor else []
    onsager = if_possible(lambda: _onsager(passage, sigma, frame_ps, temperature_k))
    return found.model_copy(
        update={"principal_sigmas_ms_cm": along, "onsager_per_j_m_s": onsager or {}}
    )


def _tensor(passage: Passage, frame_ps: float) -> DiffusionTensor:
    """Return the diffusion tensor; of a very long run from every few frames."""
    stride = _tensor_stride(passage)
    return diffusion_tensor(passage.path_a[::stride], frame_ps=stride * frame_ps)


def _tensor_stride(passage: Passage) -> int:
    return -(-passage.path_a.size // _VALUES_FOR_TENSOR)


def _along(
    passage: Passage,
    tensor: DiffusionTensor,
    found: TransportAnalysis,
    charge_path_ea: NDArray[np.float64] | None,
) -> list[Quantity]:
    """Return the collective conductivity along each principal axis of diffusion."""
    stride = _tensor_stride(passage)
    sigmas = []
    for axis, own in zip(tensor.axes, tensor.along, strict=True):
        moved = None if charge_path_ea is None else (charge_path_ea[::stride] @ axis)[:, None]
        estimate = path_conductivity(
            (passage.path_a[::stride] @ axis)[..., None],
            frame_ps=stride * found.frame_ps,
            temperature_k=found.temperature_k,
            volume_a3=found.volume_a3,
            charge=found.charge,
            charge_path_ea=moved,
            tracer=own,
        )
        if estimate.sigma_ms_cm is not None:
            sigmas.append(estimate.sigma_ms_cm)
    return sigmas


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
            given=f"{', '.join(map(str, wrong))} frames",
            allowed=f"1 to {n_frames - 1} frames",
        )
    return np.array(asked, dtype=np.int64)


def _counts(passage: Passage) -> dict[str, int]:
    names, numbers = np.unique(passage.species, return_counts=True)
    return {str(name): int(n) for name, n in zip(names, numbers, strict=True)}


def _charge_path(
    passage: Passage, mobile: str, charges: Mapping[str, float]
) -> NDArray[np.float64] | None:
    """Return the displacement of all charges, or nothing where only mobile ones are given."""
    if not set(charges) - {mobile}:
        return None
    return charge_path(passage.sums_a, _counts(passage), charges)


def _by_species(passage: Passage, mobile: str, frame_ps: float) -> dict[str, CurveAnalysis]:
    """Return the MSD of every species relative to the framework, at the lags of the sample."""
    frames = passage.sample_frames
    if len(frames) < 2:  # noqa: PLR2004  (a lag)
        return {}
    step_ps = float(frames[1] - frames[0]) * frame_ps
    at = thinned(1, max(1, int(_LONGEST_LAG_SHARE * (len(frames) - 1))), _N_PAIR_POINTS)
    found = species_msd(
        passage.sample_a,
        passage.sample_cells_a,
        passage.species.tolist(),
        mobile=[mobile],
        unwrapped=True,
        checked=False,
    )
    names = sorted(found, key=place_in_formula)
    return {name: curve(step_ps * at, found[name].self_a2[at]) for name in names}


def _cross_displacements(
    passage: Passage, n_mobile: int, frame_ps: float
) -> dict[str, CurveAnalysis]:
    if passage.n_frames < 2 * N_BLOCKS:
        return {}
    found = mean_cross_displacements(passage.sums_a, _counts(passage), frame_ps=frame_ps)
    at = thinned(1, max(1, (passage.n_frames - 1) // N_BLOCKS), _N_PAIR_POINTS)
    names = sorted(found.species, key=place_in_formula)
    curves = {}
    for index, first in enumerate(names):
        for second in names[index:]:
            value, sd = found.pair(first, second, per=n_mobile)
            curves[f"{first}-{second}"] = curve(found.lag_ps[at], value[at], sd[at])
    return curves


def _onsager(
    passage: Passage, sigma: ConductivityEstimate, frame_ps: float, temperature_k: float
) -> dict[str, Quantity]:
    start = sigma.window_ps or sigma.tracer.window_ps
    if start is None:
        return {}
    found = onsager_matrix(
        passage.sums_a,
        _counts(passage),
        frame_ps=frame_ps,
        temperature_k=temperature_k,
        volume_a3=passage.volume_a3,
        from_ps=start[0],
    )
    whole = sigma.collective_diffusivity_cm2_s
    status, note = whole.status, whole.note
    coefficients = {}
    for i, first in enumerate(found.species):
        for j, second in enumerate(found.species[i:], start=i):
            value, sd = float(found.per_j_m_s[i, j]), float(found.sd_per_j_m_s[i, j])
            half = found.quantile * sd
            name = "-".join(sorted((first, second), key=place_in_formula))
            coefficients[name] = Quantity(value, sd, value - half, value + half, status, note)
    return coefficients
