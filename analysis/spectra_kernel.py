"""Inner loops of correlations by Fourier transform; imported when used: numba imports slowly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .frames import FloatArray


@numba.njit(cache=True)
def load_signals(  # noqa: PLR0917  (numba compiles positional arguments)
    signals: NDArray[np.floating],
    means: FloatArray,
    start: int,
    padded: FloatArray,
    products: FloatArray,
    total: FloatArray,
) -> None:
    """Copy some columns, centred, into zero-padded rows.

    Parameters
    ----------
    signals, means
        All columns, (n_frames, n_ions * n_dim), the components of an ion beside each other,
        and their means.
    start
        First column to take.
    padded
        Filled up to n_frames: (n_columns, length), whole ions.
    products
        Sum over ions of the products of components a and b at each frame is added to
        [frame, a, b] for a <= b; with a last axis of one the sum of squares.
    total
        The sum over ions is added: (n_frames, n_dim).
    """
    n_columns = padded.shape[0]
    n_dim = total.shape[1]
    full = products.shape[2] > 1
    for frame in range(signals.shape[0]):
        squares = 0.0
        for column in range(n_columns):
            value = signals[frame, start + column] - means[start + column]
            padded[column, frame] = value
            squares += value * value
            total[frame, column % n_dim] += value
        if full:
            for ion in range(0, n_columns, n_dim):
                for a in range(n_dim):
                    for b in range(a, n_dim):
                        products[frame, a, b] += padded[ion + a, frame] * padded[ion + b, frame]
        else:
            products[frame, 0, 0] += squares


@numba.njit(cache=True)
def add_power(spectra: FloatArray, n_dim: int, power: FloatArray) -> None:
    """Add the cross spectra of the components of each ion, real parts, to `power`.

    Parameters
    ----------
    spectra
        Real and imaginary parts in turn, (n_columns, 2 * n_frequencies).
    n_dim
        Components of an ion.
    power
        (1, 1, n_frequencies) for the sum of all squared moduli, else
        (n_dim, n_dim, n_frequencies), of which [a, b] with a <= b is filled.
    """
    full = power.shape[0] > 1
    for ion in range(0, spectra.shape[0], n_dim):
        for a in range(n_dim):
            for b in range(a, n_dim if full else a + 1):
                left, right = spectra[ion + a], spectra[ion + b]
                into = power[a, b] if full else power[0, 0]
                for k in range(power.shape[2]):
                    real = left[2 * k] * right[2 * k]
                    into[k] += real + left[2 * k + 1] * right[2 * k + 1]
