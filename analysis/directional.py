"""Diffusion that depends on direction: chains, layers, crystals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .diffusion import HOP_LENGTH_A, MIN_EFFECTIVE_HOPS, path_diffusivity
from .gls import CorrelatedCurve
from .msd import lag_grid, msd_tensor

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .diffusion import DiffusivityEstimate
    from .frames import FloatArray

_LONGEST_LAG_SHARE = 0.5
_MIN_LAGS = 4


@dataclass(frozen=True, slots=True)
class DiffusionTensor:
    """How fast ions diffuse along each direction.

    Attributes
    ----------
    lag_ps
        Shape (n_frames,).
    msd_tensor_a2
        <dx_a dx_b> over ions and time origins, A2, shape (n_frames, 3, 3); the trace is the
        mean squared displacement.
    axes
        Principal axes of the slope of `msd_tensor_a2`, unit vectors in rows, slowest first.
    along
        Estimates along these axes, in the same order. Sorting by speed makes the first a
        little too slow and the last a little too fast where all are equal within errors.
    """

    lag_ps: FloatArray
    msd_tensor_a2: FloatArray
    axes: FloatArray
    along: tuple[DiffusivityEstimate, ...]


def diffusivity_along(
    path: NDArray[np.floating],
    directions: ArrayLike,
    *,
    frame_ps: float,
    hop_length_a: float = HOP_LENGTH_A,
    min_hops: float = MIN_EFFECTIVE_HOPS,
) -> tuple[DiffusivityEstimate, ...]:
    """Estimate the tracer diffusivity along some directions, <dx^2> = 2 D t for each.

    Parameters
    ----------
    path
        Continuous, relative to the framework, A, shape (n_frames, n_mobile, 3).
    directions
        Vectors of any length, e.g. those of the cell, shape (n_directions, 3).
    frame_ps, hop_length_a, min_hops
        As in :func:`path_diffusivity`.

    Raises
    ------
    AnalysisError
        For directions that are no vectors, or a time or length that is not positive.
    """
    vectors = np.asarray(directions, dtype=np.float64)
    if vectors.ndim != 2 or vectors.shape[1] != 3:  # noqa: PLR2004  (vectors in space)
        raise AnalysisError(
            "directions are no vectors",
            given=f"shape {vectors.shape}",
            allowed="(n_directions, 3)",
        )
    lengths = np.linalg.norm(vectors, axis=1)
    if not (np.isfinite(vectors).all() and (lengths > 0.0).all()):
        raise AnalysisError("a direction has no length or is not finite", given=vectors.tolist())
    return tuple(
        path_diffusivity(
            (path @ vector)[..., None],
            frame_ps=frame_ps,
            hop_length_a=hop_length_a,
            min_hops=min_hops,
        )
        for vector in vectors / lengths[:, None]
    )


def diffusion_tensor(
    path: NDArray[np.floating],
    *,
    frame_ps: float,
    hop_length_a: float = HOP_LENGTH_A,
    min_hops: float = MIN_EFFECTIVE_HOPS,
) -> DiffusionTensor:
    """Find the principal axes of diffusion and estimate the diffusivity along each.

    The axes are those of the slope of the tensor over all lags to half the run, weighted as
    generalised least squares weigh a diffusive path.

    Parameters
    ----------
    path
        Continuous, relative to the framework, A, shape (n_frames, n_mobile, 3).
    frame_ps, hop_length_a, min_hops
        As in :func:`path_diffusivity`.

    Raises
    ------
    AnalysisError
        For too few frames, or a time or length that is not positive.
    """
    lags = lag_grid(max(1, int(_LONGEST_LAG_SHARE * (len(path) - 1))))
    if len(lags) < _MIN_LAGS:
        raise AnalysisError(
            "too few frames for a diffusion tensor",
            given=f"{len(path)} frames",
            allowed=f"{2 * _MIN_LAGS + 1} frames or more",
            remedy="run longer or save frames more often",
        )
    tensor = msd_tensor(path).self_a2
    times = lags.astype(np.float64)
    weights = CorrelatedCurve(lags, times, times**2, 1.0).slope_weights()
    axes = np.linalg.eigh(np.einsum("l,lab->ab", weights, tensor[lags]))[1].T
    return DiffusionTensor(
        lag_ps=frame_ps * np.arange(len(path), dtype=np.float64),
        msd_tensor_a2=tensor,
        axes=axes,
        along=diffusivity_along(
            path, axes, frame_ps=frame_ps, hop_length_a=hop_length_a, min_hops=min_hops
        ),
    )
