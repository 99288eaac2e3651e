"""Transport of one run by direction: the conductivity tensor of a walk that is faster along x."""

from __future__ import annotations

import numpy as np
import pytest
import sample_trajectories

from haloflow.analysis.passage import read_passage
from haloflow.makers.transport import measure_transport

CHARGES = {"Na": 1.0, "Ta": 5.0, "O": -2.0, "Cl": -1.0}


def passage_of(frames):
    blocks = [(frames.positions, frames.cells)]
    return read_passage(blocks, frames.species.tolist(), "Na", unwrapped=True)


@pytest.fixture(scope="module")
def fast_along_x():
    frames = sample_trajectories.walk(2000)
    positions = frames.positions.copy()
    mobile = frames.species == "Na"
    positions[:, mobile, 0] *= 2.0
    return passage_of(sample_trajectories.Frames(positions, frames.cells, frames.species))


@pytest.mark.parametrize("charges", [None, CHARGES])
def test_the_fast_direction_carries_four_times_the_current(fast_along_x, charges):
    found = measure_transport(
        fast_along_x, "Na", frame_ps=0.1, temperature_k=600.0, charges=charges
    )
    slow, middle, fast = found.principal_sigmas_ms_cm
    assert abs(found.principal_axes[2][0]) == pytest.approx(1.0, abs=0.02)
    mean = sum(q.value for q in found.principal_sigmas_ms_cm) / 3
    assert mean == pytest.approx(found.sigma_ms_cm.value, rel=0.2)
    for along, times in ((slow, 1.0), (middle, 1.0), (fast, 4.0)):
        expected = times * found.sigma_ne_ms_cm.value / 2  # (1 + 1 + 4) / 3 of them
        assert along.lower < 1.3 * expected
        assert along.upper > expected / 1.3
    assert fast.lower > middle.upper


def test_the_haven_ratio_needs_no_temperature(fast_along_x):
    found = measure_transport(fast_along_x, "Na", frame_ps=0.1)
    assert found.haven_ratio.lower < 1.0 < found.haven_ratio.upper * 1.1
    assert found.sigma_ms_cm is None
    assert found.principal_sigmas_ms_cm == []
    assert np.isfinite(found.collective_diffusivity_cm2_s.value)
