"""Partial pair distribution functions of periodic cells of any shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, signal

from ..errors import AnalysisError
from .frames import as_frames, as_species, require_species
from .neighbours import pairs_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .frames import FloatArray, IntArray

_SMOOTHING_A = 0.06
_PROMINENCE = 0.1


@dataclass(frozen=True, slots=True)
class PartialRdf:
    """Pair distribution function of species b around species a.

    Attributes
    ----------
    pair
        (a, b).
    r_a
        Bin centres, A, shape (n_bins,).
    g
        Density of b at r from an a over its mean density, shape (n_bins,).
    running_coordination
        Mean number of b within the outer edge of each bin, shape (n_bins,).
    """

    pair: tuple[str, str]
    r_a: FloatArray
    g: FloatArray
    running_coordination: FloatArray

    @property
    def bin_width_a(self) -> float:
        """Width of a bin, A."""
        return float(2.0 * self.r_a[0])


def partial_rdfs(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    r_max_a: float = 8.0,
    n_bins: int = 160,
) -> dict[tuple[str, str], PartialRdf]:
    """Return the partial g(r) of several pairs from one pass over the frames.

    Periodic images count as neighbours, so `r_max_a` may exceed half a box and the running
    coordination of a crystal is exact in any supercell. g is normalised by the full mean
    density of b, which makes g of like atoms of an ideal gas 1 - 1/n.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3) or (n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    species
        Element symbols, shape (n_atoms,).
    pairs
        Pairs (a, b) of symbols.
    r_max_a, n_bins
        Range, A, and number of bins.

    Raises
    ------
    AnalysisError
        For arrays that do not fit, a species that does not occur, no frames, or a range or
        number of bins that is not positive.
    """
    frames, boxes = as_frames(positions, cells)
    symbols = as_species(species, frames.shape[1])
    require_species([symbol for pair in pairs for symbol in pair], symbols)
    if not (r_max_a > 0 and n_bins > 0 and len(frames) > 0):
        raise AnalysisError(
            "a pair distribution needs a range, bins and frames",
            given=f"r_max_a={r_max_a}, n_bins={n_bins}, {len(frames)} frames",
            allowed="numbers above 0",
        )
    names, index = np.unique(symbols, return_inverse=True)
    n_species = len(names)
    counts = np.zeros((n_species * n_species, n_bins))
    edges = np.linspace(0.0, r_max_a, n_bins + 1)
    for frame, box in zip(frames, boxes, strict=True):
        found = pairs_within(frame, box, r_max_a)
        kind = index[found.first] * n_species + index[found.second]
        shell = np.minimum((found.distance_a / r_max_a * n_bins).astype(np.int64), n_bins - 1)
        flat = np.bincount(kind * n_bins + shell, minlength=counts.size)
        counts += flat.reshape(counts.shape)
    density_volume = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    inverse_volume = float((1.0 / np.abs(np.linalg.det(boxes))).mean())
    position = {str(name): i for i, name in enumerate(names)}
    amount = np.bincount(index)
    result = {}
    for a, b in pairs:
        per_centre = counts[position[a] * n_species + position[b]] / (
            amount[position[a]] * len(frames)
        )
        density = amount[position[b]] * inverse_volume
        result[a, b] = PartialRdf(
            pair=(a, b),
            r_a=0.5 * (edges[1:] + edges[:-1]),
            g=per_centre / (density * density_volume),
            running_coordination=np.cumsum(per_centre),
        )
    return result


def partial_rdf(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    pair: tuple[str, str],
    *,
    r_max_a: float = 8.0,
    n_bins: int = 160,
) -> PartialRdf:
    """Return the g(r) of one pair; see :func:`partial_rdfs`."""
    return partial_rdfs(positions, cells, species, [pair], r_max_a=r_max_a, n_bins=n_bins)[pair]


def first_maximum_a(rdf: PartialRdf) -> float | None:
    """Return the distance of the first peak, A, after light smoothing; ``None`` without one."""
    peaks = _peaks(rdf)
    return float(rdf.r_a[peaks[0]]) if len(peaks) else None


def first_minimum_a(rdf: PartialRdf) -> float | None:
    """Return the end of the first shell, A; ``None`` without a first peak.

    It is the lowest point between the first two peaks, the middle of it where g stays at its
    lowest over a range, as between the shells of a crystal.
    """
    peaks = _peaks(rdf)
    if not len(peaks):
        return None
    stop = peaks[1] if len(peaks) > 1 else len(rdf.g)
    between = _smooth(rdf)[peaks[0] : stop]
    lowest = np.flatnonzero(between <= between.min() + 1e-6)
    return float(rdf.r_a[peaks[0] + round(float(lowest.mean()))])


def coordination(rdf: PartialRdf, cutoff_a: float) -> float:
    """Return the mean number of b within `cutoff_a` of an a.

    Raises
    ------
    AnalysisError
        If the cutoff lies beyond the range of the function.
    """
    outer = rdf.r_a + 0.5 * rdf.bin_width_a
    if not 0.0 <= cutoff_a <= outer[-1] + 1e-9:
        raise AnalysisError(
            "the cutoff lies outside the pair distribution",
            given=f"{cutoff_a} A",
            allowed=f"0 to {outer[-1]:.2f} A",
        )
    return float(
        np.interp(cutoff_a, np.append(0.0, outer), np.append(0.0, rdf.running_coordination))
    )


def _smooth(rdf: PartialRdf) -> FloatArray:
    smoothed: FloatArray = ndimage.gaussian_filter1d(
        rdf.g, _SMOOTHING_A / rdf.bin_width_a, mode="constant"
    )
    return smoothed


def _peaks(rdf: PartialRdf) -> IntArray:
    """Return indices of peaks that stand out by a tenth of the highest."""
    smoothed = _smooth(rdf)
    prominence = _PROMINENCE * float(smoothed.max())
    peaks, _ = signal.find_peaks(smoothed, height=prominence, prominence=prominence or None)
    found: IntArray = peaks.astype(np.int64)
    return found
