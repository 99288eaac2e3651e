"""Structure factor on the wave vectors of a periodic box, and whether it has Bragg peaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers

from ..errors import AnalysisError
from .blocks import block_of_frame
from .frames import as_species, as_trajectory, frame_blocks, require_species

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from .frames import FloatArray, IntArray

Q_MAX_INV_A = 4.0
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
    frames, boxes = as_trajectory(positions, cells)
    symbols = as_species(species, frames.shape[1])
    require_species(only, symbols)
    names = [str(name) for name in np.unique(symbols) if not only or name in only]
    vectors = wave_vectors(boxes, q_max_inv_a)
    charge = np.array([float(atomic_numbers[name]) for name in names])
    weights = np.repeat(charge[:, None], len(vectors.q_inv_a), axis=1)
    blocks = intensity_blocks(
        frames, boxes, symbols, vectors, dict(zip(names, weights, strict=True))
    )
    number = np.array([float((symbols == name).sum()) for name in names])
    return StructureFactor(vectors.hkl, vectors.q_inv_a, blocks[0] / float(number @ charge**2))


@dataclass(frozen=True, slots=True)
class WaveVectors:
    """Wave vectors of a box by increasing length; +q and -q count once.

    Attributes
    ----------
    hkl
        Box indices, shape (n_q, 3).
    q_inv_a
        Lengths in the mean cell, 1/A, shape (n_q,).
    """

    hkl: IntArray
    q_inv_a: FloatArray


def wave_vectors(boxes: ArrayLike, q_max_inv_a: float) -> WaveVectors:
    """Return the wave vectors of the mean of some cells, (n_frames, 3, 3), up to a length.

    Raises
    ------
    AnalysisError
        If there is none in range, or no cell.
    """
    cells = np.asarray(boxes, dtype=np.float64)
    cell = cells.mean(axis=0) if len(cells) else np.zeros((3, 3))
    reach = np.floor(q_max_inv_a * np.linalg.norm(cell, axis=1) / (2.0 * np.pi)).astype(np.int64)
    if q_max_inv_a <= 0.0 or not reach.any():
        raise AnalysisError(
            "no wave vector of the box lies in range",
            given=f"q_max_inv_a={q_max_inv_a} for {len(cells)} frames",
            remedy="use a larger q_max_inv_a",
        )
    axes = [np.arange(-n, n + 1) for n in reach]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    hkl = hkl[len(hkl) // 2 + 1 :]
    length = np.linalg.norm(hkl @ (2.0 * np.pi * np.linalg.inv(cell).T), axis=1)
    order = np.argsort(length, kind="stable")
    order = order[length[order] <= q_max_inv_a]
    return WaveVectors(hkl[order].astype(np.int64), length[order])


def intensity_blocks(
    positions: ArrayLike,
    cells: ArrayLike,
    symbols: NDArray[np.str_],
    vectors: WaveVectors,
    weights: Mapping[str, FloatArray],
    *,
    n_blocks: int = 1,
) -> FloatArray:
    """Return |sum_j w_j(q) exp(i q.r_j)|^2 at wave vectors of the box.

    Parameters
    ----------
    positions, cells
        As in :func:`structure_factor`.
    symbols
        Element symbols, shape (n_atoms,).
    vectors
        Wave vectors of the box.
    weights
        Scattering power of each species that scatters, shape (n_q,).
    n_blocks
        Contiguous blocks of frames, at most the number of frames.

    Returns
    -------
    FloatArray
        Means of the blocks, shape (n_blocks, n_q).
    """
    frames, boxes = as_trajectory(positions, cells)
    block_number = block_of_frame(len(frames), n_blocks)
    total = np.zeros((block_number[-1] + 1, len(vectors.hkl)))
    reach = np.abs(vectors.hkl).max(axis=0)
    place = tuple((vectors.hkl + np.array([0, reach[1], reach[2]])).T)
    members = {name: np.flatnonzero(symbols == name) for name in weights}
    for start, block, cells_of_block in frame_blocks(frames, boxes):
        fractions = block @ np.linalg.inv(cells_of_block)
        for number, atoms in enumerate(fractions, start):
            amplitude = sum(
                weights[name] * _amplitudes(atoms[chosen], reach)[place]
                for name, chosen in members.items()
            )
            total[block_number[number]] += np.abs(amplitude) ** 2
    means: FloatArray = total / np.bincount(block_number)[:, None]
    return means


def _amplitudes(fractions: FloatArray, reach: IntArray) -> NDArray[np.complex128]:
    """Return sum_j exp(2 pi i hkl.f_j) for h >= 0, shape (H + 1, 2 K + 1, 2 L + 1)."""
    phase = 2j * np.pi * fractions
    along_a = np.exp(phase[:, :1] * np.arange(reach[0] + 1))
    along_b = np.exp(phase[:, 1:2] * np.arange(-reach[1], reach[1] + 1))
    along_c = np.exp(phase[:, 2:] * np.arange(-reach[2], reach[2] + 1))
    layers = [(along_b * wave[:, None]).T @ along_c for wave in along_a.T]
    return np.array(layers)


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
