from __future__ import annotations

import numpy as np
import pytest
from chain_crystal import chain_crystal

from haloflow.analysis.librations import librations, terminal_angular_density
from haloflow.analysis.octahedra import OctahedronAxes, find_octahedra, octahedron_axes
from haloflow.errors import AnalysisError


def rolled(rolls, n_along=3, n_chains=4, rattle_a=0.0):
    positions, cell, species = chain_crystal(rolls, n_along, n_chains)
    rng = np.random.default_rng(9)
    positions = positions + rng.normal(0.0, rattle_a, positions.shape)
    octahedra = find_octahedra(positions[0], cell, species, former="Ta")
    return positions, cell, octahedra, octahedron_axes(positions, cell, octahedra)


def test_libration_keeps_its_memory_and_its_amplitude():
    rng = np.random.default_rng(0)
    rolls = 0.4 + rng.normal(0.0, 0.15, (600, 12))
    found = librations(rolled(rolls)[3])
    assert found.roll_deg.value == pytest.approx(np.rad2deg(0.15), rel=0.03)
    assert found.tilt_deg.value == pytest.approx(0.0, abs=0.05)
    assert found.lag_frames.tolist() == list(range(300))
    for series, k in ((found.onefold, 1), (found.fourfold, 4)):
        assert series[0] == pytest.approx(1.0)
        np.testing.assert_allclose(series[1:100], np.exp(-(k**2) * 0.15**2), atol=0.03)


def test_rotational_diffusion_decays_as_it_must():
    rng = np.random.default_rng(1)
    variance = 0.01
    rolls = np.cumsum(rng.normal(0.0, variance**0.5, (3000, 12)), axis=0)
    found = librations(rolled(rolls)[3])
    lags = np.arange(40)
    np.testing.assert_allclose(found.onefold[:40], np.exp(-variance * lags / 2), atol=0.02)
    np.testing.assert_allclose(found.fourfold[:40], np.exp(-16 * variance * lags / 2), atol=0.06)


def test_quarter_turns_are_forgotten_by_the_first_and_not_by_the_fourth():
    rng = np.random.default_rng(2)
    turns = np.cumsum(rng.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=(2000, 12)), axis=0)
    positions, cell, octahedra, axes = rolled(turns * np.pi / 2 + rng.normal(0, 0.05, turns.shape))
    found = librations(axes)
    np.testing.assert_allclose(found.onefold[:20], 0.9 ** np.arange(20), atol=0.06)
    assert found.fourfold[1:200].min() > 0.95
    assert found.roll_deg.value > 60
    density = terminal_angular_density(positions, cell, octahedra, axes)
    assert density.covered_fraction < 0.35
    assert density.covered_fraction_of_a_ligand > 0.2


def test_angles_cover_the_circle_when_octahedra_turn():
    rng = np.random.default_rng(3)
    free = np.cumsum(rng.normal(0.0, 0.3, (1500, 12)), axis=0)
    positions, cell, octahedra, axes = rolled(free)
    found = terminal_angular_density(positions, cell, octahedra, axes)
    assert found.covered_fraction == 1.0
    assert found.covered_fraction_of_a_ligand > 0.99
    np.testing.assert_allclose(found.density_per_degree, 1 / 360, rtol=0.15)
    positions, cell, octahedra, axes = rolled(rng.normal(0.0, 0.03, (300, 12)))
    found = terminal_angular_density(positions, cell, octahedra, axes, n_bins=360)
    assert found.density_per_degree.sum() == pytest.approx(1.0)
    assert found.covered_fraction < 0.15
    assert found.covered_fraction_of_a_ligand < 0.05
    distance = np.minimum(found.angle_deg % 90, 90 - found.angle_deg % 90)
    assert found.density_per_degree @ distance**2 < 4.0**2


def test_tilts_are_measured_from_the_chain():
    rng = np.random.default_rng(4)
    tilt, way = np.abs(rng.normal(0.0, 0.2, (500, 6))), rng.uniform(0, 2 * np.pi, (500, 6))
    bridge = np.stack(
        [np.cos(tilt), np.sin(tilt) * np.cos(way), np.sin(tilt) * np.sin(way)], axis=-1
    )
    terminal = np.broadcast_to([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], (500, 6, 2, 3))
    axes = OctahedronAxes(bridge.astype("f4"), terminal.astype("f4"), np.repeat([0, 1], 3))
    found = librations(axes)
    assert found.tilt_deg.value == pytest.approx(np.rad2deg(0.2), rel=0.03)
    assert found.roll_deg.value == pytest.approx(0.0, abs=1e-3)
    axes.bridge[100:, 0], axes.terminal[100:, 0] = np.nan, np.nan
    assert librations(axes).tilt_deg.value == pytest.approx(np.rad2deg(0.2), rel=0.03)


def test_a_turned_frame_changes_nothing():
    rng = np.random.default_rng(5)
    positions, cell, octahedra, axes = rolled(rng.normal(0.0, 0.1, (100, 12)), rattle_a=0.05)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = positions @ turn, cell @ turn, octahedra
    again = octahedron_axes(*moved)
    assert librations(again).roll_deg.value == pytest.approx(
        librations(axes).roll_deg.value, rel=1e-4
    )
    np.testing.assert_allclose(
        terminal_angular_density(*moved, again).density_per_degree,
        terminal_angular_density(positions, cell, octahedra, axes).density_per_degree,
        atol=2e-4,
    )


def test_chains_across_each_other_have_a_roll_of_their_own():
    rng = np.random.default_rng(6)
    *_, axes = rolled(rng.normal(0.0, 0.1, (300, 3)), 3, 1)
    turn = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)
    crossed = OctahedronAxes(
        np.concatenate([axes.bridge, axes.bridge @ turn], axis=1),
        np.concatenate([axes.terminal, axes.terminal @ turn], axis=1),
        np.repeat([0, 1], 3),
    )
    alone = librations(axes).roll_deg.value
    assert librations(crossed).roll_deg.value == pytest.approx(alone, rel=1e-3)


def test_bad_requests_are_refused():
    positions, cell, octahedra, axes = rolled(np.zeros((4, 12)))
    with pytest.raises(AnalysisError, match="too few bins for a circle"):
        terminal_angular_density(positions, cell, octahedra, axes, n_bins=3)
    gone = OctahedronAxes(axes.bridge * np.nan, axes.terminal * np.nan, axes.chain)
    with pytest.raises(AnalysisError, match="no octahedron is intact in any frame"):
        librations(gone)
    with pytest.raises(AnalysisError, match="no octahedron is intact in any frame"):
        terminal_angular_density(positions, cell, octahedra, gone)
    coil = axes.bridge.copy()
    coil[::2] *= -1
    with pytest.raises(AnalysisError, match=r"a chain has no direction .*straight chains"):
        librations(OctahedronAxes(coil, axes.terminal, axes.chain))
