"""Barriers of a free-energy landscape: the lowest pass between sites and through the cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from ..quantity import TWO_SIDED_95, Quantity, Status
from .density import free_energy, thermal_energy_ev
from .filling import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .density import DensityGrid
    from .filling import Filling
    from .frames import BoolArray, FloatArray, IntArray
    from .sites import Sites

_LEAST_VISITS = 10.0
_LARGEST_BROKEN_SHARE = 0.025
AXES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Percolation:
    """Lowest barriers through the whole cell.

    Attributes
    ----------
    barrier_ev
        Along a, b and c: highest point of the best path to the own periodic image over the
        lowest point of the region it runs through, eV. A lower bound alone where the visited
        voxels do not connect.
    saddle
        Fractional coordinates of those highest points, shape (3, 3); NaN without one.
    temperature_k
        Of the run, K.
    """

    barrier_ev: tuple[Quantity, Quantity, Quantity]
    saddle: FloatArray
    temperature_k: float


@dataclass(frozen=True, slots=True)
class SiteBarriers:
    """Lowest barriers from each site to each other, through any sites between.

    Attributes
    ----------
    barrier_ev
        Highest point of the best path over the lowest point of the first site, eV, shape
        (n_sites, n_sites); a lower bound where not `connected`; 0 on the diagonal.
    sd_ev
        From blocks drawn again, eV, same shape; NaN where not connected.
    connected
        Whether visited voxels connect the two, same shape.
    """

    barrier_ev: FloatArray
    sd_ev: FloatArray
    connected: BoolArray


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Visited voxels of one density, most visited first."""

    counts: IntArray
    order: IntArray


def percolation_barriers(
    grid: DensityGrid, temperature_k: float, *, n_resamples: int = 40, seed: int = 0
) -> Percolation:
    """Return the minimax barrier along each cell vector.

    Voxels are joined through their faces from the most visited on; a direction percolates at
    the level where a region meets its own image in it. The standard deviation is that of the
    barriers of densities put together from blocks drawn with replacement; the 95 % interval
    is the value and 1.96 of them. Without an upper end, more than 2.5 % of those densities
    did not connect. A pass seen fewer than ten independent times makes it `unconverged`.

    The density of a voxel is its mean over the voxel, which rounds minimum and pass off: for
    sites 3 A apart the barrier is 7 % too low with voxels of 0.3 A and 17 % with 0.5 A. Where
    the density is thin the barrier is too high, since it is counted from the most visited
    voxel, an extreme of the noise: an `unconverged` barrier has no lower end. Where visited
    voxels do not connect there is at most the bound that holds for all unvisited ones at
    once (:attr:`FreeEnergy.bound_everywhere_ev`).

    Parameters
    ----------
    grid
        The counted density.
    temperature_k
        Temperature, K.
    n_resamples, seed
        Densities drawn, and the seed of the draw.

    Raises
    ------
    AnalysisError
        If the temperature is not positive, or resamples are asked of a single block.
    """
    landscape = free_energy(grid, temperature_k)
    thermal = thermal_energy_ev(temperature_k)
    nobody: IntArray = np.zeros(0, dtype=np.int64)
    whole = _ordered(grid.counts.ravel())
    filling = fill(whole.order, grid.shape, nobody)
    drawn = [
        _barriers(sample, fill(sample.order, grid.shape, nobody), thermal)
        for sample in _resampled(grid, n_resamples, seed)
    ]
    spread = np.array(drawn).reshape(-1, 3)
    found = _barriers(whole, filling, thermal)
    bound = landscape.bound_everywhere_ev or None
    saddle = np.full((3, 3), np.nan)
    quantities = []
    for axis in range(3):
        rank = filling.percolation_rank[axis]
        if rank < 0:
            note = f"visited voxels do not connect along {AXES[axis]}"
            quantities.append(Quantity(lower=bound, status=Status.UNCONVERGED, note=note))
            continue
        voxel = int(whole.order[rank])
        index = np.array(np.unravel_index(voxel, grid.shape))
        saddle[axis] = (index + 0.5) / np.array(grid.shape)
        visits = (thermal / float(landscape.sd_ev.flat[voxel])) ** 2
        quantities.append(_judged(float(found[axis]), spread[:, axis], visits))
    a, b, c = quantities
    return Percolation((a, b, c), saddle, temperature_k)


def _ordered(counts: IntArray) -> _Ordered:
    visited = np.flatnonzero(counts)
    return _Ordered(counts, visited[np.argsort(-counts[visited], kind="stable")])


def _resampled(grid: DensityGrid, n_resamples: int, seed: int) -> Iterator[_Ordered]:
    n_blocks = len(grid.block_counts)
    if n_resamples > 0 and n_blocks < 2:  # noqa: PLR2004  (a spread)
        raise AnalysisError(
            "blocks cannot be drawn again from a single one",
            given=f"{n_blocks} block, {n_resamples} resamples",
            remedy="count the density in ten blocks, or pass n_resamples=0",
        )
    rng = np.random.default_rng(seed)
    flat = grid.block_counts.reshape(n_blocks, -1)
    visited = np.flatnonzero(flat.any(axis=0))
    blocks = flat[:, visited]
    for _ in range(n_resamples):
        weights = np.bincount(rng.integers(n_blocks, size=n_blocks), minlength=n_blocks)
        counts = np.zeros(flat.shape[1], dtype=np.int64)
        for weight, block in zip(weights, blocks, strict=True):
            if weight:
                counts[visited] += weight * block
        yield _ordered(counts)


