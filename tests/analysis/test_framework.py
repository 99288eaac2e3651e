from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.framework import framework_melted
from haloflow.analysis.neighbours import nearest_distance_a
from haloflow.errors import AnalysisError


def test_nearest_distances_reach_as_far_as_they_must(nacl):
    positions, cell, species = nacl((1, 1, 1), a=20.0)
    chlorine = np.array(species) == "Cl"
    np.testing.assert_allclose(nearest_distance_a(positions[0], cell, chlorine), 10.0)
    np.testing.assert_allclose(
        nearest_distance_a(positions[0], cell, chlorine, chlorine), 10.0 * 2**0.5
    )


def test_a_partner_that_is_nowhere_is_infinitely_far(nacl):
    positions, cell, _ = nacl((1, 1, 1))
    everything = np.ones(8, dtype=bool)
    assert np.isinf(nearest_distance_a(positions[0], cell, everything, ~everything)).all()


@pytest.mark.parametrize(("rattle_a", "melted"), [(0.3, False), (2.5, True)])
def test_a_framework_melts_when_it_leaves_its_places(nacl, rattle_a, melted):
    start, cell, species = nacl((2, 2, 2))
    now, _, _ = nacl((2, 2, 2), rattle_a=rattle_a)
    framework = np.array(species) == "Cl"
    found = framework_melted((start[0], cell), (now[0] + 40.0, cell), framework)
    assert found.holds is melted
    assert found.numbers["nearest_neighbour_a"] == pytest.approx(2.82 * 2**0.5)
    assert found.numbers["msd_a2"] == pytest.approx(3 * rattle_a**2, rel=0.3)


def test_a_cell_that_breathes_does_not_melt_the_framework(nacl):
    start, cell, species = nacl((3, 3, 3))
    framework = np.ones(len(species), dtype=bool)
    found = framework_melted((start[0], cell), (start[0] * 1.3, cell * 1.3), framework)
    assert not found.holds
    assert found.numbers["msd_a2"] == pytest.approx(0.0, abs=1e-12)


def test_the_framework_must_have_atoms(nacl):
    start, cell, _ = nacl((1, 1, 1))
    with pytest.raises(AnalysisError, match="the framework has no atoms"):
        framework_melted((start[0], cell), (start[0], cell), np.zeros(8, dtype=bool))
