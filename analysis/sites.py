"""Sites of the mobile ions, found where their density has its peaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..errors import AnalysisError

if TYPE_CHECKING:
    from .density import DensityGrid
    from .frames import FloatArray, IntArray

_SMOOTHING_A = 0.3
_PROMINENCE_KT = 1.0
_MIN_OCCUPANCY = 0.01
_CORE_SHARE = 0.5
_DEEPEST_CORE_KT = 3.0
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True)
class Sites:
    """Places where the mobile ions dwell.

    Attributes
    ----------
    fractional, positions_a
        Mean place of an ion within the core, in fractions and A, shape (n_sites, 3).
    occupancy
        Mean number of ions in the basin, shape (n_sites,).
    depth_kt
        ln of the peak density over the highest saddle to a neighbouring basin; infinite where
        it touches none, shape (n_sites,).
    basin
        Site that each voxel drains to, -1 for none, shape (n_a, n_b, n_c).
    core
        Site whose core a voxel belongs to, -1 for none, same shape.
    cell
        Mean cell, row vectors, A, shape (3, 3).
    """

    fractional: FloatArray
    positions_a: FloatArray
    occupancy: FloatArray
    depth_kt: FloatArray
    basin: IntArray
    core: IntArray
    cell: FloatArray

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.fractional)


def find_sites(
    grid: DensityGrid,
    *,
    smoothing_a: float = _SMOOTHING_A,
    prominence_kt: float = _PROMINENCE_KT,
    min_occupancy: float = _MIN_OCCUPANCY,
) -> Sites:
    """Find the basins of the density and their cores.

    The density is smoothed with a Gaussian. Each voxel drains to a peak; a peak that stands
    less than `prominence_kt` (in units of kT) above the pass to a higher one belongs to that
    one (ToMATo, Chazal et al., J. ACM 60, 41 (2013)). The core is the part of a basin above
    half way, in ln density, from its peak to its highest pass, and at most 3 kT deep: an ion
    that left a core has gone somewhere only when it enters another one.

    Parameters
    ----------
    grid
        The counted density.
    smoothing_a
        Standard deviation of the Gaussian along each cell vector, A; 0 for none.
    prominence_kt
        Least depth of a basin of its own, kT.
    min_occupancy
        Least mean number of ions of a site.

    Raises
    ------
    AnalysisError
        For a negative smoothing, a prominence that is not positive, or if no site is left.
    """
    from .region_kernels import basins, passes  # noqa: PLC0415  (numba is slow to import)

    if smoothing_a < 0 or not prominence_kt > 0:
        raise AnalysisError(
            "sites need a smoothing and a prominence",
            given=f"smoothing_a={smoothing_a}, prominence_kt={prominence_kt}",
            allowed="smoothing_a of 0 or more, prominence_kt above 0",
        )
    shape = np.array(grid.shape, dtype=np.int64)
    counts = grid.counts.astype(np.float64)
    width = smoothing_a * shape / np.linalg.norm(grid.cell, axis=1)
    density = ndimage.gaussian_filter(counts, width, mode="wrap").ravel()
    filled = np.flatnonzero(density > _NEGLIGIBLE * density.max())
    order = filled[np.argsort(-density[filled], kind="stable")]
    peak_of, peaks = basins(density, order, shape, float(np.exp(prominence_kt)))
    drained = np.bincount(peak_of[filled], counts.ravel()[filled], minlength=counts.size)
    occupancy = drained[peaks] / grid.n_frames
    kept = peaks[occupancy >= min_occupancy]
    if not len(kept):
        raise AnalysisError(
            "no site is occupied often enough",
            given=f"highest occupancy {occupancy.max():.3g}",
            allowed=f"{min_occupancy:g} or more",
            remedy="lower min_occupancy or run longer",
        )
    number = np.full(counts.size + 1, -1, dtype=np.int64)  # the last one answers for peak -1
    number[kept] = np.arange(len(kept))
    basin = number[peak_of]
    share = passes(density, order, basin, shape, len(kept)) / density[kept]
    depth = np.full(len(kept), np.inf)
    np.negative(np.log(share, where=share > 0, out=depth), where=share > 0, out=depth)
    least = density[kept] * np.exp(-np.minimum(_CORE_SHARE * depth, _DEEPEST_CORE_KT))
    core = np.where((basin >= 0) & (density >= least[basin]), basin, -1).reshape(grid.shape)
    fractional = _centres(grid, core, kept)
    return Sites(
        fractional=fractional,
        positions_a=fractional @ grid.cell,
        occupancy=occupancy[occupancy >= min_occupancy],
        depth_kt=depth,
        basin=basin.reshape(grid.shape),
        core=core,
        cell=grid.cell,
    )


def _centres(grid: DensityGrid, core: IntArray, peaks: IntArray) -> FloatArray:
    """Return the mean place within each core, counted from its peak."""
    shape = np.array(grid.shape)
    voxels = np.flatnonzero(core.ravel() >= 0)
    site = core.ravel()[voxels]
    weight = grid.counts.ravel()[voxels].astype(np.float64)
    place = (np.column_stack(np.unravel_index(voxels, grid.shape)) + 0.5) / shape
    peak = (np.column_stack(np.unravel_index(peaks, grid.shape)) + 0.5) / shape
    offset = place - peak[site]
    offset -= np.rint(offset)
    total = np.maximum(np.bincount(site, weight, minlength=len(peaks)), np.finfo(float).tiny)
    moments = [np.bincount(site, weight * offset[:, k], minlength=len(peaks)) for k in range(3)]
    centres: FloatArray = (peak + np.column_stack(moments) / total[:, None]) % 1.0
    return centres
