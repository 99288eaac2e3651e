from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import single
from scipy.spatial.distance import squareform

from haloflow.analysis.minimum_image import distance_matrix, smallest_height_a
from haloflow.analysis.topology import persistent_homology
from haloflow.errors import AnalysisError, MissingDependencyError

SKEWED = np.array([[9.0, 0.0, 0.0], [16.0, 8.0, 0.0], [-13.0, 7.0, 10.0]])


def lattice(repeats, a=4.0):
    shifts = np.stack(np.meshgrid(*[np.arange(n) for n in repeats], indexing="ij"), -1)
    return shifts.reshape(-1, 3) * a, np.diag(np.array(repeats) * a)


def everything(n):
    return np.ones(n, dtype=bool)


def bars_of(found, dimension=1):
    return np.column_stack([found[dimension].birth_a, found[dimension].death_a])


def test_distances_are_the_shortest_of_all_images():
    rng = np.random.default_rng(0)
    for cell in (SKEWED, rng.normal(0, 6, (3, 3)), 10 * np.eye(3)):
        points = rng.random((8, 3)) * 40
        images = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, indexing="ij"), -1).reshape(-1, 3)
        fractions = points @ np.linalg.inv(cell)
        apart = fractions[:, None] - fractions
        apart -= np.rint(apart)
        vectors = (apart[:, :, None] + images) @ cell
        shortest = np.linalg.norm(vectors, axis=-1).min(axis=2)
        assert np.allclose(distance_matrix(points, cell), shortest)
    assert smallest_height_a(np.diag([4.0, 3.0, 5.0])) == pytest.approx(3.0)
    volume = abs(np.linalg.det(SKEWED))
    heights = [volume / np.linalg.norm(np.cross(*np.delete(SKEWED, i, axis=0))) for i in range(3)]
    assert smallest_height_a(SKEWED) == pytest.approx(min(heights))


def test_parts_of_a_lattice_join_at_its_constant():
    positions, cell = lattice((4, 4, 4))
    parts = persistent_homology(positions, cell, everything(64), max_dimension=0)[0]
    assert np.allclose(np.sort(parts.death_a)[:-1], 4.0)
    assert np.isinf(parts.death_a.max())  # one part is left
    assert len(parts.death_a) == 64
    assert parts.deaths.mean.value == pytest.approx(4.0)
    assert np.allclose(parts.betti[parts.r_a < 3.9], 64)
    assert np.allclose(parts.betti[parts.r_a > 4.1], 1)


def test_deaths_of_parts_are_the_merge_heights_of_single_linkage():
    rng = np.random.default_rng(1)
    frames = rng.random((3, 30, 3)) @ SKEWED
    parts = persistent_homology(frames, SKEWED, everything(30), max_dimension=0)[0]
    for index, frame in enumerate(frames):
        heights = single(squareform(distance_matrix(frame, SKEWED)))[:, 2]
        deaths = np.sort(parts.death_a[parts.frame_of_bar == index])[:-1]
        assert np.allclose(deaths, np.sort(heights), atol=1e-5)
    assert np.array_equal(parts.frames, [0, 1, 2])


def test_a_ring_of_atoms_is_one_loop():
    """Twelve atoms on a circle: born at their distance, dead when a triangle spans the ring."""
    angle = 2 * np.pi * np.arange(12) / 12
    radius = 4.0
    ring = radius * np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
    loops = persistent_homology(ring, 40 * np.eye(3), everything(12))[1]
    assert loops.birth_a == pytest.approx(2 * radius * np.sin(np.pi / 12), abs=1e-4)
    assert loops.death_a == pytest.approx(np.sqrt(3) * radius, abs=1e-4)
    assert loops.lifetimes.mean.value == pytest.approx(loops.death_a[0] - loops.birth_a[0])


def test_an_octahedron_is_a_void():
    corners = np.concatenate([np.eye(3), -np.eye(3)]) * 2.4
    found = persistent_homology(corners, 40 * np.eye(3), everything(6), max_dimension=2)
    assert len(found[2].birth_a) == 1
    assert found[2].birth_a[0] == pytest.approx(2.4 * np.sqrt(2), abs=1e-4)
    assert found[2].death_a[0] == pytest.approx(4.8, abs=1e-4)


