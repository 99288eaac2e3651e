from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.host_paths import HostPaths
from haloflow.analysis.octahedron_sites import fold_paths, sites_per_octahedron
from haloflow.errors import AnalysisError
from haloflow.quantity import Status

CELL = np.array([[4.0, 0.0, 0.0], [0.5, 8.0, 0.0], [0.0, 0.4, 9.0]])
REPEATS = (3, 2, 1)
PLACES = np.array(
    [
        [0.5, 0.1, 0.1], [0.5, 0.6, 0.55], [0.1, 0.1, 0.4],
        [0.1, 0.6, 0.85], [0.5, 0.35, 0.3], [0.5, 0.85, 0.7],
    ]
)  # fmt: skip


def hopping_paths(n_places, *, n_frames=3000, n_ions=12, seed=0, first_half=None):
    """Return ions that rattle about places of the repeated cell and hop now and then."""
    rng = np.random.default_rng(seed)
    offsets = np.array(list(np.ndindex(*REPEATS)))
    place = rng.integers(n_places, size=(n_frames, n_ions))
    if first_half is not None:
        place[: n_frames // 2] %= first_half
    cell = offsets[rng.integers(len(offsets), size=(n_frames, n_ions))]
    rattle = rng.normal(0.0, 0.25, (n_frames, n_ions, 3)) @ np.linalg.inv(CELL)
    images = rng.integers(-2, 3, (n_frames, n_ions, 3))
    fractional = (PLACES[place] + rattle + cell) / REPEATS + images
    return HostPaths(fractional.astype(np.float32), CELL * np.array(REPEATS)[:, None])


def test_folding_keeps_the_place_in_the_repeated_cell():
    paths = hopping_paths(1)
    folded = fold_paths(paths, REPEATS)
    np.testing.assert_allclose(folded.cell, CELL)
    offset = folded.fractional - PLACES[0]
    away = (offset - np.rint(offset)) @ CELL
    assert np.abs(away).max() < 1.5
    assert np.sqrt(np.square(away).mean()) == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize("n_places", [2, 6])
def test_sites_for_each_octahedron(n_places):
    found = sites_per_octahedron(hopping_paths(n_places), REPEATS, n_octahedra=6)
    counted = found.sites_per_octahedron
    assert counted.value == n_places
    assert counted.lower <= n_places <= counted.upper
    assert counted.status is Status.OK
    np.testing.assert_allclose(found.occupancy, 2.0 / n_places, rtol=0.1)
    assert found.occupancy.sum() == pytest.approx(2.0, rel=0.01)
    away = found.sites.fractional[:, None] - PLACES[:n_places]
    away -= np.rint(away)
    assert np.linalg.norm(away @ CELL, axis=-1).min(axis=1).max() < 0.15
    twice = sites_per_octahedron(hopping_paths(n_places), REPEATS, n_octahedra=12)
    assert twice.sites_per_octahedron.value == n_places / 2


def test_halves_that_differ_are_told():
    paths = hopping_paths(6, first_half=2)
    counted = sites_per_octahedron(paths, REPEATS, n_octahedra=6).sites_per_octahedron
    assert counted.status is Status.UNCONVERGED
    assert counted.note == "2 and 6 sites in the halves of the run"
    assert (counted.lower, counted.value, counted.upper) == (2, 6, 6)


def test_bad_requests_are_refused():
    paths = hopping_paths(2, n_frames=20)
    with pytest.raises(AnalysisError, match="repeats of a cell must be positive"):
        fold_paths(paths, (1, 1, 0))
    with pytest.raises(AnalysisError, match=r"whole cells\. Given: 7 octahedra in 6 cells"):
        sites_per_octahedron(paths, REPEATS, n_octahedra=7)
    empty = HostPaths(paths.fractional[:0], paths.cell)
    with pytest.raises(AnalysisError, match="cannot be cut into that many blocks"):
        sites_per_octahedron(empty, REPEATS, n_octahedra=6)
