"""Fingerprints see what physics sees; choices are spread out, and without duplicates."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from haloflow.analysis.fingerprints import (
    decorrelation_stride,
    farthest_points,
    frame_fingerprint,
)
from haloflow.errors import AnalysisError

ELEMENTS = ["Cl", "Na", "O"]


def frame(seed=1, n=20, box=8.0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, box, (n, 3)), box * np.eye(3), ["Na", "Cl"] * (n // 2)


def test_same_whatever_the_order_the_image_and_the_orientation():
    positions, cell, species = frame()
    first = frame_fingerprint(positions, cell, species, ELEMENTS)
    assert first.shape == (6 * 14,)
    order = np.random.default_rng(2).permutation(len(positions))
    turn = Rotation.from_euler("xyz", [0.3, 1.0, 2.0]).as_matrix()
    moved = np.add(positions, [3.0, -9.0, 1.0])[order] @ turn
    assert frame_fingerprint(
        moved, cell @ turn, [species[i] for i in order], ELEMENTS
    ) == pytest.approx(first, abs=1e-9)


def test_supercell_is_the_same_and_another_species_is_not():
    positions, cell, species = frame()
    first = frame_fingerprint(positions, cell, species, ELEMENTS)
    double = np.vstack([positions, positions + cell[0]])
    large = np.diag([2.0, 1.0, 1.0]) @ cell
    assert frame_fingerprint(double, large, species * 2, ELEMENTS) == pytest.approx(first)
    other = frame_fingerprint(positions, cell, ["O", *species[1:]], ELEMENTS)
    assert np.linalg.norm(other - first) > 0.1


def test_unknown_element():
    positions, cell, species = frame()
    with pytest.raises(AnalysisError, match="its fingerprint is not made for") as caught:
        frame_fingerprint(positions, cell, species, ["Na", "O"])
    assert "Given: Cl" in str(caught.value)


def correlated(time, n=4000, seed=3):
    rng = np.random.default_rng(seed)
    decay = np.exp(-1.0 / time)
    series = np.zeros(n)
    for i in range(1, n):
        series[i] = decay * series[i - 1] + rng.normal()
    return series


@pytest.mark.parametrize("time", [3.0, 12.0])
def test_stride_is_the_statistical_inefficiency(time):
    """Twice the correlation time, for an exponential; a ramp on top changes nothing."""
    series = correlated(time)
    assert decorrelation_stride(series) == pytest.approx(2 * time, rel=0.35)
    ramp = series + np.linspace(0, 500, len(series))
    assert decorrelation_stride(ramp) == pytest.approx(2 * time, rel=0.35)


def test_stride_of_few_frames():
    assert decorrelation_stride([1.0, 1.0, 1.0]) == 1
    assert decorrelation_stride([1.0, 2.0]) <= 2
    with pytest.raises(AnalysisError):
        decorrelation_stride([1.0])


def test_farthest_points_spread_and_leave_out_duplicates():
    points = np.array([[0.0], [0.01], [10.0], [5.0], [9.99]])
    assert farthest_points(points, 5, least_distance=0.1).tolist() == [0, 2, 3]
    assert farthest_points(points, 2).tolist() == [0, 2]
    known = np.array([[10.0], [0.0]])
    assert farthest_points(points, 5, least_distance=0.1, known=known).tolist() == [3]
    assert len(farthest_points(np.zeros((4, 2)), 4)) == 1
