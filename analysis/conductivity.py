r"""Collective conductivity and Haven ratio from the summed displacement of charges.

The Einstein relation :math:`\sigma = \lim_t \langle|\Delta P(t)|^2\rangle / (6 t V k T)` holds for
:math:`\Delta P = \sum_i q_i \Delta r_i` over all ions, in any frame if they are neutral; with the
mobile ions alone it holds in the frame of the framework. The sum is one path, however many ions
there are: the relative error of its mean square at a lag t is about :math:`\sqrt{2 t/(3 T)}` in a
run of length T, so the slope rests on the shortest diffusive lags.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from ..quantity import Quantity, Status, worst
from ..units import A2_PER_PS_IN_CM2_PER_S
from .arrhenius import nernst_einstein_ms_cm
from .diffusion import LOGLOG_LIMITS, path_diffusivity, positive_quantity
from .gls import CorrelatedCurve
from .msd import cross_displacements, lag_grid, squared_displacement_variance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .diffusion import DiffusivityEstimate
    from .frames import FloatArray
    from .gls import Line

_LONGEST_LAG_SHARE = 0.5
_TESTED_SHARE = 0.2
_MIN_POINTS = 4
_SIGNIFICANT = 3.0
_LARGEST_RELATIVE_SD = 0.5
_NEUTRAL = 1e-6


@dataclass(frozen=True, slots=True)
class ConductivityEstimate:
    """Independent and collective transport of one run, and their ratio.

    Attributes
    ----------
    tracer
        The tracer diffusivity D* and the self mean squared displacement.
    collective_diffusivity_cm2_s
        D_sigma: that of the summed displacement, per mobile ion.
    sigma_ne_ms_cm, sigma_ms_cm
        Conductivity of independent ions (Nernst-Einstein) and of the ions as they move;
        ``None`` without a temperature.
    haven_ratio
        sigma_ne / sigma = D* / D_sigma.
    lag_ps, collective_msd_a2
        Squared sum of the displacements over the number of mobile ions, by lag; with charges
        the squared displacement of charge over that number and the squared mobile charge.
    window_ps
        First and last lag of the collective fit; ``None`` without one.
    loglog_slope, loglog_slope_sd
        Exponent of the collective growth in the first two octaves of the window.
    basis
        Which displacements were summed, in words.
    """

    tracer: DiffusivityEstimate
    collective_diffusivity_cm2_s: Quantity
    sigma_ne_ms_cm: Quantity | None
    sigma_ms_cm: Quantity | None
    haven_ratio: Quantity
    lag_ps: FloatArray
    collective_msd_a2: FloatArray
    window_ps: tuple[float, float] | None
    loglog_slope: float | None
    loglog_slope_sd: float | None
    basis: str


def charge_path(
    sums_a: Mapping[str, FloatArray], counts: Mapping[str, int], charges: Mapping[str, float]
) -> FloatArray:
    """Return the displacement of charge, sum_i q_i dr_i, in elementary charges times A.

    Parameters
    ----------
    sums_a
        Species to the sum of the displacements of its atoms, A, shape (n_frames, 3), all in
        one frame of reference; which one does not matter.
    counts
        Species to its number of atoms.
    charges
        Species to the charge of an ion, elementary charges.

    Raises
    ------
    AnalysisError
        If a species has no charge given or no sum, or the charges are not neutral.
    """
    if set(charges) != set(sums_a) or set(counts) != set(sums_a):
        raise AnalysisError(
            "charges do not fit the species",
            given=sorted(charges),
            allowed=sorted(sums_a),
            remedy="give the charge of every species and of no other",
        )
    net = math.fsum(charges[name] * counts[name] for name in counts)
    if abs(net) > _NEUTRAL * math.fsum(abs(charges[name]) * counts[name] for name in counts):
        raise AnalysisError(
            "the charges are not neutral, so their displacement depends on the frame",
            given=f"a net charge of {net:+g} from "
            + ", ".join(f"{counts[name]} {name} of {charges[name]:+g}" for name in sorted(counts)),
            allowed="a net charge of 0",
            remedy="correct the charges, or leave them out to sum over the mobile ions alone",
        )
    moved: FloatArray = np.sum([charges[name] * sums_a[name] for name in sums_a], axis=0)
    return moved


def path_conductivity(
    path: NDArray[np.floating],
    *,
    frame_ps: float,
    temperature_k: float | None,
    volume_a3: float,
    charge: float = 1.0,
    charge_path_ea: FloatArray | None = None,
    tracer: DiffusivityEstimate | None = None,
) -> ConductivityEstimate:
    """Estimate conductivity and Haven ratio from continuous paths of the mobile ions.

    The collective slope comes from generalised least squares, as that of the tracer
    (:func:`path_diffusivity`), for one path. It starts where that of the tracer starts, or
    later where the collective curve is significantly not diffusive. The variance of the
    squared sum is the observed one, at least that of a Gaussian path.

    In the Haven ratio the correlation of both errors counts: for N ions the covariance of
    the relative errors is that of D_sigma over N H_R.

    Parameters
    ----------
    path
        A, shape (n_frames, n_mobile, 3), relative to the framework.
    frame_ps
        Time between frames, ps.
    temperature_k, volume_a3
        Of the run; without a temperature there are no conductivities.
    charge
        Of a mobile ion, elementary charges.
    charge_path_ea
        Displacement of the charge of all species (:func:`charge_path`), shape (n_frames, 3);
        by default that of the mobile ions alone.
    tracer
        The tracer diffusivity, where it is known already.

    Raises
    ------
    AnalysisError
        If a time, temperature, volume or the charge is zero or less, or lengths differ.
    """
    if charge == 0.0:
        raise AnalysisError("mobile ions without charge carry no current", given="charge 0")
    n_frames, n_mobile, _ = path.shape
    if charge_path_ea is not None and charge_path_ea.shape != (n_frames, 3):
        raise AnalysisError(
            "the displacement of charge does not fit the paths",
            given=f"shape {charge_path_ea.shape}",
            allowed=f"({n_frames}, 3)",
        )
    own = tracer or path_diffusivity(path, frame_ps=frame_ps)
    if charge_path_ea is None:
        signal = path.sum(axis=1, dtype=np.float64) / math.sqrt(n_mobile)
        basis = "mobile ions in the frame of the framework"
    else:
        signal = charge_path_ea / (charge * math.sqrt(n_mobile))
        basis = "charges of all species"
    fit = _collective_fit(signal, own, frame_ps)
    together = fit.quantity(own)

    def conductivity(diffusivity: Quantity) -> Quantity | None:
        if temperature_k is None:
            return None
        return nernst_einstein_ms_cm(
            diffusivity,
            n_mobile=n_mobile,
            volume_a3=volume_a3,
            temperature_k=temperature_k,
            charge=charge,
        )

    return ConductivityEstimate(
        tracer=own,
        collective_diffusivity_cm2_s=together,
        sigma_ne_ms_cm=conductivity(own.diffusivity_cm2_s),
        sigma_ms_cm=conductivity(together),
        haven_ratio=_haven_ratio(
            own.diffusivity_cm2_s, together, n_mobile if charge_path_ea is None else None
        ),
        lag_ps=own.lag_ps,
        collective_msd_a2=fit.msd_a2,
        window_ps=fit.window_ps,
        loglog_slope=None if fit.loglog is None else fit.loglog.slope,
        loglog_slope_sd=None if fit.loglog is None else fit.loglog.slope_sd,
        basis=basis,
    )


@dataclass(frozen=True, slots=True)
class _CollectiveFit:
    msd_a2: FloatArray
    window_ps: tuple[float, float] | None = None
    loglog: Line | None = None
    d_cm2_s: float = 0.0
    sd_cm2_s: float = 0.0
    freedom: float = 1.0

    def quantity(self, tracer: DiffusivityEstimate) -> Quantity:
        """Return D_sigma; it is no better than the tracer diffusivity of the same run."""
        if self.window_ps is None or self.d_cm2_s <= 0.0:
            reason = "no collective window" if self.window_ps is None else "no net motion of charge"
            own = tracer.diffusivity_cm2_s
            note = f"{reason}; {own.note}" if own.note else reason
            return Quantity(status=worst(own.status, Status.UNCONVERGED), note=note)
        doubts = []
        relative = self.sd_cm2_s / self.d_cm2_s
        if relative > _LARGEST_RELATIVE_SD:
            doubts.append(
                f"relative error of the collective slope {relative:.0%}, "
                f"at most {_LARGEST_RELATIVE_SD:.0%}"
            )
        if tracer.diffusivity_cm2_s.status is not Status.OK:
            doubts.append(tracer.diffusivity_cm2_s.note)
        return positive_quantity(self.d_cm2_s, self.sd_cm2_s, self.freedom, doubts)


def _collective_fit(
    signal: FloatArray, tracer: DiffusivityEstimate, frame_ps: float
) -> _CollectiveFit:
    n_steps = len(signal) - 1
    products = cross_displacements(signal[:, None])
    msd = np.einsum("fii->f", products)
    if tracer.window_ps is None:
        return _CollectiveFit(msd)
    lags = lag_grid(max(1, int(_LONGEST_LAG_SHARE * n_steps)))
    observed = squared_displacement_variance(signal[:, None], lags, n_steps)
    gaussian = 2.0 * np.einsum("fij,fij->f", products[lags], products[lags])
    curve = CorrelatedCurve(lags, msd[lags], np.maximum(observed, gaussian), float(n_steps))
    start = _collective_start(curve, round(tracer.window_ps[0] / frame_ps))
    if start is None:
        return _CollectiveFit(msd)
    part = curve.from_lag(start)
    line = part.line()
    unit = A2_PER_PS_IN_CM2_PER_S / frame_ps / (2 * signal.shape[1])
    return _CollectiveFit(
        msd_a2=msd,
        window_ps=(float(lags[start] * frame_ps), float(lags[-1] * frame_ps)),
        loglog=part.power_law(),
        d_cm2_s=line.slope * unit,
        sd_cm2_s=line.slope_sd * unit,
        freedom=max(1.0, n_steps / float(lags[start]) - 2.0),
    )


def _collective_start(curve: CorrelatedCurve, earliest_lag: int) -> int | None:
    """Return the first lag from which on no exponent is significantly off that of diffusion.

    Starts beyond a fifth of the lags (a tenth of the run) are not tested: there one path
    shows too little.
    """
    latest = len(curve.lags) - _MIN_POINTS + 1
    first = int(np.searchsorted(curve.lags, earliest_lag))
    if first >= latest or curve.msd.min() <= 0.0:
        return None
    tested = min(latest, int((curve.lags <= _TESTED_SHARE * curve.lags[-1]).sum()))
    start = first
    for index in range(first, tested):
        fit = curve.from_lag(index).power_law()
        margin = _SIGNIFICANT * fit.slope_sd
        if fit.slope + margin < LOGLOG_LIMITS[0] or fit.slope - margin > LOGLOG_LIMITS[1]:
            start = index + 1
    return start if start == first or start < tested else None


def _haven_ratio(own: Quantity, together: Quantity, n_mobile: int | None) -> Quantity:
    """Divide D* by D_sigma; with `n_mobile` the correlation of their errors counts."""
    status = worst(own.status, together.status)
    note = "; ".join(dict.fromkeys(q.note for q in (own, together) if q.note))
    if not (own.value and together.value and own.sd is not None and together.sd is not None):
        return Quantity(status=status, note=note)
    ratio = own.value / together.value
    first, second = own.sd / own.value, together.sd / together.value
    shared = 0.0 if n_mobile is None else second**2 / (n_mobile * ratio)
    shared = min(shared, first * second)
    relative = math.sqrt(first**2 + second**2 - 2.0 * shared)
    if status is not Status.OK or together.upper is None:
        return Quantity(ratio, ratio * relative, status=status, note=note)
    widening = math.log(together.upper / together.value) / second
    factor = math.exp(widening * relative)
    return Quantity(ratio, ratio * relative, ratio / factor, ratio * factor)
