"""Persistent homology of a set of atoms in a periodic cell: distances, loops and cavities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.geometry import minkowski_reduce

from ..errors import AnalysisError, MissingDependencyError
from .blocks import mean_quantity
from .frames import as_frames, as_mask
from .minimum_image import distance_matrix

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from ..quantity import Quantity
    from .frames import FloatArray, IntArray

THRESHOLD_A = 8.0
_N_FRAMES = 20
_MIN_LIFETIME_A = 0.1
_GRID_A = 0.05
_TORUS_SHARE = 1.0 / 3.0
_LARGEST_DIMENSION = 2
_LOW = 0.05


@dataclass(frozen=True, slots=True)
class Spread:
    """How a number is distributed over the bars of a frame, averaged over frames, A.

    Attributes
    ----------
    mean, low, high
        Mean, 5 % and 95 % quantile.
    """

    mean: Quantity
    low: Quantity
    high: Quantity


@dataclass(frozen=True, slots=True)
class Barcodes:
    """Bars of one dimension from several frames.

    Attributes
    ----------
    dimension
        0 parts, 1 loops, 2 closed voids.
    frames
        Frames analysed, shape (n_frames,).
    frame_of_bar
        Index into `frames`, shape (n_bars,).
    birth_a, death_a
        Distances at which a feature appears and is filled, A, shape (n_bars,); the death is
        infinite where it lies beyond `limit_a`.
    limit_a
        Largest death that is told.
    births, deaths, lifetimes
        Over bars that die below the limit and live longer than `min_lifetime_a`.
    longest_lifetime_a
        Of a frame, averaged over frames.
    min_lifetime_a
        Shorter bars are noise: in `birth_a` and `death_a`, but in none of the averages.
    r_a
        Distances of the Betti curve, A, shape (n_r,).
    betti, betti_error
        Features alive at each distance, mean over frames and its standard error (frames taken
        as independent), shape (n_r,).
    n_points
        Atoms in the set.
    """

    dimension: int
    frames: IntArray
    frame_of_bar: IntArray
    birth_a: FloatArray
    death_a: FloatArray
    limit_a: float
    births: Spread
    deaths: Spread
    lifetimes: Spread
    longest_lifetime_a: Quantity
    min_lifetime_a: float
    r_a: FloatArray
    betti: FloatArray
    betti_error: FloatArray
    n_points: int


def persistent_homology(
    positions: ArrayLike,
    cells: ArrayLike,
    atoms: ArrayLike,
    *,
    max_dimension: int = 1,
    threshold_a: float = THRESHOLD_A,
    n_frames: int = _N_FRAMES,
    min_lifetime_a: float = _MIN_LIFETIME_A,
) -> tuple[Barcodes, ...]:
    """Return the Vietoris-Rips barcodes of a set of atoms, periodic images included.

    Distances are the shortest between periodic images. All points are used: the result is
    exact for features that die below the threshold, whatever the number of atoms, and frames
    are subsampled instead. A periodic cell has three loops of its own, which a Rips complex
    fills at a third of their length; features of dimension 1 and more are therefore told only
    up to a third of the shortest lattice vector.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    atoms
        Boolean mask (n_atoms,) of the set: the mobile ions, or the framework.
    max_dimension
        Largest dimension, 0 to 2.
    threshold_a
        Longest distance, A.
    n_frames
        At most so many evenly spaced frames.
    min_lifetime_a
        Least lifetime of a bar that counts in the averages, A.

    Raises
    ------
    MissingDependencyError
        Without ripser, the extra ``topology``.
    AnalysisError
        For arrays that do not fit, fewer than two atoms, no frame, or parameters out of range.
    """
    compute = _ripser()
    _check(max_dimension, threshold_a, n_frames)
    trajectory, boxes = np.asarray(positions), np.asarray(cells)
    if trajectory.ndim == 2:  # noqa: PLR2004  (a matrix: one frame)
        trajectory = trajectory[None]
    if not len(trajectory):
        raise AnalysisError("the trajectory has no frames", remedy="check the file that was read")
    last = len(trajectory) - 1
    chosen = np.unique(np.linspace(0, last, min(n_frames, last + 1)).astype(np.int64))
    kept, kept_cells = as_frames(
        trajectory[chosen],
        boxes[chosen] if boxes.ndim == 3 else boxes,  # noqa: PLR2004  (frames)
    )
    mask = as_mask(atoms, kept.shape[1], "atoms")
    if mask.sum() < 2:  # noqa: PLR2004  (a distance)
        raise AnalysisError(
            "too few atoms for a topology", given=f"{int(mask.sum())} atoms", allowed="2 or more"
        )
    bars, torus = [], np.inf
    for frame, cell in zip(kept, kept_cells, strict=True):
        bars.append(compute(distance_matrix(frame[mask], cell), max_dimension, threshold_a))
        shortest = float(np.linalg.norm(minkowski_reduce(cell)[0], axis=1).min())
        torus = min(torus, _TORUS_SHARE * shortest)
    limits = [threshold_a] + [min(threshold_a, torus)] * max_dimension
    return tuple(
        _barcodes(
            [bar[dimension] for bar in bars],
            dimension=dimension,
            frames=chosen,
            limit_a=limit,
            min_lifetime_a=min_lifetime_a,
            n_points=int(mask.sum()),
        )
        for dimension, limit in enumerate(limits)
    )


def _ripser() -> Callable[[FloatArray, int, float], list[FloatArray]]:
    try:
        from ripser import ripser  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingDependencyError.of("ripser", "topology", "persistent homology") from error

    def compute(distances: FloatArray, dimension: int, threshold_a: float) -> list[FloatArray]:
        found = ripser(distances, maxdim=dimension, thresh=threshold_a, distance_matrix=True)
        return [np.asarray(diagram, dtype=np.float64) for diagram in found["dgms"]]

    return compute


def _check(max_dimension: int, threshold_a: float, n_frames: int) -> None:
    if max_dimension not in range(_LARGEST_DIMENSION + 1):
        raise AnalysisError(
            "there is no such homology in space", given=max_dimension, allowed="0, 1 or 2"
        )
    for name, value in (("threshold_a", threshold_a), ("n_frames", n_frames)):
        if not value > 0:
            raise AnalysisError(f"{name} must be positive", given=value, allowed="a number above 0")


def _barcodes(
    diagrams: list[FloatArray],
    *,
    dimension: int,
    frames: IntArray,
    limit_a: float,
    min_lifetime_a: float,
    n_points: int,
) -> Barcodes:
    frame_of_bar = np.repeat(np.arange(len(diagrams)), [len(bars) for bars in diagrams])
    birth, death = np.concatenate(diagrams).reshape(-1, 2).T
    born = birth <= limit_a
    frame_of_bar, birth = frame_of_bar[born], birth[born]
    death = np.where(death[born] <= limit_a, death[born], np.inf)
    lasting = np.isfinite(death) & (death - birth >= min_lifetime_a)
    r_a = np.arange(0.0, limit_a + 0.5 * _GRID_A, _GRID_A)
    curves = np.array(
        [
            _betti(birth[frame_of_bar == i], death[frame_of_bar == i], r_a)
            for i in range(len(frames))
        ]
    )
    error = np.full(len(r_a), np.nan)
    if len(frames) > 1:
        error = curves.std(axis=0, ddof=1) / np.sqrt(len(frames))

    def each(values: FloatArray, of: Callable[[FloatArray], float]) -> Quantity:
        """Average a number of each frame's lasting bars."""
        groups = (values[lasting & (frame_of_bar == i)] for i in range(len(frames)))
        return mean_quantity([of(group) if len(group) else np.nan for group in groups])

    def spread(values: FloatArray) -> Spread:
        return Spread(
            each(values, lambda group: float(group.mean())),
            each(values, lambda group: float(np.quantile(group, _LOW))),
            each(values, lambda group: float(np.quantile(group, 1.0 - _LOW))),
        )

    return Barcodes(
        dimension=dimension,
        frames=frames,
        frame_of_bar=frame_of_bar,
        birth_a=birth,
        death_a=death,
        limit_a=float(limit_a),
        births=spread(birth),
        deaths=spread(death),
        lifetimes=spread(death - birth),
        longest_lifetime_a=each(death - birth, lambda group: float(group.max())),
        min_lifetime_a=min_lifetime_a,
        r_a=r_a,
        betti=curves.mean(axis=0),
        betti_error=error,
        n_points=n_points,
    )


def _betti(birth: FloatArray, death: FloatArray, r_a: FloatArray) -> FloatArray:
    """Return the number of features alive at each distance: born at or before, dead after."""
    born = np.searchsorted(np.sort(birth), r_a, side="right")
    dead = np.searchsorted(np.sort(death), r_a, side="right")
    alive: FloatArray = (born - dead).astype(np.float64)
    return alive
