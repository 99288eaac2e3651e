from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.displacement import mobile_paths
from haloflow.analysis.msd import msd_fft
from haloflow.analysis.species_msd import species_msd
from haloflow.errors import AnalysisError


def test_every_species_moves_relative_to_the_framework(triclinic):
    """Against the paths of each species, in a wrapped, drifting, breathing triclinic cell."""
    rng = np.random.default_rng(0)
    species = np.array(["Cl"] * 140 + ["Na"] * 9 + ["Ta"] * 5)
    steps = rng.normal(0.0, 0.15, (120, len(species), 3)) + np.array([0.3, -0.1, 0.2])
    cells = 2.0 * triclinic * (1.0 + 0.005 * rng.normal(size=(120, 1, 1)))
    positions = np.cumsum(steps, axis=0)
    inside = np.einsum("fai,fij->faj", positions, np.linalg.inv(cells)) % 1.0
    wrapped = np.einsum("fai,fij->faj", inside, cells)
    found = species_msd(wrapped, cells, species.tolist(), mobile=["Na"])
    assert set(found) == {"Cl", "Na", "Ta"}
    for name, msd in found.items():
        path = mobile_paths(wrapped, cells, species == name, species != "Na")
        expected = msd_fft(path)
        np.testing.assert_allclose(msd.self_a2, expected.self_a2, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(msd.collective_a2, expected.collective_a2, rtol=1e-6, atol=1e-6)


def test_without_a_framework_nothing_is_subtracted():
    path = np.cumsum(np.random.default_rng(1).normal(size=(60, 4, 3)), axis=0)
    found = species_msd(path, 100.0 * np.eye(3), ["Na"] * 4, mobile=["Na"], unwrapped=True)
    np.testing.assert_allclose(found["Na"].self_a2, msd_fft(path).self_a2, rtol=1e-9, atol=1e-9)


def test_a_species_that_does_not_occur_is_refused():
    with pytest.raises(AnalysisError, match=r"does not occur in the structure\. Given: Li"):
        species_msd(np.zeros((3, 2, 3)), np.eye(3), ["Na", "Cl"], mobile=["Li"])
