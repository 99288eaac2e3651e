"""Mean squared displacements over all lags and all time origins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frames import FloatArray, IntArray

_SIGNALS_PER_BLOCK = 12
_ORIGINS_FOR_VARIANCE = 200
_DISPLACEMENTS_FOR_CORRELATION = 1000


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


@dataclass(frozen=True, slots=True)
class MsdTensor:
    """Mean products of displacement components of one species.

    Attributes
    ----------
    self_a2
        Mean over ions of the product of the displacements along two axes, A2, shape
        (n_frames, n_dim, n_dim), by lag in frames from 0; the trace is the mean squared
        displacement.
    collective_a2
        Product of the summed displacements of all ions over their number, same shape.
    """

    self_a2: FloatArray
    collective_a2: FloatArray


def msd_fft(path: NDArray[np.floating]) -> Msd:
    """Return the self and the collective mean squared displacement of continuous paths.

    The correlation part comes from Fourier transforms (Calandrini et al., Collection SFN 12,
    201 (2011)); the power spectra of all ions are summed before one inverse transform.

    Parameters
    ----------
    path
        Continuous positions, A, shape (n_frames, n_ions, n_dim).
    """
    own, total = _correlated(path, full=False)
    collective = np.einsum("fii->f", cross_displacements(total[:, None]))
    return Msd(np.maximum(own[:, 0, 0], 0.0), np.maximum(collective / path.shape[1], 0.0))


def msd_tensor(path: NDArray[np.floating]) -> MsdTensor:
    """Return the mean products of displacement components, as :func:`msd_fft` their trace."""
    own, total = _correlated(path, full=True)
    return MsdTensor(own, cross_displacements(total[:, None]) / path.shape[1])


def cross_displacements(signals: FloatArray) -> FloatArray:
    """Return the mean products of the displacements of some signals, summed over groups.

    Parameters
    ----------
    signals
        Continuous, A, shape (n_frames, n_groups, n_signals).

    Returns
    -------
    FloatArray
        A2, shape (n_frames, n_signals, n_signals), symmetric, by lag in frames from 0: the
        mean over time origins of the product of two displacements, summed over groups.
    """
    centred = signals - signals.mean(axis=0)
    n_frames = len(signals)
    spectra = fft.rfft(centred, _padded_length(n_frames), axis=0)
    power = np.einsum("kga,kgb->abk", spectra.conj(), spectra).real
    return _from_products(np.einsum("fga,fgb->fab", centred, centred), power)


def _correlated(path: NDArray[np.floating], *, full: bool) -> tuple[FloatArray, FloatArray]:
    """Return the mean products (or the sum of squares alone) and the sum over ions."""
    from .spectra_kernel import add_power, load_signals  # noqa: PLC0415  (numba imports slowly)

    n_frames, n_ions, n_dim = path.shape
    signals = path.reshape(n_frames, -1)
    means = signals.mean(axis=0, dtype=np.float64)
    length = _padded_length(n_frames)
    shape = (n_dim, n_dim) if full and n_dim > 1 else (1, 1)
    power = np.zeros((*shape, length // 2 + 1))
    products = np.zeros((n_frames, *shape))
    total = np.zeros((n_frames, n_dim))
    per_block = n_dim * max(1, _SIGNALS_PER_BLOCK // n_dim)
    padded = np.zeros((per_block, length))
    for start in range(0, n_ions * n_dim, per_block):
        rows = padded[: n_ions * n_dim - start]
        load_signals(signals, means, start, rows, products, total)
        spectra = fft.rfft(rows, axis=1).view(np.float64)
        add_power(spectra, n_dim, power)
    return _from_products(products, power) / n_ions, total


def _padded_length(n_frames: int) -> int:
    return int(fft.next_fast_len(2 * n_frames, real=True))


def _from_products(products: FloatArray, power: FloatArray) -> FloatArray:
    """Join products (n_frames, a, b) and cross spectra (a, b, n_frequencies), by lag.

    Only [a, b] with a <= b is read.
    """
    n_frames, n_signals, _ = products.shape
    lags = np.arange(n_frames)
    moved = np.empty(products.shape)
    for a in range(n_signals):
        for b in range(a, n_signals):
            correlation = fft.irfft(power[a, b], _padded_length(n_frames))[:n_frames]
            cumulative = np.concatenate(([0.0], np.cumsum(products[:, a, b])))
            ends = cumulative[n_frames] - cumulative[lags] + cumulative[n_frames - lags]
            moved[:, a, b] = moved[:, b, a] = (ends - 2.0 * correlation) / (n_frames - lags)
    moved[0] = 0.0
    return moved


def lag_grid(longest: int, per_octave: int = 16) -> IntArray:
    """Return lags from 1 to `longest` frames, spaced evenly in their logarithm."""
    n_points = int(per_octave * np.log2(max(longest, 2))) + 1
    grid: IntArray = np.unique(np.rint(np.geomspace(1, longest, n_points)).astype(np.int64))
    return grid


def squared_displacement_variance(
    path: NDArray[np.floating], lags: IntArray, n_origins: int = _ORIGINS_FOR_VARIANCE
) -> FloatArray:
    """Return the variance of single squared displacements at each lag, A4, shape (n_lags,).

    It is taken over ions and about `n_origins` evenly spaced time origins.

    Parameters
    ----------
    path
        Continuous positions, A, shape (n_frames, n_ions, 3).
    lags
        Lags in frames, shape (n_lags,).
    """
    variances = np.zeros(len(lags))
    for index, lag in enumerate(lags):
        stride = max(1, (len(path) - int(lag)) // n_origins)
        moved = path[lag::stride] - path[:-lag:stride]
        variances[index] = np.einsum("fai,fai->fa", moved, moved).var()
    return variances


def independent_ions(path: NDArray[np.floating], lag: int) -> float:
    """Return how many ions, moving independently, would give as sharp a mean square.

    For displacements with covariances c_ij between ions the mean square of N of them varies
    as that of N (sum_i c_ii^2) / (sum_ij c_ij^2) independent ones. The part of the sum that
    independent ions would show by chance is taken off.

    Parameters
    ----------
    path
        Continuous positions, A, shape (n_frames, n_ions, n_dim).
    lag
        Of the displacements, frames.
    """
    n_ions = path.shape[1]
    origins = np.arange(0, len(path) - lag, lag)
    origins = origins[:: max(1, len(origins) // _DISPLACEMENTS_FOR_CORRELATION)]
    moved = np.swapaxes(path[origins + lag] - path[origins], 1, 2).reshape(-1, n_ions)
    covariance = moved.T @ moved / len(moved)
    own = np.diag(covariance)
    alone = float(own.mean() ** 2 * n_ions)
    if alone <= 0.0:
        return float(n_ions)
    others = float(np.square(covariance).sum() - np.square(own).sum())
    chance = float(own.sum() ** 2 - np.square(own).sum()) / len(moved)
    return float(np.clip(n_ions / (1.0 + (others - chance) / alone), 1.0, n_ions))
