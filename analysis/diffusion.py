"""Tracer diffusivity of the mobile ions, with an interval that means what it says."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ..errors import AnalysisError
from ..quantity import Quantity, Status
from ..units import A2_PER_PS_IN_CM2_PER_S
from .displacement import mobile_paths
from .gls import CorrelatedCurve, DiffusiveWindow, find_diffusive_window
from .msd import independent_ions, lag_grid, msd_fft, squared_displacement_variance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from .frames import FloatArray

HOP_LENGTH_A = 3.7
MIN_EFFECTIVE_HOPS = 100.0
LOGLOG_LIMITS = (0.9, 1.1)
HOPS_BEFORE_WINDOW = 1.5
"""Mean squared hops that an ion makes before the line begins: jumps back are forgotten."""
_LONGEST_LAG_SHARE = 0.5
_UPPER_TAIL = 0.975
_LARGEST_RELATIVE_SD = 0.5


@dataclass(frozen=True, slots=True)
class DiffusivityEstimate:
    """A tracer diffusivity and what it rests on.

    Attributes
    ----------
    diffusivity_cm2_s
        Value, 95 % interval and status; an upper bound alone where nothing can be fitted.
    lag_ps, msd_a2
        Mean squared displacement at all lags, shape (n_frames,).
    collective_msd_a2
        Squared sum of displacements over the number of ions, shape (n_frames,).
    window_ps
        First and last lag of the fit; ``None`` without one.
    loglog_slope, loglog_slope_sd
        Exponent of the growth in the first two octaves of the window; 1 for diffusion.
    intercept_a2
        Of the fitted line: the vibration about a site.
    n_effective_hops
        Total diffusive squared displacement of all ions over the squared hop length.
    n_mobile, duration_ps, hop_length_a
        Of the run, and the hop length assumed.
    curve
        What was fitted, for as many ions as move independently of each other.
    first_diffusive
        Index of the first lag of `curve` from which on the exponent is that of diffusion; the
        window begins there or, so that jumps back are forgotten, later. ``None`` without one.
    """

    diffusivity_cm2_s: Quantity
    lag_ps: FloatArray
    msd_a2: FloatArray
    collective_msd_a2: FloatArray
    window_ps: tuple[float, float] | None
    loglog_slope: float | None
    loglog_slope_sd: float | None
    intercept_a2: float | None
    n_effective_hops: float
    n_mobile: int
    duration_ps: float
    hop_length_a: float
    curve: CorrelatedCurve
    first_diffusive: int | None


def estimate_diffusivity(
    positions: ArrayLike,
    cells: ArrayLike,
    mobile: ArrayLike,
    framework: ArrayLike | None = None,
    *,
    frame_ps: float,
    unwrapped: bool = False,
    hop_length_a: float = HOP_LENGTH_A,
    min_hops: float = MIN_EFFECTIVE_HOPS,
) -> DiffusivityEstimate:
    """Estimate the tracer diffusivity from a trajectory.

    The drift of the framework is removed, the mean squared displacement taken over all time
    origins, the diffusive window found (:func:`find_diffusive_window`) and a line with
    intercept fitted by generalised least squares with the covariance of McCluskey et al.,
    J. Chem. Theory Comput. 21, 79 (2025), for as many ions as move independently of each
    other (:func:`independent_ions`). The 95 % interval is that of Student's t for ln D, so
    its lower end stays positive.

    The number is `ok` with at least `min_hops` effective hops, n = 6 D t N / a^2 (He et al.,
    npj Comput. Mater. 4, 18 (2018)), within a window whose log-log slope is 0.9 to 1.1 and
    that begins after 6 D t = 1.5 a^2: a hop back to the site just left is no diffusion, and
    by then it is forgotten (on walks of correlation factor 0.5 to 1 the interval then covers
    the truth as it should; from the first lag on D would be a fifth too large).
    Otherwise it is `unconverged`, its upper end at least the bound a^2 min_hops / (6 t N):
    a faster ion would have made enough hops.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    mobile, framework
        Boolean masks (n_atoms,); the framework is by default all that is not mobile.
    frame_ps
        Time between frames, ps.
    unwrapped
        Whether the positions are continuous already.
    hop_length_a
        Distance between neighbouring sites, A.
    min_hops
        Effective hops needed for a number.

    Raises
    ------
    AnalysisError
        For arrays that do not fit, jumps over half a box, no mobile ions, or a time or
        length that is not positive; never for data that are merely short.
    """
    path = mobile_paths(positions, cells, mobile, framework, unwrapped=unwrapped)
    return path_diffusivity(path, frame_ps=frame_ps, hop_length_a=hop_length_a, min_hops=min_hops)


def path_diffusivity(
    path: NDArray[np.floating],
    *,
    frame_ps: float,
    hop_length_a: float = HOP_LENGTH_A,
    min_hops: float = MIN_EFFECTIVE_HOPS,
) -> DiffusivityEstimate:
    """Estimate the tracer diffusivity from continuous paths relative to the framework.

    Parameters
    ----------
    path
        A, shape (n_frames, n_mobile, n_dim); fewer than three dimensions give the diffusivity
        along these alone.
    frame_ps, hop_length_a, min_hops
        As in :func:`estimate_diffusivity`.

    Raises
    ------
    AnalysisError
        For a time or length that is not positive.
    """
    for name, value in (("frame_ps", frame_ps), ("hop_length_a", hop_length_a)):
        if not value > 0:
            raise AnalysisError(f"{name} must be positive", given=value, allowed="a number above 0")
    n_frames, n_mobile, n_dim = path.shape
    duration = (n_frames - 1) * frame_ps
    msd = msd_fft(path)
    lags = lag_grid(max(1, int(_LONGEST_LAG_SHARE * (n_frames - 1))))
    curve = CorrelatedCurve(
        lags,
        msd.self_a2[lags],
        squared_displacement_variance(path, lags),
        float(n_mobile * (n_frames - 1)),
    )
    forgotten = HOPS_BEFORE_WINDOW * hop_length_a**2 * n_dim / 3.0
    window = find_diffusive_window(curve, LOGLOG_LIMITS, forgotten)
    fit = None
    if window is not None:
        n_independent = independent_ions(path, int(lags[window.first_diffusive]))
        curve = replace(curve, n_observations=n_independent * (n_frames - 1))
        fit = _fit(curve, window, frame_ps, n_dim)
    hops = 0.0
    if fit is not None:
        hops = 2 * n_dim * max(fit.d_a2_ps, 0.0) * duration * n_mobile / hop_length_a**2
    return DiffusivityEstimate(
        diffusivity_cm2_s=_judge(
            fit,
            hops=hops,
            min_hops=min_hops,
            bound_a2_ps=hop_length_a**2 * min_hops / (2 * n_dim * duration * n_mobile),
        ),
        lag_ps=frame_ps * np.arange(n_frames, dtype=np.float64),
        msd_a2=msd.self_a2,
        collective_msd_a2=msd.collective_a2,
        window_ps=None if fit is None else (fit.start_ps, float(lags[-1] * frame_ps)),
        loglog_slope=None if fit is None else fit.window.loglog.slope,
        loglog_slope_sd=None if fit is None else fit.window.loglog.slope_sd,
        intercept_a2=None if fit is None else fit.intercept_a2,
        n_effective_hops=hops,
        n_mobile=n_mobile,
        duration_ps=duration,
        hop_length_a=hop_length_a,
        curve=curve,
        first_diffusive=None if window is None else window.first_diffusive,
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    window: DiffusiveWindow
    start_ps: float
    d_a2_ps: float
    sd_a2_ps: float
    intercept_a2: float
    freedom: float


def _fit(curve: CorrelatedCurve, window: DiffusiveWindow, frame_ps: float, n_dim: int) -> _Fit:
    line = curve.from_lag(window.start).line()
    start = float(curve.lags[window.start])
    return _Fit(
        window=window,
        start_ps=start * frame_ps,
        d_a2_ps=line.slope / frame_ps / (2 * n_dim),
        sd_a2_ps=line.slope_sd / frame_ps / (2 * n_dim),
        intercept_a2=line.intercept,
        freedom=max(1.0, curve.n_observations / start - 2.0),
    )


def _judge(fit: _Fit | None, *, hops: float, min_hops: float, bound_a2_ps: float) -> Quantity:
    """Turn a fit into a number with interval and status; `bound_a2_ps` holds without one."""
    bound = bound_a2_ps * A2_PER_PS_IN_CM2_PER_S
    if fit is None or fit.d_a2_ps <= 0.0:
        reason = "the run is too short for a fit" if fit is None else "no net diffusion seen"
        return Quantity(
            upper=bound,
            status=Status.UNCONVERGED,
            note=f"{reason}; bound: fewer than {min_hops:.0f} hops were made",
        )
    value = fit.d_a2_ps * A2_PER_PS_IN_CM2_PER_S
    sd = fit.sd_a2_ps * A2_PER_PS_IN_CM2_PER_S
    doubts = _doubts(fit.window, hops, min_hops, sd / value)
    return positive_quantity(value, sd, fit.freedom, doubts, bound)


def positive_quantity(
    value: float, sd: float, freedom: float, doubts: Sequence[str], bound: float = 0.0
) -> Quantity:
    """Return a positive number with the interval of Student's t for its logarithm.

    With doubts it is `unconverged` and keeps its upper end alone, no lower than `bound`.
    """
    quantile = float(special.stdtrit(freedom, _UPPER_TAIL))
    if not doubts:
        factor = math.exp(quantile * sd / value)
        return Quantity(value, sd, value / factor, value * factor)
    upper = max(bound, value + quantile * sd)
    return Quantity(value, sd, None, upper, Status.UNCONVERGED, "; ".join(doubts))


def _doubts(window: DiffusiveWindow, hops: float, min_hops: float, relative_sd: float) -> list[str]:
    doubts = []
    if hops < min_hops:
        doubts.append(f"{hops:.0f} effective hops, {min_hops:.0f} needed")
    if not window.found:
        slope, sd = window.loglog.slope, window.loglog.slope_sd
        low, high = LOGLOG_LIMITS
        doubts.append(
            f"no diffusive window: log-log slope {slope:.2f} +- {sd:.2f}, {low} to {high} needed"
        )
    if not window.has_moved:
        doubts.append(
            f"the line cannot begin after {HOPS_BEFORE_WINDOW:g} hops of an ion: jumps back may "
            f"be counted as diffusion"
        )
    if relative_sd > _LARGEST_RELATIVE_SD:
        doubts.append(f"relative error {relative_sd:.0%}, at most {_LARGEST_RELATIVE_SD:.0%}")
    return doubts
