"""Landscape of the mobile ions of one run: free energy, sites, hops, topology."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..analysis.density import density_grid, free_energy, free_energy_histogram, projected_density
from ..analysis.hops import find_hops, hop_length_histogram
from ..analysis.host_paths import HostPaths, in_constant_cell, read_host_paths
from ..analysis.octahedron_sites import sites_per_octahedron
from ..analysis.percolation import AXES, percolation_barriers
from ..analysis.sites import find_sites
from ..analysis.topology import THRESHOLD_A, persistent_homology
from ..analysis.van_hove import van_hove
from ..stores.analyses import (
    BarcodeAnalysis,
    HopsAnalysis,
    LandscapeAnalysis,
    PlaneAnalysis,
    TopologyAnalysis,
)
from .barriers import local_barrier
from .curves import curve, if_possible, numbers, rounded, thinned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike, NDArray

    from ..analysis.density import DensityGrid, FreeEnergy
    from ..analysis.passage import Passage
    from ..analysis.topology import Barcodes

SPACING_A = 0.3
_SAME_CELL_A = 1e-4
_MOST_PLACES = 16_000_000
_MOST_PER_SIDE = 64
_N_VAN_HOVE_LAGS = 5
_LONGEST_VAN_HOVE_SHARE = 0.2
_MANY_POINTS = 800
_MOST_POINTS = 3000
_REACH_OF_MANY_A = 6.0
_FRAMES_OF_MANY = 4
_TOPOLOGY_FRAMES = 12
_N_BETTI = 80


def host_paths_of(
    passage: Passage,
    blocks: Callable[[], Iterable[tuple[ArrayLike, ArrayLike]]],
    *,
    unwrapped: bool,
) -> HostPaths:
    """Return where the mobile ions are in their host, at every :func:`path_stride`-th frame.

    A changing cell needs a second reading.

    Parameters
    ----------
    passage
        The trajectory.
    blocks
        Call it to read the trajectory again.
    unwrapped
        Whether its positions are continuous.

    Raises
    ------
    AnalysisError
        If there is no mobile ion.
    """
    stride = path_stride(passage)
    if np.ptp(passage.cells_a, axis=0).max() > _SAME_CELL_A:
        found = read_host_paths(blocks(), passage.mobile, unwrapped=unwrapped)
        return HostPaths(found.fractional[::stride], found.cell)
    start = passage.start_a[passage.mobile]
    return in_constant_cell(start, passage.path_a[::stride], passage.cells_a[0])


def path_stride(passage: Passage) -> int:
    """Return every how many frames the places of ions are kept: 1 but for very long runs."""
    return max(1, -(-passage.path_a.size // _MOST_PLACES))


def mean_cell_note(passage: Passage) -> str:
    """Say that a landscape is that of the mean cell, where the cell changed; else nothing."""
    lengths = np.linalg.norm(passage.cells_a, axis=2)
    if np.ptp(passage.cells_a, axis=0).max() <= _SAME_CELL_A:
        return ""
    spread = float((lengths.std(axis=0) / lengths.mean(axis=0)).max())
    return f"in the mean of a changing cell, whose lengths scatter by up to {spread:.1%}"


def measure_landscape(
    paths: HostPaths,
    temperature_k: float,
    *,
    note: str = "",
    spacing_a: float = SPACING_A,
    repeats: tuple[int, int, int] | None = None,
    n_octahedra: int = 0,
) -> tuple[LandscapeAnalysis, DensityGrid]:
    """Return the free energy landscape of the mobile ions, and the density it rests on.

    Parameters
    ----------
    paths
        Where the mobile ions are.
    temperature_k
        Of the run.
    spacing_a
        Largest edge of a voxel, A.
    note
        What to tell of the cell (:func:`mean_cell_note`).
    repeats, n_octahedra
        Cells of a crystal in the box and octahedra in it, to count sites per octahedron.

    Raises
    ------
    AnalysisError
        If a number is not positive.
    """
    grid = density_grid(paths, spacing_a=spacing_a)
    landscape = free_energy(grid, temperature_k)
    barriers = percolation_barriers(grid, temperature_k)
    sites = if_possible(lambda: find_sites(grid))
    centres, share = free_energy_histogram(landscape)
    planes = [_planes(landscape, grid, axis) for axis in range(3)]
    per_octahedron = None
    if repeats is not None and n_octahedra:
        per_octahedron = if_possible(lambda: sites_per_octahedron(paths, repeats, n_octahedra))
    found = LandscapeAnalysis(
        temperature_k=temperature_k,
        note=note,
        spacing_a=spacing_a,
        shape=list(grid.shape),
        barrier_ev=dict(zip(AXES, barriers.barrier_ev, strict=True)),
        local_barrier_ev=local_barrier(grid, sites, landscape) if sites else None,
        lower_bound_ev=landscape.lower_bound_ev,
        visited_fraction=float(landscape.visited.mean()),
        histogram_ev=numbers(centres),
        histogram_per_ev=numbers(share),
        slices_ev=[plane[0] for plane in planes],
        density_per_a2=[plane[1] for plane in planes],
        n_sites=sites.n_sites if sites else 0,
        sites_per_mobile=(sites.n_sites if sites else 0) / paths.n_mobile,
        site_occupancy=numbers(np.sort(sites.occupancy)[::-1]) if sites else [],
        sites_per_octahedron=per_octahedron.sites_per_octahedron if per_octahedron else None,
    )
    return found, grid


def _planes(landscape: FreeEnergy, grid: DensityGrid, axis: int) -> tuple[PlaneAnalysis, ...]:
    """Return the lowest F and the summed density along a cell vector, coarsened."""
    lowest = np.where(landscape.visited, landscape.free_energy_ev, np.inf).min(axis=axis)
    projected = projected_density(grid, axis)
    share = np.ones(projected.values.shape)
    density = _coarsened(projected.values, np.add) / _coarsened(share, np.add)
    return tuple(
        PlaneAnalysis(
            across=AXES[axis],
            axes_a=projected.axes_a.round(4).tolist(),
            values=[rounded(row) for row in values],
        )
        for values in (_coarsened(lowest, np.minimum), density)
    )


def _coarsened(values: NDArray[np.float64], join: np.ufunc) -> NDArray[np.float64]:
    """Join neighbours until no side has more than a few dozen values."""
    for axis in (0, 1):
        n = values.shape[axis]
        starts = np.arange(0, n, -(-n // _MOST_PER_SIDE))
        values = join.reduceat(values, starts, axis=axis)
    return values


def measure_hops(paths: HostPaths, grid: DensityGrid, *, frame_ps: float) -> HopsAnalysis:
    """Return the hops between sites of a density, and how far ions come in a time.

    Parameters
    ----------
    paths
        Where the mobile ions are.
    grid
        Their density.
    frame_ps
        Time between frames of the paths, ps.

    Raises
    ------
    AnalysisError
        If no site is occupied often enough.
    """
    hops = find_hops(paths, find_sites(grid), frame_ps=frame_ps)
    histogram = if_possible(lambda: hop_length_histogram(hops))
    found = HopsAnalysis(
        n_hops=hops.n_hops,
        core_share=hops.core_share,
        returned_fraction=float(hops.returned.mean()) if hops.n_hops else None,
        residence_time_ps=hops.residence_time_ps,
        correlation_time_ps=hops.correlation_time_ps,
        jump_diffusivity_cm2_s=hops.jump_diffusivity_cm2_s,
        length_a=numbers(histogram[0]) if histogram else [],
        length_per_a=numbers(histogram[1]) if histogram else [],
    )
    longest = int(_LONGEST_VAN_HOVE_SHARE * (paths.n_frames - 1))
    if longest < 1:
        return found
    moved = van_hove(paths, thinned(1, longest, _N_VAN_HOVE_LAGS).tolist(), frame_ps=frame_ps)
    names = [f"{lag:g} ps" for lag in moved.lags_ps]
    return found.model_copy(
        update={
            "van_hove": {
                name: curve(moved.r_a, y, sd)
                for name, y, sd in zip(names, moved.self_per_a, moved.self_error_per_a, strict=True)
            },
            "van_hove_distinct": {
                name: curve(moved.distinct_r_a, y, sd)
                for name, y, sd in zip(names, moved.distinct_g, moved.distinct_error, strict=True)
            },
        }
    )


def measure_topology(passage: Passage) -> TopologyAnalysis:
    """Return the barcodes of the mobile ions and of the framework in some sampled frames.

    Of sets above 800 atoms four frames are taken and features told up to 6 A; of sets above
    3000 atoms only the parts are looked for, not the loops. `limit_a` and the note say so.

    Raises
    ------
    AnalysisError
        If there are fewer than two ions.
    MissingDependencyError
        Without ripser.
    """
    sets = {"mobile": passage.mobile, "framework": ~passage.mobile}
    barcodes, notes = [], []
    for name, atoms in sets.items():
        if name == "framework" and not atoms.any():
            continue
        many, n_points = bool(atoms.sum() > _MANY_POINTS), int(atoms.sum())
        found = persistent_homology(
            passage.sample_a,
            passage.sample_cells_a,
            atoms,
            max_dimension=1 if n_points <= _MOST_POINTS else 0,
            threshold_a=_REACH_OF_MANY_A if many else THRESHOLD_A,
            n_frames=min(_FRAMES_OF_MANY if many else _TOPOLOGY_FRAMES, len(passage.sample_a)),
        )
        barcodes += [_barcode(name, one) for one in found]
        if n_points > _MOST_POINTS:
            notes.append(f"no loops of the {name}: {n_points} atoms, at most {_MOST_POINTS}")
    return TopologyAnalysis(barcodes=barcodes, note="; ".join(notes))


def _barcode(atoms: str, found: Barcodes) -> BarcodeAnalysis:
    first = found.frame_of_bar == 0
    long = found.death_a - found.birth_a > found.min_lifetime_a
    bars = np.column_stack([found.birth_a, found.death_a])[first & long]
    at = np.unique(np.linspace(0, len(found.r_a) - 1, _N_BETTI).astype(np.int64))
    return BarcodeAnalysis(
        atoms=atoms,
        dimension=found.dimension,
        n_points=found.n_points,
        n_frames=len(found.frames),
        limit_a=found.limit_a,
        births_a=found.births.mean,
        deaths_a=found.deaths.mean,
        lifetimes_a=found.lifetimes.mean,
        longest_lifetime_a=found.longest_lifetime_a,
        bars_a=[
            (round(float(birth), 4), round(float(death), 4) if np.isfinite(death) else None)
            for birth, death in bars
        ],
        betti_r_a=numbers(found.r_a[at]),
        betti=numbers(found.betti[at]),
    )
