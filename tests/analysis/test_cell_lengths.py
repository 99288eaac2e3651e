from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice

from haloflow.analysis.cell_lengths import cell_lengths
from haloflow.errors import AnalysisError
from haloflow.quantity import Status


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.tuples(*[st.floats(3.0, 20.0)] * 3),
    angles=st.tuples(*[st.floats(75.0, 105.0)] * 3),
    repeats=st.tuples(*[st.integers(1, 4)] * 3),
)
def test_a_constant_cell_has_the_parameters_of_its_lattice(lengths, angles, repeats):
    lattice = Lattice.from_parameters(*lengths, *angles)
    cell = lattice.matrix * np.array(repeats)[:, None]
    found = cell_lengths(np.repeat(cell[None], 5, axis=0), repeats)
    assert [q.value for q in found.lengths_a] == pytest.approx(lengths)
    assert [q.value for q in found.angles_deg] == pytest.approx(angles)
    assert found.volume_a3.value == pytest.approx(lattice.volume)
    assert found.lengths_a[0].status is Status.OK


def test_the_error_of_a_correlated_length_covers_the_truth():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(60):
        noise = np.zeros(2000)
        for k in range(1, 2000):
            noise[k] = 0.95 * noise[k - 1] + rng.normal(0.0, 0.05)
        cells = np.diag([12.0, 13.0, 14.0]) + np.zeros((2000, 3, 3))
        cells[:, 1, 1] += noise
        b = cell_lengths(cells, (1, 2, 1)).lengths_a[1]
        inside += b.lower <= 6.5 <= b.upper
    assert 52 <= inside <= 60


def test_bad_cells_are_refused():
    with pytest.raises(AnalysisError, match="repeats of a cell must be positive"):
        cell_lengths(np.eye(3)[None] * 9, (1, 0, 1))
    with pytest.raises(AnalysisError, match="a cell has no volume"):
        cell_lengths(np.zeros((2, 3, 3)))
    with pytest.raises(AnalysisError, match="cells do not fit the positions"):
        cell_lengths(np.ones((4, 3)))
