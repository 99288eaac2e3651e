"""Partial and total pair distribution functions of periodic cells of any shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations_with_replacement, pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..errors import AnalysisError
from .blocks import N_BLOCKS, block_error, block_quantity
from .frames import as_species, as_trajectory, frame_blocks, require_species

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from ..quantity import Quantity
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
    g_blocks, running_coordination_blocks
        The same of contiguous blocks of frames, shape (n_blocks, n_bins).
    """

    pair: tuple[str, str]
    r_a: FloatArray
    g: FloatArray
    running_coordination: FloatArray
    g_blocks: FloatArray
    running_coordination_blocks: FloatArray

    @property
    def bin_width_a(self) -> float:
        """Width of a bin, A."""
        return float(2.0 * self.r_a[0])

    @property
    def coordination_at_r(self) -> FloatArray:
        """Mean number of b within `r_a` of an a, shape (n_bins,)."""
        outer = np.append(0.0, self.r_a + 0.5 * self.bin_width_a)
        number: FloatArray = np.interp(self.r_a, outer, np.append(0.0, self.running_coordination))
        return number

    @property
    def g_sd(self) -> FloatArray:
        """Standard error of g from its blocks, shape (n_bins,); NaN for a single block."""
        return block_error(self.g_blocks)

    @property
    def running_coordination_sd(self) -> FloatArray:
        """Standard error of the running coordination, like `g_sd`."""
        return block_error(self.running_coordination_blocks)


@dataclass(frozen=True, slots=True)
class PairDistributions:
    """All partial pair distribution functions of a sample.

    Attributes
    ----------
    partials
        Keyed (a, b), every pair once, in alphabetical order.
    numbers
        Atoms of each species in the box.
    density_per_a3
        Atoms per A3, mean over frames.
    """

    partials: dict[tuple[str, str], PartialRdf]
    numbers: dict[str, int]
    density_per_a3: float

    @property
    def r_a(self) -> FloatArray:
        """Bin centres, A, shape (n_bins,)."""
        return next(iter(self.partials.values())).r_a

    @property
    def concentrations(self) -> dict[str, float]:
        """Share of each species among the atoms."""
        total = sum(self.numbers.values())
        return {name: number / total for name, number in self.numbers.items()}

    def around(self, centre: str, partner: str) -> PartialRdf:
        """Return the function of `partner` around `centre`, in that order."""
        if (centre, partner) in self.partials:
            return self.partials[centre, partner]
        other = self.partials[partner, centre]
        ratio = self.numbers[partner] / self.numbers[centre]
        return replace(
            other,
            pair=(centre, partner),
            running_coordination=other.running_coordination * ratio,
            running_coordination_blocks=other.running_coordination_blocks * ratio,
        )

    def total(self, weights: Mapping[str, float] | None = None) -> TotalRdf:
        """Return the total g(r): sum of c_a c_b w_a w_b g_ab over (sum of c_a w_a)^2.

        Parameters
        ----------
        weights
            Scattering power of each species, as its atomic number; default 1.

        Raises
        ------
        AnalysisError
            If a species has no weight, or all weigh nothing.
        """
        missing = sorted(set(self.numbers) - set(self.numbers if weights is None else weights))
        if missing or (weights is not None and not any(weights[name] for name in self.numbers)):
            raise AnalysisError(
                "a total needs a weight for each species",
                given=f"none for {', '.join(missing)}" if missing else "zeros",
            )
        power = {
            name: share * (1.0 if weights is None else weights[name])
            for name, share in self.concentrations.items()
        }
        norm = sum(power.values()) ** 2
        blocks = sum(
            (1.0 if a == b else 2.0)
            * power[a]
            * power[b]
            / norm
            * np.concatenate([rdf.g[None], rdf.g_blocks])
            for (a, b), rdf in self.partials.items()
        )
        values = np.asarray(blocks)
        return TotalRdf(self.r_a, values[0], block_error(values[1:]))


