from __future__ import annotations

import numpy as np
import pytest
from chain_crystal import chain_crystal

from haloflow.analysis.axis_correlation import (
    axis_correlation,
    fourfold_correlation,
    order_transition,
)
from haloflow.analysis.octahedra import OctahedronAxes, find_octahedra, octahedron_axes
from haloflow.errors import AnalysisError
from haloflow.quantity import Quantity, Status


def directions(rng, *shape):
    vectors = rng.normal(size=(*shape, 3))
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def by_pairs(vectors, chain, power):
    within, between = [], []
    for frame in vectors:
        for i in range(len(chain)):
            for j in range(len(chain)):
                if i != j and np.isfinite(frame[[i, j]]).all():
                    kind = within if chain[i] == chain[j] else between
                    kind.append(float(frame[i] @ frame[j]) ** power)
    return np.mean(within), np.mean(between)


def test_correlations_are_means_over_pairs():
    rng = np.random.default_rng(0)
    chain = np.array([0, 0, 1, 1, 1, 2])
    axes = OctahedronAxes(directions(rng, 6, 6), directions(rng, 6, 6, 2), chain)
    found = axis_correlation(axes, "bridge")
    intra, inter = by_pairs(axes.bridge, chain, 1)
    assert found.intra_chain.value == pytest.approx(intra, abs=1e-6)
    assert found.inter_chain.value == pytest.approx(inter, abs=1e-6)
    intra, inter = by_pairs(axes.bridge, chain, 2)
    assert found.intra_chain_unsigned.value == pytest.approx(1.5 * intra - 0.5, abs=1e-6)
    assert found.inter_chain_unsigned.value == pytest.approx(1.5 * inter - 0.5, abs=1e-6)
    both = [by_pairs(axes.terminal[:, :, k], chain, 1) for k in range(2)]
    terminal = axis_correlation(axes, "terminal")
    assert terminal.intra_chain.value == pytest.approx(np.mean([b[0] for b in both]), abs=1e-6)
    assert terminal.inter_chain.value == pytest.approx(np.mean([b[1] for b in both]), abs=1e-6)


def test_turning_an_axis_over_changes_the_sign_alone():
    rng = np.random.default_rng(1)
    chain = np.array([0, 0, 1, 1])
    axes = OctahedronAxes(directions(rng, 5, 4), directions(rng, 5, 4, 2), chain)
    over = axes.bridge.copy()
    over[:, 2:] *= -1.0
    before = axis_correlation(axes, "bridge")
    after = axis_correlation(OctahedronAxes(over, axes.terminal, chain), "bridge")
    assert after.inter_chain.value == pytest.approx(-before.inter_chain.value)
    assert after.intra_chain.value == pytest.approx(before.intra_chain.value)
    assert after.inter_chain_unsigned.value == pytest.approx(before.inter_chain_unsigned.value)


def test_broken_octahedra_are_left_out():
    rng = np.random.default_rng(2)
    axes = OctahedronAxes(
        directions(rng, 1, 5), directions(rng, 1, 5, 2), np.array([0, 0, 0, 1, 1])
    )
    axes.bridge[0, 1] = np.nan
    found = axis_correlation(axes, "bridge")
    intra, inter = by_pairs(axes.bridge, axes.chain, 1)
    assert found.intra_chain.value == pytest.approx(intra, abs=1e-6)
    assert found.inter_chain.value == pytest.approx(inter, abs=1e-6)
    assert found.intact_fraction == pytest.approx(0.8)


@pytest.mark.parametrize("amplitude", [0.1, 0.4])
def test_libration_and_free_rolling_of_a_crystal(amplitude):
    rng = np.random.default_rng(3)
    lib = rng.normal(0.0, amplitude, (300, 24))
    lib[0] = 0.0
    found = {}
    for name, rolls in (("still", lib), ("free", rng.uniform(0, 2 * np.pi, lib.shape))):
        rolls[0] = 0.0
        positions, cell, species = chain_crystal(rolls, 4, 6)
        octahedra = find_octahedra(positions[0], cell, species, former="Ta")
        found[name] = axis_correlation(octahedron_axes(positions, cell, octahedra), "terminal")
    expected = np.exp(-(amplitude**2))
    for value in (found["still"].intra_chain, found["still"].inter_chain):
        assert value.value == pytest.approx(expected, abs=5 * value.sd + 0.003)
        assert value.status is Status.OK
    for value in (found["free"].intra_chain, found["free"].inter_chain):
        assert abs(value.value) < 5 * value.sd + 1.0 / 299
        assert -1.0 <= value.lower < value.upper <= 1.0