def test_the_loops_of_the_cell_itself_are_not_told():
    """A lattice fills its squares at their diagonal; only the cell's own loops live on."""
    positions, cell = lattice((5, 5, 5), a=3.0)
    loops = persistent_homology(positions, cell, everything(125), threshold_a=7.0)[1]
    assert loops.limit_a == pytest.approx(5.0)
    squares = np.isfinite(loops.death_a)
    assert np.allclose(loops.death_a[squares], 3.0 * np.sqrt(2), atol=1e-4)
    assert (~squares).sum() == 3
    assert loops.deaths.high.value == pytest.approx(3.0 * np.sqrt(2), abs=1e-4)


@given(seed=st.integers(0, 1000))
@settings(max_examples=6, deadline=None)
def test_motions_and_names_change_no_bar(triclinic, seed):
    rng = np.random.default_rng(seed)
    positions = rng.random((25, 3)) @ triclinic
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = positions[rng.permutation(25)] + rng.integers(-2, 3, (25, 3)) @ triclinic
    moved = (moved + rng.normal(size=3)) @ turn
    one = persistent_homology(positions, triclinic, everything(25))
    other = persistent_homology(moved, triclinic @ turn, everything(25))
    for dimension in (0, 1):
        left, right = (np.array(sorted(map(tuple, bars_of(f, dimension)))) for f in (one, other))
        assert left.shape == right.shape
        assert np.allclose(left, right, atol=1e-4)


def test_a_threshold_changes_no_bar_below_it(triclinic):
    positions = np.random.default_rng(5).random((60, 3)) @ (2 * triclinic)
    far = persistent_homology(positions, 2 * triclinic, everything(60), threshold_a=8.0)
    near = persistent_homology(positions, 2 * triclinic, everything(60), threshold_a=4.0)
    for dimension in (0, 1):
        both = [bars_of(f, dimension) for f in (far, near)]
        left, right = (b[b[:, 1] <= 4.0] for b in both)
        assert np.allclose(np.sort(left, axis=0), np.sort(right, axis=0))


def test_averages_are_over_frames_with_their_error(nacl):
    positions, cell, species = nacl((3, 3, 3), rattle_a=0.2, n_frames=12)
    sodium = np.array(species) == "Na"
    parts, loops = persistent_homology(positions, cell, sodium, n_frames=8)
    assert len(parts.frames) == 8
    assert parts.n_points == 108
    means = [
        parts.death_a[(parts.frame_of_bar == i) & np.isfinite(parts.death_a)].mean()
        for i in range(8)
    ]
    assert parts.deaths.mean.value == pytest.approx(np.mean(means))
    assert parts.deaths.mean.lower < np.mean(means) < parts.deaths.mean.upper
    assert parts.deaths.low.value < parts.deaths.mean.value < parts.deaths.high.value
    assert parts.deaths.mean.value < 5.64 / np.sqrt(2)
    assert loops.births.mean.value < loops.deaths.mean.value
    assert loops.longest_lifetime_a.value >= loops.lifetimes.high.value
    assert (loops.betti_error >= 0).all()
    area = loops.betti.sum() * 0.05
    told = np.minimum(loops.death_a, loops.limit_a) - loops.birth_a
    assert area == pytest.approx(told.sum() / 8, rel=0.1)


def test_bad_input_is_refused(nacl, monkeypatch):
    positions, cell, species = nacl((2, 2, 2))
    sodium = np.array(species) == "Na"
    with pytest.raises(AnalysisError, match="there is no such homology in space"):
        persistent_homology(positions, cell, sodium, max_dimension=3)
    with pytest.raises(AnalysisError, match="threshold_a must be positive"):
        persistent_homology(positions, cell, sodium, threshold_a=0.0)
    with pytest.raises(AnalysisError, match="n_frames must be positive"):
        persistent_homology(positions, cell, sodium, n_frames=0)
    with pytest.raises(AnalysisError, match="too few atoms for a topology"):
        persistent_homology(positions, cell, np.arange(len(species)) < 1)
    with pytest.raises(AnalysisError, match="atoms mask does not fit"):
        persistent_homology(positions, cell, sodium[:-1])
    with pytest.raises(AnalysisError, match="the trajectory has no frames"):
        persistent_homology(positions[:0], cell, sodium)
    monkeypatch.setitem(sys.modules, "ripser", None)
    with pytest.raises(MissingDependencyError, match="ripser is needed for persistent homology"):
        persistent_homology(positions, cell, sodium)
