"""Means of correlated series, and whether a density has settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, special

from ..errors import AnalysisError
from ..quantity import Quantity, Status
from .evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .frames import FloatArray, IntArray

_WINDOW = 5.0
N_BLOCKS = 5
_LEAST_INDEPENDENT = 5
DENSITY_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class SeriesMean:
    """Mean of a stationary series.

    Attributes
    ----------
    mean
        Arithmetic mean.
    standard_error
        Of the mean, with autocorrelation.
    inefficiency
        Samples worth one independent sample (1 for white noise).
    n_effective
        Independent samples.
    """

    mean: float
    standard_error: float
    inefficiency: float
    n_effective: float


def _as_series(values: ArrayLike, least: int) -> FloatArray:
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or len(series) < least or not np.isfinite(series).all():
        raise AnalysisError(
            "a series cannot be averaged",
            given=f"shape {series.shape}, {int((~np.isfinite(series)).sum())} values not finite",
            allowed=f"one dimension, {least} finite values or more",
        )
    return series


def block_means(values: ArrayLike, n_blocks: int) -> FloatArray:
    """Return the means of `n_blocks` contiguous blocks; a remainder at the start is left out.

    Raises
    ------
    AnalysisError
        If there are fewer values than blocks, or values that are not finite.
    """
    series = _as_series(values, n_blocks)
    length = len(series) // n_blocks
    means: FloatArray = series[-length * n_blocks :].reshape(n_blocks, length).mean(axis=1)
    return means


def block_of_frame(n_frames: int, n_blocks: int) -> IntArray:
    """Return the number of the block of each frame, shape (n_frames,).

    Blocks are contiguous, and as many as there are frames where those are fewer.
    """
    numbers: IntArray = np.arange(n_frames) * min(n_blocks, n_frames) // max(n_frames, 1)
    return numbers


def block_error(means: ArrayLike) -> FloatArray:
    """Return the standard error of the mean of blocks along the first axis, NaN for one block.

    Parameters
    ----------
    means
        Block means, shape (n_blocks, ...).
    """
    blocks = np.asarray(means, dtype=np.float64)
    if len(blocks) <= 1:
        return np.full(blocks.shape[1:], np.nan)
    error: FloatArray = blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))
    return error


def block_quantity(
    values: ArrayLike, n_blocks: int = N_BLOCKS, *, least: float = -np.inf, most: float = np.inf
) -> Quantity:
    """Return the mean of a series with the error of its block means and Student's interval.

    Fewer values than blocks make as many blocks as there are values; one value has no error.

    Parameters
    ----------
    values
        One value for each frame, shape (n_frames,).
    n_blocks
        Contiguous blocks.
    least, most
        Ends of the possible range, which cut the interval.

    Raises
    ------
    AnalysisError
        For no values, or values that are not finite.
    """
    series = _as_series(values, 1)
    mean = float(series.mean())
    means = block_means(series, min(n_blocks, len(series)))
    if len(means) == 1:
        return Quantity(mean, note="one frame or block: no error")
    sd = float(block_error(means))
    half = float(special.stdtrit(len(means) - 1, 0.975)) * sd
    return Quantity(mean, sd, max(least, mean - half), min(most, mean + half))


def series_mean(values: ArrayLike) -> SeriesMean:
    """Return the mean of a series and its standard error.

    The autocorrelation time is summed up to the first lag of five times itself (Sokal,
    Monte Carlo Methods in Statistical Mechanics, 1997).

    Parameters
    ----------
    values
        Equally spaced samples, shape (n,), any unit.

    Raises
    ------
    AnalysisError
        For fewer than two values, or values that are not finite.
    """
    series = _as_series(values, 2)
    n = len(series)
    centred = series - series.mean()
    length = fft.next_fast_len(2 * n, real=True)
    power = np.abs(fft.rfft(centred, length)) ** 2
    correlation = fft.irfft(power, length)[:n]
    if correlation[0] <= np.finfo(np.float64).eps * n * float(np.square(series).max()):
        return SeriesMean(float(series.mean()), 0.0, 1.0, float(n))
    times = 2.0 * np.cumsum(correlation / correlation[0]) - 1.0
    closed = np.arange(n) >= _WINDOW * times / 2.0
    inefficiency = max(1.0, float(times[np.argmax(closed)] if closed.any() else n))
    n_effective = n / inefficiency
    variance = float(correlation[0]) / n / max(n_effective - 1.0, 0.5)
    return SeriesMean(float(series.mean()), float(np.sqrt(variance)), inefficiency, n_effective)


def mean_quantity(values: ArrayLike, *, least: float = -np.inf, most: float = np.inf) -> Quantity:
    """Return the mean of a series, its error with autocorrelation, and Student's interval.

    Values that are not finite count as not measured. The status is ``unconverged`` where
    fewer than five independent samples of a fluctuating series stand behind the mean. A
    share (from 0 to 1) that is 0, or 1, in all samples has the interval of
    :func:`certain_share`.

    Parameters
    ----------
    values
        Equally spaced samples, shape (n,), any unit.
    least, most
        Ends of the possible range, which cut the interval.
    """
    series = np.asarray(values, dtype=np.float64)
    measured = series[np.isfinite(series)]
    if not len(measured):
        return Quantity(status=Status.UNCONVERGED, note=f"none of {series.size} samples measured")
    if len(measured) == 1:
        return Quantity(float(measured[0]), note="one sample: no error")
    if (least, most) == (0.0, 1.0) and set(measured.tolist()) in ({0.0}, {1.0}):
        return certain_share(float(measured[0]), len(measured))
    found = series_mean(measured)
    half = float(special.stdtrit(max(found.n_effective - 1.0, 1.0), 0.975)) * found.standard_error
    few = found.n_effective < _LEAST_INDEPENDENT and found.standard_error > 0.0
    return Quantity(
        found.mean,
        found.standard_error,
        max(least, found.mean - half),
        min(most, found.mean + half),
        Status.UNCONVERGED if few else Status.OK,
        f"{found.n_effective:.1f} independent samples" if few else "",
    )


def certain_share(value: float, n_independent: float) -> Quantity:
    """Return a share that was 0, or 1, in all of some independent observations.

    The interval is that of Jeffreys' prior, a Beta distribution (Brown, Cai and DasGupta,
    Stat. Sci. 16, 101 (2001)): what was never seen in n observations may have 2.5/n.

    Parameters
    ----------
    value
        0 or 1.
    n_independent
        Observations; with fewer than five the share is ``unconverged``.
    """
    seen, unseen = 0.5, n_independent + 0.5
    most = float(special.betaincinv(seen, unseen, 0.975))
    sd = float(np.sqrt(seen * unseen / (n_independent + 2.0))) / (n_independent + 1.0)
    few = n_independent < _LEAST_INDEPENDENT
    return Quantity(
        value,
        sd,
        0.0 if value == 0.0 else 1.0 - most,
        most if value == 0.0 else 1.0,
        Status.UNCONVERGED if few else Status.OK,
        f"{n_independent:g} independent samples" if few else "",
    )


def density_equilibrated(
    blocks_g_cm3: Sequence[float], tolerance: float = DENSITY_TOLERANCE, n_last: int = 3
) -> Evidence:
    """Judge whether the last block means of a density agree.

    Parameters
    ----------
    blocks_g_cm3
        Means of consecutive blocks, g/cm3.
    tolerance
        Largest spread (largest minus smallest over mean) allowed.
    n_last
        How many of the last blocks must agree; fewer blocks are never enough.
    """
    criterion = f"the last {n_last} block means of the density agree within {tolerance:.1%}"
    if len(blocks_g_cm3) < n_last:
        return Evidence(holds=False, criterion=criterion, numbers={"n_blocks": len(blocks_g_cm3)})
    last = _as_series(blocks_g_cm3[-n_last:], 1)
    spread = float(np.ptp(last) / last.mean())
    return Evidence(
        holds=spread <= tolerance,
        criterion=criterion,
        numbers={
            "n_blocks": len(blocks_g_cm3),
            "relative_spread": spread,
            "density_g_cm3": float(last.mean()),
        },
    )
