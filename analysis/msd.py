"""Mean squared displacements over all lags and all time origins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from .frames import FloatArray, IntArray

_ATOMS_PER_BLOCK = 64
_ORIGINS_FOR_VARIANCE = 200


@dataclass(frozen=True, slots=True)
class Msd:
    """Mean squared displacement of one species.

    Attributes
    ----------
    self_a2
        Mean over ions of the squared displacement, A2, by lag in frames from 0, shape
        (n_frames,).
    collective_a2
        Squared sum of the displacements of all ions over their number, A2, same shape.
    """

    self_a2: FloatArray
    collective_a2: FloatArray


def msd_fft(path: FloatArray) -> Msd:
    """Return the self and the collective mean squared displacement of continuous paths.

    The correlation part comes from Fourier transforms (Calandrini et al., Collection SFN 12,
    201 (2011)); the power spectra of all ions are summed before one inverse transform.

    Parameters
    ----------
    path
        Continuous positions, A, shape (n_frames, n_ions, 3).
    """
    n_frames, n_ions, _ = path.shape
    length = fft.next_fast_len(2 * n_frames, real=True)
    power = np.zeros(length // 2 + 1)
    squares = np.zeros(n_frames)
    total = np.zeros((n_frames, 3))
    for start in range(0, n_ions, _ATOMS_PER_BLOCK):
        block = path[:, start : start + _ATOMS_PER_BLOCK]
        block = block - block.mean(axis=0)
        total += block.sum(axis=1)
        squares += np.einsum("fai,fai->f", block, block)
        power += _power(block.reshape(n_frames, -1), length)
    collective = _from_sums(np.einsum("fi,fi->f", total, total), _power(total, length))
    return Msd(_from_sums(squares, power) / n_ions, collective / n_ions)


def _power(signals: FloatArray, length: int) -> FloatArray:
    spectra = fft.rfft(signals, length, axis=0)
    summed: FloatArray = (spectra.real**2 + spectra.imag**2).sum(axis=1)
    return summed


def _from_sums(squares: FloatArray, power: FloatArray) -> FloatArray:
    n_frames = len(squares)
    length = fft.next_fast_len(2 * n_frames, real=True)
    correlation = fft.irfft(power, length)[:n_frames]
    cumulative = np.concatenate(([0.0], np.cumsum(squares)))
    lags = np.arange(n_frames)
    ends = cumulative[n_frames] - cumulative[lags] + cumulative[n_frames - lags]
    msd: FloatArray = np.maximum((ends - 2.0 * correlation) / (n_frames - lags), 0.0)
    msd[0] = 0.0
    return msd


def lag_grid(longest: int, per_octave: int = 16) -> IntArray:
    """Return lags from 1 to `longest` frames, spaced evenly in their logarithm."""
    n_points = int(per_octave * np.log2(max(longest, 2))) + 1
    grid: IntArray = np.unique(np.rint(np.geomspace(1, longest, n_points)).astype(np.int64))
    return grid


def squared_displacement_variance(path: FloatArray, lags: IntArray) -> FloatArray:
    """Return the variance of single squared displacements at each lag, A4, shape (n_lags,).

    It is taken over ions and at most 200 evenly spaced time origins.

    Parameters
    ----------
    path
        Continuous positions, A, shape (n_frames, n_ions, 3).
    lags
        Lags in frames, shape (n_lags,).
    """
    variances = np.zeros(len(lags))
    for index, lag in enumerate(lags):
        stride = max(1, (len(path) - int(lag)) // _ORIGINS_FOR_VARIANCE)
        moved = path[lag::stride] - path[:-lag:stride]
        variances[index] = np.einsum("fai,fai->fa", moved, moved).var()
    return variances
