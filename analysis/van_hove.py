"""Van Hove functions: how far an ion has gone after a time, and who is then around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .minimum_image import smallest_height_a

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .frames import FloatArray, IntArray
    from .host_paths import HostPaths

_N_BLOCKS = 5
_SELF_ORIGINS = 2000
_DISTINCT_ORIGINS = 200


@dataclass(frozen=True, slots=True)
class VanHove:
    """Self and distinct parts of the van Hove function of the mobile ions.

    Attributes
    ----------
    lags_frames, lags_ps
        Shape (n_lags,).
    r_a
        Bin centres, A, shape (n_bins,).
    self_per_a
        Probability per A of an ion to be r away from its start, 4 pi r^2 G_s(r, t), shape
        (n_lags, n_bins); its integral is 1 less `beyond`.
    beyond
        Share of ions farther away than the last bin, shape (n_lags,).
    non_gaussian
        alpha_2 = 3 <r^4> / (5 <r^2>^2) - 1, 0 for Brownian motion, shape (n_lags,).
    distinct_r_a
        Bin centres, A, shape (n_distinct_bins,).
    distinct_g
        Density of other ions at r from where an ion was, over their mean density,
        G_d(r, t) / rho with rho = N / V; at lag 0 it is g(r), shape (n_lags, n_distinct_bins).
    self_error_per_a, distinct_error
        Standard errors of the two from consecutive blocks of time origins, same shapes; NaN
        where there are fewer than two blocks.
    """

    lags_frames: IntArray
    lags_ps: FloatArray
    r_a: FloatArray
    self_per_a: FloatArray
    beyond: FloatArray
    non_gaussian: FloatArray
    distinct_r_a: FloatArray
    distinct_g: FloatArray
    self_error_per_a: FloatArray
    distinct_error: FloatArray


def van_hove(
    paths: HostPaths,
    lags_frames: Sequence[int],
    *,
    frame_ps: float,
    r_max_a: float = 10.0,
    n_bins: int = 100,
) -> VanHove:
    """Return the van Hove functions at chosen lags.

    At most 2000 evenly spaced time origins enter the self part and 200 the distinct part. The
    range of the distinct part ends at half the smallest height of the cell, where the nearest
    image stops being the only one.

    Parameters
    ----------
    paths
        Paths relative to the host.
    lags_frames
        Lags in frames, 0 or more.
    frame_ps
        Time between frames, ps.
    r_max_a, n_bins
        Range, A, and number of bins.

    Raises
    ------
    AnalysisError
        For a lag outside the run, or a time, range or number of bins that is not positive.
    """
    from .van_hove_kernels import count_others, count_self  # noqa: PLC0415  (numba is slow to import)

    lags = np.asarray(lags_frames)
    if not (lags.ndim == 1 and lags.size and lags.dtype.kind in "iu"):
        raise AnalysisError(
            "lags are whole numbers of frames", given=lags_frames, allowed="one integer or more"
        )
    if lags.min() < 0 or lags.max() >= paths.n_frames:
        raise AnalysisError(
            "a lag lies outside the run",
            given=f"{int(lags.min())} to {int(lags.max())} frames",
            allowed=f"0 to {paths.n_frames - 1} frames",
        )
    for name, value in (("frame_ps", frame_ps), ("r_max_a", r_max_a), ("n_bins", n_bins)):
        if not value > 0:
            raise AnalysisError(f"{name} must be positive", given=value, allowed="a number above 0")
    reach = min(r_max_a, 0.5 * smallest_height_a(paths.cell))
    near_bins = max(1, int(n_bins * reach / r_max_a))
    widths = (r_max_a / n_bins, reach / near_bins)
    outer = np.arange(near_bins + 1) * widths[1]
    shells = 4.0 / 3.0 * np.pi * np.diff(outer**3)
    ideal = shells * paths.n_mobile / float(np.abs(np.linalg.det(paths.cell)))
    rows, beyond, non_gaussian = [], [], []
    for lag in lags.tolist():
        moments = np.zeros(2)
        own = _blocks(paths, lag, _SELF_ORIGINS, n_bins + 1)
        count_self(paths.fractional, paths.cell, own.starts, lag, widths[0], own.counts, moments)
        others = _blocks(paths, lag, _DISTINCT_ORIGINS, near_bins)
        count_others(paths.fractional, paths.cell, others.starts, lag, widths[1], others.counts)
        moments /= own.starts.size * paths.n_mobile
        alpha = 0.6 * moments[1] / moments[0] ** 2 - 1.0 if moments[0] > 0 else 0.0
        mean, error = own.mean(paths.n_mobile)
        g, g_error = others.mean(paths.n_mobile)
        rows.append((mean[:-1] / widths[0], error[:-1] / widths[0], g / ideal, g_error / ideal))
        beyond.append(mean[-1])
        non_gaussian.append(alpha)
    self_part, self_error, distinct, distinct_error = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return VanHove(
        lags_frames=lags.astype(np.int64),
        lags_ps=lags * frame_ps,
        r_a=widths[0] * np.arange(0.5, n_bins),
        self_per_a=self_part,
        beyond=np.array(beyond),
        non_gaussian=np.array(non_gaussian),
        distinct_r_a=0.5 * (outer[1:] + outer[:-1]),
        distinct_g=distinct,
        self_error_per_a=self_error,
        distinct_error=distinct_error,
    )


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Time origins in consecutive blocks, and the counts of each block.

    `starts` has shape (n_blocks, n_origins), `counts` (n_blocks, n_bins).
    """

    starts: IntArray
    counts: FloatArray

    def mean(self, n_ions: int) -> tuple[FloatArray, FloatArray]:
        """Return counts per ion and origin, and their standard errors."""
        each = self.counts / (n_ions * self.starts.shape[1])
        n_blocks = len(each)
        if n_blocks < 2:  # noqa: PLR2004  (a spread)
            return each[0], np.full(each.shape[1], np.nan)
        return each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(n_blocks)


def _blocks(paths: HostPaths, lag: int, most: int, n_bins: int) -> _Blocks:
    available = paths.n_frames - lag
    n_blocks = min(_N_BLOCKS, available)
    per_block = min(available, most) // n_blocks
    starts = np.linspace(0, available - 1, n_blocks * per_block).astype(np.int64)
    return _Blocks(starts.reshape(n_blocks, per_block), np.zeros((n_blocks, n_bins)))