def _barriers(density: _Ordered, filling: Filling, thermal_ev: float) -> FloatArray:
    """Return the barriers along a, b, c in eV; infinite where nothing connects."""
    barriers = np.full(3, np.inf)
    for axis in np.flatnonzero(filling.percolation_rank >= 0):
        top = density.counts[density.order[filling.percolation_rank[axis]]]
        bottom = density.counts[density.order[filling.bottom_rank[axis]]]
        barriers[axis] = thermal_ev * float(np.log(bottom / top))
    return barriers


def _judged(value: float, spread: FloatArray, visits: float) -> Quantity:
    finite = spread[np.isfinite(spread)]
    notes = []
    if visits < _LEAST_VISITS:
        notes.append(f"the pass was seen {visits:.1f} independent times, {_LEAST_VISITS:g} needed")
    if len(finite) < 2:  # noqa: PLR2004  (a spread)
        return Quantity(
            value, status=Status.UNCONVERGED, note="; ".join([*notes, "no error from resampling"])
        )
    sd = float(finite.std(ddof=1))
    broken = 1.0 - len(finite) / len(spread)
    upper: float | None = value + TWO_SIDED_95 * sd
    if broken > _LARGEST_BROKEN_SHARE:
        notes.append(f"{broken:.0%} of the resampled densities do not connect")
        upper = None
    lower = None if notes else max(0.0, value - TWO_SIDED_95 * sd)
    status = Status.UNCONVERGED if notes else Status.OK
    return Quantity(value, sd, lower, upper, status, "; ".join(notes))


def site_barriers(
    grid: DensityGrid,
    sites: Sites,
    temperature_k: float,
    *,
    n_resamples: int = 40,
    seed: int = 0,
) -> SiteBarriers:
    """Return the minimax barriers between all pairs of sites.

    Parameters
    ----------
    grid, temperature_k, n_resamples, seed
        As in :func:`percolation_barriers`.
    sites
        Sites found in the same grid.

    Raises
    ------
    AnalysisError
        As :func:`percolation_barriers`, or if sites and grid do not belong together.
    """
    if sites.basin.shape != grid.shape:
        raise AnalysisError(
            "the sites were found on another grid",
            given=f"{sites.basin.shape} voxels",
            allowed=f"{grid.shape}",
        )
    landscape = free_energy(grid, temperature_k)
    thermal = thermal_energy_ev(temperature_k)
    whole = _ordered(grid.counts.ravel())
    seeds = _bottoms(whole, sites)
    barrier = _site_matrix(whole, grid, seeds, thermal)
    n_sites = len(seeds)
    sums, squares, hits = (np.zeros((n_sites, n_sites)) for _ in range(3))
    for sample in _resampled(grid, n_resamples, seed):
        drawn = _site_matrix(sample, grid, _bottoms(sample, sites), thermal)
        finite = np.isfinite(drawn)
        drawn[~finite] = 0.0
        sums += drawn
        squares += drawn**2
        hits += finite
    variance = np.full((n_sites, n_sites), np.nan)
    enough = hits > 1
    mean = sums[enough] / hits[enough]
    variance[enough] = (squares[enough] - hits[enough] * mean**2) / (hits[enough] - 1)
    connected = np.isfinite(barrier)
    own = landscape.free_energy_ev.ravel()[seeds]
    bound = np.broadcast_to(landscape.lower_bound_ev - own[:, None], barrier.shape)
    return SiteBarriers(
        barrier_ev=np.where(connected, barrier, bound),
        sd_ev=np.where(connected, np.sqrt(np.maximum(variance, 0.0)), np.nan),
        connected=connected,
    )


def _bottoms(density: _Ordered, sites: Sites) -> IntArray:
    """Return the most visited voxel of each site."""
    basin = sites.basin.ravel()[density.order]
    inside = basin >= 0
    first = np.full(sites.n_sites, -1, dtype=np.int64)
    first[basin[inside][::-1]] = density.order[inside][::-1]
    return first


def _site_matrix(
    density: _Ordered, grid: DensityGrid, seeds: IntArray, thermal_ev: float
) -> FloatArray:
    """Return barriers between sites in eV; infinite where nothing connects."""
    seen = np.flatnonzero(seeds >= 0)
    filling = fill(density.order, grid.shape, seeds[seen])
    n_sites = len(seeds)
    top = np.zeros((n_sites, n_sites))
    members = {int(site): [int(site)] for site in seen}
    group = {int(site): int(site) for site in seen}
    for rank, pair in zip(filling.merge_rank, seen[filling.merge_pairs], strict=True):
        first, second = group[int(pair[0])], group[int(pair[1])]
        count = density.counts[density.order[rank]]
        top[np.ix_(members[first], members[second])] = count
        top[np.ix_(members[second], members[first])] = count
        for site in members[second]:
            group[site] = first
        members[first] += members.pop(second)
    own = np.where(seeds >= 0, density.counts[seeds], 0)
    barrier = np.full((n_sites, n_sites), np.inf)
    met = top > 0
    barrier[met] = thermal_ev * np.log(np.broadcast_to(own[:, None], top.shape)[met] / top[met])
    np.fill_diagonal(barrier, 0.0)
    return barrier
