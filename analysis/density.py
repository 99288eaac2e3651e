"""Density of the mobile ions on a periodic grid, and the free energy it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from ..units import BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .frames import BoolArray, FloatArray, IntArray
    from .host_paths import HostPaths

SPACING_A = 0.3
SPACING_LIMITS_A = (0.05, 2.0)
_N_BLOCKS = 10
_LARGEST_BLOCKS_BYTES = 512_000_000
_NO_COUNT_LIMIT = -float(np.log(0.05))


@dataclass(frozen=True, slots=True)
class DensityGrid:
    """Counts of ions in voxels of the mean cell.

    Attributes
    ----------
    block_counts
        Counts in consecutive parts of the run, shape (n_blocks, n_a, n_b, n_c); voxel
        (i, j, k) holds fractions from (i, j, k) / (n_a, n_b, n_c) on.
    cell
        Mean cell, row vectors, A, shape (3, 3).
    n_mobile, n_frames
        Ions and frames counted; their product is the sum of all counts.
    """

    block_counts: NDArray[np.uint32]
    cell: FloatArray
    n_mobile: int
    n_frames: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along a, b and c."""
        n_a, n_b, n_c = self.block_counts.shape[1:]
        return n_a, n_b, n_c

    @property
    def counts(self) -> IntArray:
        """Counts of the whole run, shape (n_a, n_b, n_c)."""
        total: IntArray = self.block_counts.sum(axis=0, dtype=np.int64)
        return total

    @property
    def voxel_volume_a3(self) -> float:
        """Volume of a voxel, A3."""
        return float(np.abs(np.linalg.det(self.cell))) / float(np.prod(self.shape))

    @property
    def density_per_a3(self) -> FloatArray:
        """Mean number density, 1/A3, shape (n_a, n_b, n_c); its integral is `n_mobile`."""
        density: FloatArray = self.counts / (self.n_frames * self.voxel_volume_a3)
        return density


@dataclass(frozen=True, slots=True)
class Plane:
    """Values on a plane or projected onto one.

    Attributes
    ----------
    values
        Shape (n_first, n_second).
    axes_a
        The two vectors that span it in plane coordinates, A, shape (2, 2): the first along x.
    axis
        Cell vector across it: 0, 1 or 2 for a, b or c.
    """

    values: FloatArray
    axes_a: FloatArray
    axis: int


@dataclass(frozen=True, slots=True)
class FreeEnergy:
    """F = -kT ln(P / P_max) of finding an ion in a voxel.

    Attributes
    ----------
    free_energy_ev
        eV above the most visited voxel, shape (n_a, n_b, n_c); where no ion was seen, a lower
        bound at 95 % confidence for each voxel by itself.
    sd_ev
        Standard deviation from counting, eV, same shape; infinite where no ion was seen.
    visited
        Whether an ion was seen, same shape.
    lower_bound_ev
        That bound.
    bound_everywhere_ev
        Lower bound at 95 % confidence for all voxels without a visit at once; 0 where the
        density is too thin to tell.
    zero_ev
        -kT ln P of the most visited voxel, eV, P the probability of an ion to be in it.
    temperature_k
        Temperature, K.
    cell
        Mean cell, row vectors, A, shape (3, 3).
    """

    free_energy_ev: FloatArray
    sd_ev: FloatArray
    visited: BoolArray
    lower_bound_ev: float
    bound_everywhere_ev: float
    zero_ev: float
    temperature_k: float
    cell: FloatArray


def density_grid(
    paths: HostPaths, *, spacing_a: float = SPACING_A, n_blocks: int = _N_BLOCKS
) -> DensityGrid:
    """Count the mobile ions in voxels.

    Parameters
    ----------
    paths
        Paths relative to the host.
    spacing_a
        Largest edge of a voxel, A; 0.2 to 0.5 resolves sites and passages.
    n_blocks
        Consecutive parts of the run that are counted apart, for errors.

    Raises
    ------
    AnalysisError
        For a spacing out of range, fewer frames than blocks, or a grid too large for memory.
    """
    from .host_kernels import count_voxels  # noqa: PLC0415  (numba is slow to import)

    low, high = SPACING_LIMITS_A
    if not low <= spacing_a <= high:
        raise AnalysisError(
            "the spacing of the density grid is out of range",
            given=f"{spacing_a} A",
            allowed=f"{low} to {high} A; 0.2 to 0.5 A resolves sites and passages",
        )
    if not 1 <= n_blocks <= paths.n_frames:
        raise AnalysisError(
            "the run cannot be cut into that many blocks",
            given=f"{n_blocks} blocks of {paths.n_frames} frames",
            allowed="1 block to one for each frame",
        )
    lengths = np.linalg.norm(paths.cell, axis=1)
    shape = np.maximum(1, np.ceil(lengths / spacing_a - 1e-9)).astype(np.int64)
    size = 4 * n_blocks * int(shape.prod())
    if size > _LARGEST_BLOCKS_BYTES:
        raise AnalysisError(
            "the density grid is too large",
            given=f"{'x'.join(map(str, shape))} voxels in {n_blocks} blocks, {size / 1e6:.0f} MB",
            allowed=f"{_LARGEST_BLOCKS_BYTES / 1e6:.0f} MB",
            remedy="take a coarser spacing or fewer blocks",
        )
    counts = np.zeros((n_blocks, *shape), dtype=np.uint32)
    count_voxels(paths.fractional, counts)
    return DensityGrid(counts, paths.cell, paths.n_mobile, paths.n_frames)


