"""Structure factor on the wave vectors of a periodic box, and whether it has Bragg peaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers

from ..errors import AnalysisError
from .frames import as_frames, as_species, require_species

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .frames import FloatArray, IntArray

Q_MAX_INV_A = 4.0
_PHASES_PER_BLOCK = 2_000_000
_NEIGHBOURS = 24
_HALF_WIDTH_INV_A = 0.25
_CHANCE = 1e-3
_STRUCTURE_MARGIN = 2.0


@dataclass(frozen=True, slots=True)
class StructureFactor:
    """Scattered intensity at each wave vector that fits the box; +q and -q count once.

    Attributes
    ----------
    hkl
        Box indices, shape (n_q, 3), by increasing |q|.
    q_inv_a
        |q|, 1/A, shape (n_q,).
    intensity
        |sum_j Z_j exp(i q.r_j)|^2 / sum_j Z_j^2, mean over frames, shape (n_q,); 1 for an ideal
        gas.
    """

    hkl: IntArray
    q_inv_a: FloatArray
    intensity: FloatArray

    def powder(self, width_inv_a: float = 0.1) -> tuple[FloatArray, FloatArray]:
        """Return bin centres (1/A) and the mean intensity over directions in each filled bin."""
        bins = (self.q_inv_a / width_inv_a).astype(np.int64)
        number = np.bincount(bins)
        filled = np.flatnonzero(number)
        mean = np.bincount(bins, weights=self.intensity)[filled] / number[filled]
        centres: FloatArray = (filled + 0.5) * np.float64(width_inv_a)
        return centres, mean


@dataclass(frozen=True, slots=True)
class BraggTest:
    """The strongest single reflection against the diffuse scattering around it.

    Attributes
    ----------
    has_peak
        Whether `ratio` exceeds `threshold`.
    ratio
        Largest intensity over the sample's own S(q) at the same |q|.
    q_inv_a
        Where it lies, 1/A.
    threshold
        Twice what the speckle of a frozen disordered sample reaches once in a thousand boxes.
    n_wave_vectors
        Wave vectors looked at.
    """

    has_peak: bool
    ratio: float
    q_inv_a: float
    threshold: float
    n_wave_vectors: int


def structure_factor(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    q_max_inv_a: float = Q_MAX_INV_A,
    only: Sequence[str] = (),
) -> StructureFactor:
    """Return the structure factor at all wave vectors of the box up to a largest one.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3) or (n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3); |q| is that of the mean cell.
    species
        Element symbols, shape (n_atoms,); atoms scatter with their atomic number.
    q_max_inv_a
        Largest |q|, 1/A.
    only
        Species that scatter; default: all.

    Raises
    ------
    AnalysisError
        For arrays that do not fit, species that do not occur, or a box with no wave vector
        in range.
    """
    frames, boxes = as_frames(positions, cells)
    symbols = as_species(species, frames.shape[1])
    require_species(only, symbols)
    chosen = np.isin(symbols, list(only)) if only else np.ones(len(symbols), dtype=np.bool_)
    weights = np.array([float(atomic_numbers[str(s)]) for s in symbols[chosen]])
    hkl, length = _wave_vectors(boxes.mean(axis=0), q_max_inv_a)
    if not len(hkl) or not len(frames):
        raise AnalysisError(
            "no wave vector of the box lies in range",
            given=f"q_max_inv_a={q_max_inv_a} for {len(frames)} frames",
            remedy="use a larger q_max_inv_a",
        )
    intensity = np.zeros(len(hkl))
    block = max(1, _PHASES_PER_BLOCK // len(weights))
    for frame, box in zip(frames, boxes, strict=True):
        fractional = frame[chosen] @ np.linalg.inv(box)
        for start in range(0, len(hkl), block):
            phase = 2.0 * np.pi * (hkl[start : start + block] @ fractional.T)
            real, imaginary = np.cos(phase) @ weights, np.sin(phase) @ weights
            intensity[start : start + block] += real**2 + imaginary**2
    return StructureFactor(hkl, length, intensity / len(frames) / float(weights @ weights))


def _wave_vectors(cell: FloatArray, q_max: float) -> tuple[IntArray, FloatArray]:
    reciprocal = 2.0 * np.pi * np.linalg.inv(cell).T
    reach = np.floor(q_max * np.linalg.norm(cell, axis=1) / (2.0 * np.pi)).astype(np.int64)
    axes = [np.arange(-n, n + 1) for n in reach]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    hkl = hkl[len(hkl) // 2 + 1 :]
    length = np.linalg.norm(hkl @ reciprocal, axis=1)
    order = np.argsort(length, kind="stable")
    order = order[length[order] <= q_max]
    return hkl[order].astype(np.int64), length[order]


def bragg_test(factor: StructureFactor) -> BraggTest:
    r"""Test whether any reflection stands above the sample's own S(q).

    In a disordered sample the intensity at one wave vector is exponentially distributed about
    S(q), so the largest of n reaches ln(n / p) S(q) with probability p. S(q) is the median
    intensity over ln 2 among the wave vectors within 0.25 1/A (at least the 24 nearest): sparse
    Bragg peaks do not move a median. The threshold is twice ln(n / 0.001), the factor two for
    the slope of S(q) within that range.

    A crystal shows when the box holds two or more of its unit cells; a box that is one large
    unit cell cannot be told from a glass by any test on its wave vectors.
    """
    q, intensity = factor.q_inv_a, factor.intensity
    n = len(q)
    low = np.searchsorted(q, q - _HALF_WIDTH_INV_A)
    high = np.searchsorted(q, q + _HALF_WIDTH_INV_A)
    ratio = np.zeros(n)
    for index in range(n):
        start, stop = int(low[index]), int(high[index])
        if stop - start < _NEIGHBOURS:
            start = max(0, min(index - _NEIGHBOURS // 2, n - _NEIGHBOURS))
            stop = min(n, start + _NEIGHBOURS)
        background = float(np.median(intensity[start:stop])) / np.log(2.0)
        ratio[index] = intensity[index] / max(background, np.finfo(np.float64).tiny)
    threshold = float(_STRUCTURE_MARGIN * np.log(n / _CHANCE))
    strongest = int(ratio.argmax())
    return BraggTest(
        has_peak=bool(ratio[strongest] > threshold),
        ratio=float(ratio[strongest]),
        q_inv_a=float(q[strongest]),
        threshold=threshold,
        n_wave_vectors=n,
    )
