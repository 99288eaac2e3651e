from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree, shortest_path

from haloflow.analysis.density import DensityGrid, density_grid
from haloflow.analysis.filling import fill
from haloflow.analysis.host_paths import HostPaths
from haloflow.analysis.percolation import percolation_barriers, site_barriers
from haloflow.analysis.sites import find_sites
from haloflow.errors import AnalysisError
from haloflow.quantity import Status
from haloflow.units import BOLTZMANN_EV_PER_K

KT_600 = 600.0 * BOLTZMANN_EV_PER_K
DEPTHS_EV = np.array([0.15, 0.22, 0.28])
NO_SEEDS = np.zeros(0, dtype=np.int64)


def neighbours(shape):
    """Yield each voxel, the one up each axis from it, and the cell boundary between them."""
    for voxel in np.ndindex(*shape):
        for axis in range(3):
            other, crossed = list(voxel), np.zeros(3, dtype=int)
            other[axis] += 1
            if other[axis] == shape[axis]:
                other[axis], crossed[axis] = 0, 1
            yield (
                int(np.ravel_multi_index(voxel, shape)),
                int(np.ravel_multi_index(other, shape)),
                crossed,
            )


def percolates(filled, shape):
    """Say along which axes a walk through filled voxels can reach its own image."""
    links = {int(voxel): [] for voxel in filled}
    for one, other, crossed in neighbours(shape):
        if one in links and other in links:
            links[one].append((other, crossed))
            links[other].append((one, -crossed))
    cells, found = {}, np.zeros(3, dtype=bool)
    for start in links:
        if start in cells:
            continue
        cells[start] = np.zeros(3, dtype=int)
        queue = deque([start])
        while queue:
            here = queue.popleft()
            for there, crossed in links[here]:
                if there not in cells:
                    cells[there] = cells[here] + crossed
                    queue.append(there)
                found |= cells[there] != cells[here] + crossed
    return found


@given(seed=st.integers(0, 10_000), shape=st.tuples(*[st.integers(1, 5)] * 3))
@settings(max_examples=30, deadline=None)
def test_percolation_is_found_at_the_voxel_that_closes_it(seed, shape):
    order = np.random.default_rng(seed).permutation(int(np.prod(shape)))
    filling = fill(order, shape, NO_SEEDS)
    for axis, rank in enumerate(filling.percolation_rank):
        assert percolates(order[: rank + 1], shape)[axis]
        assert not percolates(order[:rank], shape)[axis]
        assert filling.bottom_rank[axis] <= rank


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_regions_meet_where_a_minimum_spanning_tree_says(seed):
    """The lowest pass between two voxels is the highest edge between them in the tree."""
    shape = (5, 4, 3)
    rng = np.random.default_rng(seed)
    order = rng.permutation(60)
    rank = np.argsort(order)
    edges = np.array([(a, b, max(rank[a], rank[b])) for a, b, _ in neighbours(shape)])
    weights = coo_array((edges[:, 2] + 1.0, (edges[:, 0], edges[:, 1])), shape=(60, 60))
    # duplicate entries of a cell two voxels wide would add up: none here
    tree = minimum_spanning_tree(weights.tocsr())
    _, before = shortest_path(tree, directed=False, unweighted=True, return_predecessors=True)
    dense = np.maximum(tree.toarray(), tree.toarray().T)
    seeds = rng.choice(60, size=6, replace=False)
    filling = fill(order, shape, seeds)
    meet = {}
    groups = {i: {i} for i in range(6)}
    for level, (one, other) in zip(filling.merge_rank, filling.merge_pairs, strict=True):
        left = next(g for g in groups.values() if one in g)
        right = next(g for g in groups.values() if other in g)
        assert left is not right
        meet |= {frozenset((a, b)): level for a in left for b in right}
        left |= right
        groups = {i: (left if g is right else g) for i, g in groups.items()}
    assert len(meet) == 15
    for (a, b), level in ((tuple(pair), level) for pair, level in meet.items()):
        way = [seeds[b]]
        while way[-1] != seeds[a]:
            way.append(before[seeds[a], way[-1]])
        assert level == max(dense[i, j] for i, j in pairwise(way)) - 1


def cosine_paths(seed, n_frames, depths_ev=DEPTHS_EV, wells=2):
    """Ions at 600 K in V = sum_i depth_i / 2 (1 - cos 2 pi wells x_i), cell edge 6 A."""
    rng = np.random.default_rng(seed)
    u = np.linspace(0.0, 1.0, 2001)
    fractions = np.empty((n_frames, 50, 3), dtype=np.float32)
    for axis, depth in enumerate(depths_ev):
        weight = np.exp(-depth / 2 * (1 - np.cos(2 * np.pi * wells * u)) / KT_600)
        cumulative = np.append(0.0, np.cumsum(0.5 * (weight[1:] + weight[:-1])))
        uniform = rng.random((n_frames, 50))
        fractions[..., axis] = np.interp(uniform, cumulative / cumulative[-1], u)
    return HostPaths(fractions, 6.0 * np.eye(3))


def barrier_of_voxels(depth_ev, n_voxels, wells=2):
    u = (np.arange(n_voxels * 200) + 0.5) / (n_voxels * 200)
    weight = np.exp(-depth_ev / 2 * (1 - np.cos(2 * np.pi * wells * u)) / KT_600)
    means = weight.reshape(n_voxels, 200).mean(axis=1)
    return KT_600 * np.log(means.max() / means.min())