@dataclass(frozen=True, slots=True)
class TotalRdf:
    """A sum of partial functions.

    Attributes
    ----------
    r_a
        Bin centres, A, shape (n_bins,).
    g, g_sd
        Weighted mean of the partial functions and its standard error from blocks of frames.
    """

    r_a: FloatArray
    g: FloatArray
    g_sd: FloatArray


def pair_distributions(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    *,
    r_max_a: float = 10.0,
    n_bins: int = 200,
    n_blocks: int = N_BLOCKS,
) -> PairDistributions:
    """Return the partial g(r) of all pairs of species from one pass over the frames.

    Periodic images count as neighbours, so `r_max_a` may exceed half a box and the running
    coordination of a crystal is exact in any supercell. g is normalised by the full mean
    density of b, which makes g of like atoms of an ideal gas 1 - 1/n.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3) or (n_atoms, 3); a memory map is read in
        blocks.
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    species
        Element symbols, shape (n_atoms,).
    r_max_a, n_bins
        Range, A, and number of bins.
    n_blocks
        Contiguous blocks of frames for the errors; at most the number of frames.

    Raises
    ------
    AnalysisError
        For arrays that do not fit, no frames, or a range, a number of bins or of blocks that
        is not positive.
    """
    frames, boxes = as_trajectory(positions, cells)
    symbols = as_species(species, frames.shape[1])
    if not (r_max_a > 0 and n_bins > 0 and n_blocks > 0 and len(frames) > 0):
        raise AnalysisError(
            "a pair distribution needs a range, bins and frames",
            given=f"r_max_a={r_max_a}, n_bins={n_bins}, n_blocks={n_blocks}, {len(frames)} frames",
            allowed="numbers above 0",
        )
    ends = np.linspace(0, len(frames), min(n_blocks, len(frames)) + 1).astype(np.int64)
    counted = [
        _count(frames[start:stop], boxes[start:stop], symbols, r_max_a, n_bins)
        for start, stop in pairwise(ends)
    ]
    counts = np.stack([block for block, _ in counted])
    inverse_volume = np.array([block for _, block in counted])
    names, amount = np.unique(symbols, return_counts=True)
    edges = np.linspace(0.0, r_max_a, n_bins + 1)
    share = np.diff(ends) / len(frames)
    partials = {}
    for a, b in combinations_with_replacement(range(len(names)), 2):
        around = counts[:, a, b] * (2.0 if a == b else 1.0) / amount[a] / np.diff(ends)[:, None]
        pair = (str(names[a]), str(names[b]))
        partials[pair] = _partial(pair, edges, around, share, inverse_volume * amount[b])
    return PairDistributions(
        partials=partials,
        numbers={str(name): int(n) for name, n in zip(names, amount, strict=True)},
        density_per_a3=float(share @ inverse_volume) * len(symbols),
    )


def _count(
    frames: NDArray[np.generic],
    boxes: NDArray[np.generic],
    symbols: NDArray[np.str_],
    r_max_a: float,
    n_bins: int,
) -> tuple[IntArray, float]:
    from .images import distance_counts, to_fractions  # noqa: PLC0415  (compiled code)

    order = np.argsort(symbols, kind="stable")
    names = np.unique(symbols)
    starts = np.append(np.searchsorted(symbols[order], names), len(symbols)).astype(np.int64)
    counts = np.zeros((len(names), len(names), n_bins), dtype=np.int64)
    inverse_volume = 0.0
    for _, positions, cells in frame_blocks(frames, boxes):
        fractions = to_fractions(positions[:, order], cells)
        counts += distance_counts(fractions, cells, starts, r_max_a, n_bins)
        inverse_volume += float((1.0 / np.abs(np.linalg.det(cells))).sum())
    return counts, inverse_volume / len(frames)


