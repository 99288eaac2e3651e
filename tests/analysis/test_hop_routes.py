"""The way of least resistance through a density of ions."""

from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.hop_routes import least_resistance_route

CELL = np.diag([12.0, 12.0, 12.0])
START, MOVE = np.array([0.25, 0.5, 0.5]), np.array([0.3, 0.0, 0.0])


def tube(bend_a, width_a=0.35):
    """Return visits along a bent tube from START to START + MOVE, and its middle line."""
    n = 40
    grid = (np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1) + 0.5) / n
    shares = np.linspace(0, 1, 200)
    line = START + shares[:, None] * MOVE
    line[:, 1] += bend_a / 12.0 * np.sin(np.pi * shares)
    apart = np.full(grid.shape[:3], np.inf)
    for place in line:
        apart = np.minimum(apart, np.linalg.norm((grid - place) @ CELL, axis=-1))
    return np.rint(1000 * np.exp(-((apart / width_a) ** 2))).astype(np.int64)


@pytest.mark.parametrize("bend_a", [0.0, 1.2])
def test_the_route_follows_where_the_ions_were(bend_a):
    route = least_resistance_route(tube(bend_a), CELL, START, MOVE, 7)
    assert np.allclose(route[0], START)
    assert np.allclose(route[-1], START + MOVE)
    aside = (route[3] - START - MOVE / 2) @ CELL
    assert aside[1] == pytest.approx(bend_a, abs=0.3 * bend_a + 0.2)
    assert abs(aside[2]) < 0.35
    steps = np.linalg.norm(np.diff(route @ CELL, axis=0), axis=1)
    assert steps == pytest.approx(np.full(6, steps.mean()), rel=0.15)


def test_the_route_crosses_the_boundary_of_the_cell():
    shift = np.array([16, 0, 0])
    moved = np.roll(tube(1.2), shift, axis=(0, 1, 2))
    route = least_resistance_route(moved, CELL, START + shift / 40, MOVE, 7)
    inside = least_resistance_route(tube(1.2), CELL, START, MOVE, 7)
    assert np.allclose(route - shift / 40, inside)


def test_a_density_of_other_sites_is_not_used():
    assert least_resistance_route(tube(0.0), CELL, START + np.array([0, 0.4, 0.3]), MOVE, 5) is None