def test_a_single_chain_or_octahedron_has_no_pairs():
    positions, cell, species = chain_crystal(np.zeros((5, 3)), 3, 1)
    axes = octahedron_axes(
        positions, cell, find_octahedra(positions[0], cell, species, former="Ta")
    )
    found = axis_correlation(axes, "bridge")
    assert found.intra_chain.value == pytest.approx(1.0)
    assert found.inter_chain.value is None
    assert found.inter_chain.status is Status.UNCONVERGED
    assert "a single chain" in found.inter_chain.note


def curve(rng, jump, n=11, sd=0.02, at=575.0):
    temperature = np.linspace(300.0, 800.0, n)
    value = 0.95 - 2e-4 * (temperature - 300) - jump * (temperature > at)
    return temperature, [
        Quantity(v + e, sd) for v, e in zip(value, rng.normal(0, sd, n), strict=True)
    ]


def test_a_jump_is_found_where_it_is_and_a_slope_is_none():
    rng = np.random.default_rng(4)
    for _ in range(20):
        found = order_transition(*curve(rng, 0.5))
        assert found.delta_bic > 10
        assert found.temperature_k.lower <= 575.0 <= found.temperature_k.upper
        assert found.temperature_k.status is Status.OK
    none = [order_transition(*curve(rng, 0.0)) for _ in range(200)]
    assert sum(found.temperature_k.value is not None for found in none) <= 2
    assert "no jump: change of BIC" in none[0].temperature_k.note


def test_errors_that_are_too_small_do_not_make_a_jump():
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(100):
        temperature, values = curve(rng, 0.0)
        small = [Quantity(q.value, q.sd / 10) for q in values]
        alarms += order_transition(temperature, small).temperature_k.value is not None
    assert alarms <= 8


def test_too_few_temperatures_or_values_without_errors():
    few = order_transition([300, 400, 500], [Quantity(1.0, 0.1)] * 3)
    assert few.delta_bic is None
    assert "3 temperatures, 6 needed" in few.temperature_k.note
    with pytest.raises(AnalysisError, match=r"a value with its error .*2 temperatures, 1 values"):
        order_transition([300, 400], [Quantity(1.0, 0.1), Quantity(1.0)])


def test_roll_at_random_is_seen_where_labels_hide_it():
    rng = np.random.default_rng(9)
    still = rng.uniform(0, 2 * np.pi, (1, 120)) + rng.normal(0.0, 0.03, (60, 120))
    positions, cell, species = chain_crystal(still, 10, 12)
    octahedra = find_octahedra(positions[0], cell, species, former="Ta")
    axes = octahedron_axes(positions, np.broadcast_to(cell, (60, 3, 3)), octahedra)
    by_label = axis_correlation(axes, "terminal").inter_chain.value
    assert by_label == pytest.approx((2 * np.sqrt(2) / np.pi) ** 2, abs=0.05)
    for roll in (fourfold_correlation(axes).inter_chain, fourfold_correlation(axes).intra_chain):
        assert abs(roll.value) < 0.1


@pytest.mark.parametrize("amplitude", [0.0, 0.15])
def test_librations_lower_the_fourfold_order_as_their_gaussian(amplitude):
    rng = np.random.default_rng(4)
    rolls = 0.3 + rng.normal(0.0, amplitude, (400, 24))
    positions, cell, species = chain_crystal(rolls, 4, 6)
    octahedra = find_octahedra(positions[0], cell, species, former="Ta")
    axes = octahedron_axes(positions, np.broadcast_to(cell, (400, 3, 3)), octahedra)
    found = fourfold_correlation(axes)
    expected = np.exp(-16 * amplitude**2)  # <cos 4 (a - b)> of two Gaussian angles
    assert found.inter_chain.value == pytest.approx(expected, abs=0.02)
    assert found.intra_chain.value == pytest.approx(expected, abs=0.02)
