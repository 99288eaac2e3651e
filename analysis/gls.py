r"""Straight lines through a mean squared displacement whose points are correlated.

The covariance is that of McCluskey et al., J. Chem. Theory Comput. 21, 79 (2025): for lags
:math:`i \le j`, :math:`\Sigma_{ij} = s_i / n_j`, with :math:`s_i` the observed variance of single
squared displacements and :math:`n_j` the number of non-overlapping observations. Divided by the
lag, such a curve has independent increments, so whitening is a difference and generalised least
squares need no matrix inverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .frames import FloatArray, IntArray

_MIN_POINTS = 4
_LATEST_START = 0.5
_SIGNIFICANT = 3.0
_STRETCH = 4.0
_GAUSSIAN_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted straight line.

    Attributes
    ----------
    intercept, slope
        Of the line.
    intercept_sd, slope_sd
        Their standard deviations.
    """

    intercept: float
    slope: float
    intercept_sd: float
    slope_sd: float


@dataclass(frozen=True, slots=True)
class CorrelatedCurve:
    """A mean squared displacement on some lags, with what its covariance needs.

    Attributes
    ----------
    lags
        Frames, increasing, shape (n_lags,).
    msd
        A2, shape (n_lags,).
    variance
        Variance of single squared displacements, A4, shape (n_lags,).
    n_observations
        Ions times steps of the run: the number of independent observations at lag 1.
    """

    lags: IntArray
    msd: FloatArray
    variance: FloatArray
    n_observations: float

    def from_lag(self, index: int) -> CorrelatedCurve:
        """Return the part of the curve that starts at its `index`-th lag."""
        return CorrelatedCurve(
            self.lags[index:], self.msd[index:], self.variance[index:], self.n_observations
        )

    def line(self) -> Line:
        """Fit msd = intercept + slope * lag (in frames) by generalised least squares."""
        columns = np.column_stack([np.ones(len(self.lags)), self.lags, self.msd])
        white = self._whiten(columns)
        design, target = white[:, :2], white[:, 2]
        covariance = np.linalg.inv(design.T @ design)
        intercept, slope = covariance @ design.T @ target
        intercept_sd, slope_sd = np.sqrt(np.diag(covariance) / self.n_observations)
        return Line(float(intercept), float(slope), float(intercept_sd), float(slope_sd))

    def slope_weights(self) -> FloatArray:
        """Return the weights, one for each lag, that make the slope of :meth:`line`."""
        ones = np.ones(len(self.lags))
        white = self._whiten(np.column_stack([ones, self.lags, np.eye(len(self.lags))]))
        weights: FloatArray = (np.linalg.pinv(white[:, :2]) @ white[:, 2:])[1]
        return weights

    def power_law(self) -> Line:
        """Fit ln msd = intercept + slope * ln lag over the first octaves of the curve.

        The fit is an unweighted one, so that the exponent is that of the stretch and not of
        its first points alone; its errors follow from the covariance.
        """
        part = self.lags <= max(_STRETCH * self.lags[0], self.lags[_MIN_POINTS - 1])
        lags, msd = self.lags[part].astype(np.float64), self.msd[part]
        design = np.column_stack([np.ones(len(lags)), np.log(lags)])
        weights = np.linalg.pinv(design)
        intercept, slope = weights @ np.log(msd)
        spread = self._growth()[part] * lags
        covariance = np.minimum.outer(spread, spread) * np.maximum.outer(lags, lags)
        relative = covariance / np.outer(msd, msd) / self.n_observations
        intercept_sd, slope_sd = np.sqrt(np.diag(weights @ relative @ weights.T))
        return Line(float(intercept), float(slope), float(intercept_sd), float(slope_sd))

    def _whiten(self, columns: FloatArray) -> FloatArray:
        scaled = columns / self.lags[:, None]
        growth = self._growth()
        first = scaled[:1] / np.sqrt(growth[0])
        rest = np.diff(scaled, axis=0) / np.sqrt(np.diff(growth))[:, None]
        return np.concatenate([first, rest])

    def _growth(self) -> FloatArray:
        """Return variance over lag, made to rise as theory demands it must.

        Noise can make the observed values fall; the floor of the rise is a tenth of what a
        Gaussian walk of the same mean squared displacement would show.
        """
        rate = self.msd[1:] / self.lags[1:]
        floor = _GAUSSIAN_SHARE * (2.0 / 3.0) * rate**2 * np.diff(self.lags)
        observed = np.maximum.accumulate(self.variance / self.lags)
        growth: FloatArray = observed + np.concatenate(([0.0], np.cumsum(floor)))
        return growth


@dataclass(frozen=True, slots=True)
class DiffusiveWindow:
    """Where a mean squared displacement grows linearly.

    Attributes
    ----------
    start
        Index of the first lag of the window on the curve.
    first_diffusive
        Index of the first lag from which on the exponent is that of diffusion.
    loglog
        Power law over the first octaves of the window.
    found
        Whether its exponent lies within the limits; otherwise the window is the latest one
        that can be fitted.
    has_moved
        Whether the diffusive growth up to its first lag is as much as was asked for;
        otherwise that is not reached before the latest start.
    """

    start: int
    first_diffusive: int
    loglog: Line
    found: bool
    has_moved: bool


def find_diffusive_window(
    curve: CorrelatedCurve,
    limits: tuple[float, float] = (0.9, 1.1),
    least_growth_a2: float = 0.0,
) -> DiffusiveWindow | None:
    """Find the earliest lag from which on the curve grows as a diffusive one.

    The exponent of the power law must lie within `limits`, and at no later start may it lie
    outside by more than three of its standard deviations: the crossing from ballistic motion
    into the cage, where the exponent passes through one on its way down, does not count.

    The window then begins where the growth slope * lag of the line fitted from there has
    reached `least_growth_a2`. Jumps back to the site just left make the curve rise faster as
    long as a walker remembers its last jump; the exponent hardly shows it, the slope does.

    Returns
    -------
    DiffusiveWindow or None
        ``None`` where the curve has too few lags or does not move.
    """
    usable = _LATEST_START * curve.lags[-1] if len(curve.lags) else 0.0
    latest = min(int((curve.lags <= usable).sum()), len(curve.lags) - _MIN_POINTS + 1)
    if latest < 1 or curve.msd.min() <= 0.0 or curve.variance.min() <= 0.0:
        return None
    fits = [curve.from_lag(index).power_law() for index in range(latest)]
    start = 0
    for index, fit in enumerate(fits):
        margin = _SIGNIFICANT * fit.slope_sd
        if fit.slope + margin < limits[0] or fit.slope - margin > limits[1]:
            start = index + 1
    inside = [i for i in range(start, latest) if limits[0] <= fits[i].slope <= limits[1]]
    first = inside[0] if inside else latest - 1
    for index in range(first, latest):
        if curve.from_lag(index).line().slope * curve.lags[index] >= least_growth_a2:
            return DiffusiveWindow(index, first, fits[index], bool(inside), has_moved=True)
    return DiffusiveWindow(latest - 1, first, fits[-1], bool(inside), has_moved=False)
