r"""Collective conductivity and Haven ratio from the summed displacement of charges.

The Einstein relation :math:`\sigma = \lim_t \langle|\Delta P(t)|^2\rangle / (6 t V k T)` holds for
:math:`\Delta P = \sum_i q_i \Delta r_i` over all ions, in any frame if they are neutral; with the
mobile ions alone it holds in the frame of the framework. The sum is one path, however many ions
there are: the relative error of its mean square at a lag t is about :math:`\sqrt{2 t/(3 T)}` in a
run of length T, so the slope rests on the shortest diffusive lags. There it still counts jumps
back to the site just left, as the slope of the tracer does: so the ratio of the two is taken over
the same lags, where that cancels, and the conductivity is the Nernst-Einstein one over this ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from ..quantity import Quantity, Status, worst
from .arrhenius import nernst_einstein_ms_cm
from .diffusion import LOGLOG_LIMITS, path_diffusivity, positive_quantity
from .gls import CorrelatedCurve
from .msd import cross_displacements, squared_displacement_variance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .diffusion import DiffusivityEstimate
    from .frames import FloatArray
    from .gls import Line

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
        D_sigma: that of the summed displacement, per mobile ion, D* / H_R.
    sigma_ne_ms_cm, sigma_ms_cm
        Conductivity of independent ions (Nernst-Einstein) and of the ions as they move;
        ``None`` without a temperature.
    haven_ratio
        sigma_ne / sigma = D* / D_sigma, both slopes fitted over the same lags.
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
    (:func:`path_diffusivity`), for one path. It starts where the exponent of the tracer is
    that of diffusion, or later where the collective curve is significantly not diffusive. The
    variance of the squared sum is the observed one, at least that of a Gaussian path.

    The Haven ratio is that of the slopes of tracer and sum over the same lags, with the weights
    of the sum's fit, so that it is one for one ion. The correlation of both errors counts: for
    N ions the covariance of the relative errors is that of the collective slope over N H_R.
    Then D_sigma = D* / H_R with D* from its own, later window: var ln D_sigma = var ln D*
    - var ln D*(same lags) + var ln D_sigma(same lags), since a fit over a part of the lags adds
    independent scatter to that over all.

    Parameters
    ----------
    path
        A, shape (n_frames, n_mobile, 3), relative to the framework; its components along one
        direction, shape (n_frames, n_mobile, 1), give what holds along it.
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
    n_frames, n_mobile, n_dimensions = path.shape
    if charge_path_ea is not None and charge_path_ea.shape != (n_frames, n_dimensions):
        raise AnalysisError(
            "the displacement of charge does not fit the paths",
            given=f"shape {charge_path_ea.shape}",
            allowed=f"({n_frames}, {n_dimensions})",
        )
    own = tracer or path_diffusivity(path, frame_ps=frame_ps)
    if charge_path_ea is None:
        signal = path.sum(axis=1, dtype=np.float64) / math.sqrt(n_mobile)
        basis = "mobile ions in the frame of the framework"
    else:
        signal = charge_path_ea / (charge * math.sqrt(n_mobile))
        basis = "charges of all species"
    fit = _collective_fit(signal, own, frame_ps)
    ratio = fit.haven_ratio(own, n_mobile if charge_path_ea is None else None)
    together = fit.diffusivity(own)

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
        haven_ratio=ratio,
        lag_ps=own.lag_ps,
        collective_msd_a2=fit.msd_a2,
        window_ps=fit.window_ps,
        loglog_slope=None if fit.loglog is None else fit.loglog.slope,
        loglog_slope_sd=None if fit.loglog is None else fit.loglog.slope_sd,
        basis=basis,
    )


@dataclass(frozen=True, slots=True)
class _CollectiveFit:
    """Slopes of the tracer and of the sum over the same lags, A2 per frame."""

    msd_a2: FloatArray
    window_ps: tuple[float, float] | None = None
    loglog: Line | None = None
    tracer: Line | None = None
    together: Line | None = None
    freedom: float = 1.0

    def diffusivity(self, own: DiffusivityEstimate) -> Quantity:
        """Return D_sigma; it is no better than the tracer diffusivity of the same run."""
        tracer = own.diffusivity_cm2_s
        slopes = self._slopes()
        if slopes is None or not tracer.value:
            return self._nothing(tracer)
        (first, alone), (second, together) = slopes
        value = tracer.value * second / first
        extra = max((tracer.sd or 0.0) / tracer.value, alone) ** 2 - alone**2
        relative = math.sqrt(extra + together**2)
        return positive_quantity(value, value * relative, self.freedom, self._doubts(tracer))

    def haven_ratio(self, own: DiffusivityEstimate, n_mobile: int | None) -> Quantity:
        """Divide the slopes; with `n_mobile` the correlation of their errors counts."""
        tracer = own.diffusivity_cm2_s
        slopes = self._slopes()
        if slopes is None:
            return self._nothing(tracer)
        (first, alone), (second, together) = slopes
        ratio = first / second
        shared = 0.0 if n_mobile is None else together**2 / (n_mobile * ratio)
        shared = min(shared, alone * together)
        relative = math.sqrt(max(0.0, alone**2 + together**2 - 2.0 * shared))
        doubts = self._doubts(tracer)
        if doubts:
            return Quantity(
                ratio, ratio * relative, status=Status.UNCONVERGED, note="; ".join(doubts)
            )
        return positive_quantity(ratio, ratio * relative, self.freedom, doubts)

    def _slopes(self) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """Return both slopes with their relative errors; ``None`` unless both are positive."""
        if self.tracer is None or self.together is None:
            return None
        if min(self.tracer.slope, self.together.slope) <= 0.0:
            return None
        first, second = self.tracer, self.together
        return (first.slope, first.slope_sd / first.slope), (
            second.slope,
            second.slope_sd / second.slope,
        )

    def _doubts(self, tracer: Quantity) -> list[str]:
        doubts = []
        slopes = self._slopes()
        if slopes is not None and slopes[1][1] > _LARGEST_RELATIVE_SD:
            doubts.append(
                f"relative error of the collective slope {slopes[1][1]:.0%}, "
                f"at most {_LARGEST_RELATIVE_SD:.0%}"
            )
        if tracer.status is not Status.OK:
            doubts.append(tracer.note)
        return doubts

    def _nothing(self, tracer: Quantity) -> Quantity:
        reason = "no collective window" if self.window_ps is None else "no net motion of charge"
        note = f"{reason}; {tracer.note}" if tracer.note else reason
        return Quantity(status=worst(tracer.status, Status.UNCONVERGED), note=note)


def _collective_fit(
    signal: FloatArray, tracer: DiffusivityEstimate, frame_ps: float
) -> _CollectiveFit:
    n_steps = len(signal) - 1
    products = cross_displacements(signal[:, None])
    msd = np.einsum("fii->f", products)
    if tracer.first_diffusive is None:
        return _CollectiveFit(msd)
    lags = tracer.curve.lags
    observed = squared_displacement_variance(signal[:, None], lags, n_steps)
    gaussian = 2.0 * np.einsum("fij,fij->f", products[lags], products[lags])
    curve = CorrelatedCurve(lags, msd[lags], np.maximum(observed, gaussian), float(n_steps))
    start = _collective_start(curve, tracer.first_diffusive)
    if start is None:
        return _CollectiveFit(msd)
    part, same_lags = curve.from_lag(start), tracer.curve.from_lag(start)
    together = part.line()
    slope = float(part.slope_weights() @ same_lags.msd)
    return _CollectiveFit(
        msd_a2=msd,
        window_ps=(float(lags[start] * frame_ps), float(lags[-1] * frame_ps)),
        loglog=part.power_law(),
        tracer=replace(same_lags.line(), slope=slope),
        together=together,
        freedom=max(1.0, n_steps / float(lags[start]) - 2.0),
    )


def _collective_start(curve: CorrelatedCurve, first: int) -> int | None:
    """Return the first lag, not before `first`, from which on no exponent is significantly off.

    Starts beyond a fifth of the lags (a tenth of the run) are not tested: there one path
    shows too little.
    """
    latest = len(curve.lags) - _MIN_POINTS + 1
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