def _partial(
    pair: tuple[str, str],
    edges: FloatArray,
    around: FloatArray,
    share: FloatArray,
    density: FloatArray,
) -> PartialRdf:
    """Normalise the neighbours of a centre in each shell, shape (n_blocks, n_bins)."""
    shell_volume = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    mean = share @ around
    return PartialRdf(
        pair=pair,
        r_a=0.5 * (edges[1:] + edges[:-1]),
        g=mean / (float(share @ density) * shell_volume),
        running_coordination=np.cumsum(mean),
        g_blocks=around / (density[:, None] * shell_volume),
        running_coordination_blocks=np.cumsum(around, axis=1),
    )


def partial_rdfs(
    positions: ArrayLike,
    cells: ArrayLike,
    species: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    r_max_a: float = 8.0,
    n_bins: int = 160,
) -> dict[tuple[str, str], PartialRdf]:
    """Return the partial g(r) of chosen pairs (a, b); see :func:`pair_distributions`.

    Raises
    ------
    AnalysisError
        For a species that does not occur, or as in :func:`pair_distributions`.
    """
    symbols = as_species(species, as_trajectory(positions, cells)[0].shape[1])
    require_species([symbol for pair in pairs for symbol in pair], symbols)
    found = pair_distributions(positions, cells, species, r_max_a=r_max_a, n_bins=n_bins)
    return {pair: found.around(*pair) for pair in pairs}


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


def first_minimum_a(rdf: PartialRdf, *, split_a: float = 0.0) -> float | None:
    """Return the end of the first shell, A; ``None`` without a first peak.

    It is the lowest point between the first two peaks, the middle of it where g stays at its
    lowest over a range, as between the shells of a crystal.

    Parameters
    ----------
    rdf
        Pair distribution function.
    split_a
        Peaks this close to the first, A, belong to the same shell.
    """
    peaks = _peaks(rdf)
    if not len(peaks):
        return None
    within = int((rdf.r_a[peaks] <= rdf.r_a[peaks[0]] + split_a).sum())
    start = peaks[within - 1]
    stop = peaks[within] if len(peaks) > within else len(rdf.g)
    between = _smooth(rdf)[start:stop]
    lowest = np.flatnonzero(between <= between.min() + 1e-6)
    return float(rdf.r_a[start + round(float(lowest.mean()))])


def coordination(rdf: PartialRdf, cutoff_a: float) -> float:
    """Return the mean number of b within `cutoff_a` of an a.

    Raises
    ------
    AnalysisError
        If the cutoff lies beyond the range of the function.
    """
    return _at(rdf, cutoff_a, rdf.running_coordination)


def coordination_quantity(rdf: PartialRdf, cutoff_a: float) -> Quantity:
    """Return :func:`coordination` with its error from blocks of frames."""
    mean = coordination(rdf, cutoff_a)
    blocks = [_at(rdf, cutoff_a, running) for running in rdf.running_coordination_blocks]
    return replace(block_quantity(blocks, len(blocks), least=0.0), value=mean)


def _at(rdf: PartialRdf, cutoff_a: float, running: FloatArray) -> float:
    outer = rdf.r_a + 0.5 * rdf.bin_width_a
    if not 0.0 <= cutoff_a <= outer[-1] + 1e-9:
        raise AnalysisError(
            "the cutoff lies outside the pair distribution",
            given=f"{cutoff_a} A",
            allowed=f"0 to {outer[-1]:.2f} A",
        )
    return float(np.interp(cutoff_a, np.append(0.0, outer), np.append(0.0, running)))


def _smooth(rdf: PartialRdf) -> FloatArray:
    smoothed: FloatArray = ndimage.gaussian_filter1d(
        rdf.g, _SMOOTHING_A / rdf.bin_width_a, mode="constant"
    )
    return smoothed


def _peaks(rdf: PartialRdf) -> IntArray:
    """Return indices of peaks that stand out by a tenth of the highest."""
    from scipy import signal  # noqa: PLC0415  (brings all of scipy.stats)

    smoothed = _smooth(rdf)
    prominence = _PROMINENCE * float(smoothed.max())
    peaks, _ = signal.find_peaks(smoothed, height=prominence, prominence=prominence or None)
    found: IntArray = peaks.astype(np.int64)
    return found