def test_barriers_of_a_known_landscape():
    """On finer and finer grids the barrier is that of the potential; here that of voxels."""
    covered = []
    for seed in range(5):
        grid = density_grid(cosine_paths(seed, 6000), spacing_a=0.5)
        found = percolation_barriers(grid, 600.0, n_resamples=30)
        for axis, quantity in enumerate(found.barrier_ev):
            exact = barrier_of_voxels(DEPTHS_EV[axis], 12)
            assert quantity.value == pytest.approx(exact, abs=0.25 * KT_600)
            covered.append(quantity.lower <= exact <= quantity.upper)
            at_pass = found.saddle[axis, axis] * 2 % 1.0
            assert abs(at_pass - 0.5) < 0.1
        assert found.barrier_ev[0].status is Status.OK
        assert 0.0 < found.barrier_ev[0].sd < 0.01
    assert np.mean(covered) >= 0.8
    fine = density_grid(cosine_paths(0, 20_000, DEPTHS_EV[:1] * np.ones(3)), spacing_a=0.2)
    assert percolation_barriers(fine, 600.0, n_resamples=2).barrier_ev[0].value == pytest.approx(
        DEPTHS_EV[0], abs=0.15 * KT_600
    )


def test_what_was_not_visited_is_a_lower_bound():
    depths = np.array([0.15, 0.2, 1.5])
    grid = density_grid(cosine_paths(0, 3000, depths), spacing_a=0.5)
    a, b, c = percolation_barriers(grid, 600.0, n_resamples=10).barrier_ev
    assert a.value is not None
    assert b.value is not None
    assert c.value is None
    assert 0.0 < c.lower < 1.5
    assert c.status is Status.UNCONVERGED
    assert "do not connect along c" in c.note


def test_a_pass_that_was_hardly_seen_is_not_converged():
    grid = density_grid(cosine_paths(1, 100), spacing_a=0.5)
    last = percolation_barriers(grid, 600.0, n_resamples=20).barrier_ev[2]
    assert last.status is Status.UNCONVERGED
    assert "independent times" in last.note or "do not connect" in last.note


@pytest.mark.parametrize("shift", [(3, 0, 0), (5, 7, 2)])
def test_barriers_do_not_depend_on_the_origin_or_the_supercell(shift):
    grid = density_grid(cosine_paths(2, 3000), spacing_a=0.5)
    barriers = [q.value for q in percolation_barriers(grid, 600.0, n_resamples=0).barrier_ev]
    rolled = np.roll(grid.block_counts, shift, axis=(1, 2, 3))
    doubled = np.tile(grid.block_counts, (1, 2, 1, 1))
    for counts, cell in ((rolled, grid.cell), (doubled, grid.cell * [[2], [1], [1]])):
        other = DensityGrid(counts, cell, grid.n_mobile, grid.n_frames)
        found = percolation_barriers(other, 600.0, n_resamples=0).barrier_ev
        assert [q.value for q in found] == pytest.approx(barriers)
        assert found[0].sd is None
        assert "no error from resampling" in found[0].note


def test_barriers_between_sites():
    grid = density_grid(cosine_paths(3, 6000), spacing_a=0.5)
    sites = find_sites(grid)
    assert sites.n_sites == 8
    found = site_barriers(grid, sites, 600.0, n_resamples=10)
    assert found.connected.all()
    assert (np.diag(found.barrier_ev) == 0.0).all()
    exact = [barrier_of_voxels(depth, 12) for depth in DEPTHS_EV]
    place = np.rint(sites.fractional * 2).astype(int) % 2
    for one in range(8):
        for other in range(8):
            differs = np.flatnonzero(place[one] != place[other])
            if len(differs):
                expected = exact[differs.max()]  # the highest of the passes that must be taken
                assert found.barrier_ev[one, other] == pytest.approx(expected, abs=0.3 * KT_600)
                assert 0.0 < found.sd_ev[one, other] < KT_600


def test_sites_apart_are_known_by_a_lower_bound():
    grid = density_grid(cosine_paths(3, 2000, np.array([0.15, 0.2, 1.5])), spacing_a=0.5)
    sites = find_sites(grid)
    found = site_barriers(grid, sites, 600.0, n_resamples=5)
    above = sites.fractional[:, 2] > 0.25
    above &= sites.fractional[:, 2] < 0.75
    apart = above[:, None] != above
    assert not found.connected[apart].any()
    assert found.connected[~apart].all()
    assert (found.barrier_ev[apart] > 0.1).all()
    assert (found.barrier_ev[apart] < 1.5).all()
    assert np.isnan(found.sd_ev[apart]).all()


def test_bad_input_is_refused():
    grid = density_grid(cosine_paths(0, 50), spacing_a=0.5)
    single = density_grid(cosine_paths(0, 50), spacing_a=0.5, n_blocks=1)
    with pytest.raises(AnalysisError, match="blocks cannot be drawn again"):
        percolation_barriers(single, 600.0)
    with pytest.raises(AnalysisError, match="temperature_k must be positive"):
        percolation_barriers(grid, -1.0)
    other = density_grid(cosine_paths(0, 50), spacing_a=0.6)
    with pytest.raises(AnalysisError, match="sites were found on another grid"):
        site_barriers(grid, find_sites(other), 600.0)


@pytest.mark.parametrize(
    ("n_frames", "n_ions", "edge_a"), [(1000, 32, 16.0), (3000, 64, 12.0), (6000, 20, 14.0)]
)
def test_a_flat_landscape_seen_thinly_bounds_nothing(n_frames, n_ions, edge_a):
    rng = np.random.default_rng(11)
    steps = rng.normal(0.0, 0.1 / edge_a, (n_frames, n_ions, 3))
    fractional = rng.random((1, n_ions, 3)) + np.cumsum(steps, axis=0)
    paths = HostPaths(fractional.astype(np.float32), edge_a * np.eye(3))
    found = percolation_barriers(density_grid(paths), 600.0, n_resamples=10)
    for barrier in found.barrier_ev:
        assert barrier.status is Status.UNCONVERGED
        assert barrier.lower is None