def projected_density(grid: DensityGrid, axis: int) -> Plane:
    """Return the density summed along a cell vector, 1/A2, on the plane of the other two.

    Its integral over the plane is the number of ions.
    """
    _check_axis(axis)
    axes = _plane_axes(grid.cell, axis)
    summed = grid.counts.sum(axis=axis)
    area = float(np.abs(np.linalg.det(axes))) / summed.size
    return Plane(summed / (grid.n_frames * area), axes, axis)


def plane_of(values: FloatArray, cell: FloatArray, axis: int, at: float) -> Plane:
    """Return the layer of voxels of a grid across a cell vector.

    Parameters
    ----------
    values
        Any values on the grid, shape (n_a, n_b, n_c).
    cell
        Row vectors, A, shape (3, 3).
    axis
        Cell vector across the plane: 0, 1 or 2.
    at
        Fraction along it, taken modulo 1.
    """
    _check_axis(axis)
    layer = int((at % 1.0) * values.shape[axis]) % values.shape[axis]
    return Plane(np.take(values, layer, axis=axis), _plane_axes(cell, axis), axis)


def _check_axis(axis: int) -> None:
    if axis not in {0, 1, 2}:
        raise AnalysisError("there is no such cell vector", given=axis, allowed="0, 1 or 2")


def _plane_axes(cell: FloatArray, axis: int) -> FloatArray:
    first, second = np.delete(cell, axis, axis=0)
    length = float(np.linalg.norm(first))
    along = float(second @ first) / length
    across = float(np.sqrt(max(float(second @ second) - along**2, 0.0)))
    return np.array([[length, 0.0], [along, across]])


def free_energy(grid: DensityGrid, temperature_k: float) -> FreeEnergy:
    """Return the free energy landscape of a density.

    An ion that rests fills one voxel in many frames, so counts scatter more than independent
    ones would. How much more is measured: the variance of the blocks' counts over their mean,
    averaged over voxels of about the same count (within a factor of two), widens the error
    kT / sqrt(n). Where no ion was seen, fewer than 3.0 times that many are expected with 95 %
    confidence; fewer than ln(M / 0.05) times the largest such ratio in all M voxels at once.

    Parameters
    ----------
    grid
        The counted density.
    temperature_k
        Temperature, K.

    Raises
    ------
    AnalysisError
        If the temperature is not positive.
    """
    thermal = thermal_energy_ev(temperature_k)
    counts = grid.counts
    visited = counts > 0
    most = int(counts.max())
    excess = _overdispersion(grid.block_counts, counts)
    bound = thermal * float(np.log(most / (_NO_COUNT_LIMIT * excess[0])))
    at_once = _NO_COUNT_LIMIT + float(np.log(counts.size))
    energies = np.full(counts.shape, bound)
    energies[visited] = -thermal * np.log(counts[visited] / most)
    errors = np.full(counts.shape, np.inf)
    octave = np.frexp(counts[visited].astype(np.float64))[1] - 1
    errors[visited] = thermal * np.sqrt(excess[octave] / counts[visited])
    return FreeEnergy(
        free_energy_ev=energies,
        sd_ev=errors,
        visited=visited,
        lower_bound_ev=bound,
        bound_everywhere_ev=max(0.0, thermal * float(np.log(most / (at_once * excess.max())))),
        zero_ev=-thermal * float(np.log(most / (grid.n_mobile * grid.n_frames))),
        temperature_k=temperature_k,
        cell=grid.cell,
    )


def thermal_energy_ev(temperature_k: float) -> float:
    """Return kT in eV; an :class:`AnalysisError` unless the temperature is positive."""
    if not temperature_k > 0:
        raise AnalysisError(
            "temperature_k must be positive", given=temperature_k, allowed="a number above 0"
        )
    return BOLTZMANN_EV_PER_K * temperature_k


def _overdispersion(block_counts: NDArray[np.uint32], counts: IntArray) -> FloatArray:
    """Return variance over mean of the blocks' counts, by the octave of the total count."""
    n_blocks = len(block_counts)
    octaves = int(counts.max()).bit_length()
    excess = np.ones(octaves)
    if n_blocks == 1:
        return excess
    seen = counts > 0
    total = counts[seen].astype(np.float64)
    squares = np.zeros(len(total))
    for block in block_counts:
        squares += np.square(block[seen] - total / n_blocks)
    octave = np.frexp(total)[1] - 1
    variance = np.bincount(octave, squares / (n_blocks - 1), minlength=octaves)
    mean = np.bincount(octave, total / n_blocks, minlength=octaves)
    np.divide(variance, mean, out=excess, where=mean > 0)
    return np.maximum(excess, 1.0)


def free_energy_histogram(
    landscape: FreeEnergy, *, bin_width_ev: float = 0.02
) -> tuple[FloatArray, FloatArray]:
    """Return the distribution of F over visited voxels.

    Returns
    -------
    tuple
        Bin centres, eV, shape (n_bins,), and the share of visited voxels per eV, same shape.

    Raises
    ------
    AnalysisError
        If the bin width is not positive.
    """
    if not bin_width_ev > 0:
        raise AnalysisError(
            "bin_width_ev must be positive", given=bin_width_ev, allowed="a number above 0"
        )
    values = landscape.free_energy_ev[landscape.visited]
    n_bins = int(values.max() / bin_width_ev) + 1
    share, edges = np.histogram(
        values, bins=n_bins, range=(0.0, n_bins * bin_width_ev), density=True
    )
    return 0.5 * (edges[1:] + edges[:-1]), share
