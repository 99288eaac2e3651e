from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.displacement import (
    accumulate,
    displacement_steps,
    mobile_paths,
    remove_drift,
)
from haloflow.errors import AnalysisError


def wrap(positions, cells):
    fractional = np.einsum("fai,fij->faj", positions, np.linalg.inv(cells))
    return np.einsum("fai,fij->faj", fractional % 1.0, cells)


def small_walk(seed, n_frames=30, n_atoms=5, step=0.4):
    return np.cumsum(np.random.default_rng(seed).normal(0.0, step, (n_frames, n_atoms, 3)), axis=0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-50.0, 50.0))
def test_wrapping_and_translation_change_nothing(seed, shift, triclinic):
    walk = small_walk(seed)
    cells = np.broadcast_to(triclinic, (len(walk), 3, 3))
    moved = accumulate(displacement_steps(wrap(walk + shift, cells), triclinic))
    np.testing.assert_allclose(moved, walk - walk[0], atol=1e-9)


def test_unwrapped_positions_give_the_same_as_wrapped_ones(triclinic):
    walk = small_walk(3)
    cells = np.broadcast_to(triclinic, (len(walk), 3, 3))
    np.testing.assert_allclose(
        displacement_steps(walk, triclinic, unwrapped=True),
        displacement_steps(wrap(walk, cells), triclinic),
        atol=1e-9,
    )


@pytest.mark.parametrize("unwrapped", [True, False])
def test_a_breathing_and_shearing_cell_moves_no_atom(triclinic, unwrapped):
    rng = np.random.default_rng(0)
    strain = np.eye(3) + 0.02 * rng.normal(size=(40, 3, 3))
    cells = triclinic @ strain
    fractional = rng.uniform(-3.0, 4.0, (6, 3)) if unwrapped else rng.uniform(0, 1, (6, 3))
    positions = np.einsum("ai,fij->faj", fractional, cells)
    assert np.abs(displacement_steps(positions, cells, unwrapped=unwrapped)).max() < 1e-9


def test_a_walk_in_a_changing_cell_keeps_its_steps(triclinic):
    rng = np.random.default_rng(1)
    cells = triclinic * (1.0 + 0.01 * rng.normal(size=(50, 1, 1)))
    true_steps = rng.normal(0.0, 0.3, (49, 4, 3))
    fractional = np.zeros((50, 4, 3))
    fractional[1:] = np.cumsum(
        np.einsum("fai,fij->faj", true_steps, np.linalg.inv(cells[1:])), axis=0
    )
    positions = np.einsum("fai,fij->faj", fractional % 1.0, cells)
    np.testing.assert_allclose(displacement_steps(positions, cells), true_steps, atol=1e-9)


def test_drift_of_the_framework_is_removed_from_the_mobile_ions(triclinic):
    walk = small_walk(2, n_atoms=3)
    framework = np.zeros((len(walk), 4, 3))
    drift = np.linspace(0.0, 60.0, len(walk))[:, None, None] * [0.1, 0.05, -0.08]
    positions = np.concatenate([walk, framework], axis=1) + drift
    mobile = np.arange(7) < 3
    np.testing.assert_allclose(
        mobile_paths(positions, triclinic, mobile), walk - walk[0], atol=1e-9
    )


def test_without_framework_atoms_the_drift_stays(triclinic):
    walk = small_walk(2)
    path = mobile_paths(walk, triclinic, np.ones(5, dtype=bool), unwrapped=True)
    np.testing.assert_allclose(path, walk - walk[0], atol=1e-9)


def spoiled(index, value):
    positions = small_walk(0)
    positions[index] = value
    return positions


@pytest.mark.parametrize(
    ("positions", "cells", "message"),
    [
        (
            spoiled((7, 2, 1), np.nan),
            np.eye(3) * 9,
            r"positions contain .* not finite\. Given: .* frame 7\. What to do: cut the trajectory",
        ),
        (small_walk(0), np.full((3, 3), np.inf), "cells contain values that are not finite"),
        (small_walk(0), np.ones((3, 3)), "a cell has no volume"),
        (
            small_walk(0),
            np.ones((4, 3, 3)),
            r"cells do not fit the positions\. Given: cells of shape \(4, 3, 3\) for 30 frames",
        ),
        (np.zeros((4, 5)), np.eye(3), "do not have the shape of a trajectory"),
        (np.zeros((4, 0, 3)), np.eye(3), "at least one atom"),
        (small_walk(0, n_frames=1), np.eye(3) * 9, "too few frames for a displacement. Given: 1"),
    ],
)
def test_bad_arrays_are_refused(positions, cells, message):
    with pytest.raises(AnalysisError, match=message):
        displacement_steps(positions, cells)


@pytest.mark.parametrize(
    ("unwrapped", "jump", "remedy"),
    [
        (True, 8.0, "look wrapped: do not say that they are unwrapped"),
        (False, 4.7, "save frames more often"),
    ],
)
def test_jumps_of_half_a_box_are_refused(unwrapped, jump, remedy):
    positions = np.zeros((5, 3, 3))
    positions[3:, 1, 0] = jump
    with pytest.raises(AnalysisError, match=f"atom 1 moves by 0.* after frame 2.*{remedy}"):
        displacement_steps(positions, np.eye(3) * 10.0, unwrapped=unwrapped)


def test_masks_must_select_atoms():
    positions = small_walk(0)
    none = np.zeros(5, dtype=bool)
    with pytest.raises(AnalysisError, match=r"no mobile ions\. Given: 0 of 5 atoms"):
        mobile_paths(positions, np.eye(3) * 20, none)
    with pytest.raises(AnalysisError, match="the framework has no atoms"):
        remove_drift(np.zeros((3, 5, 3)), none)
    with pytest.raises(AnalysisError, match=r"mobile mask does not fit .* Given: shape \(4,\)"):
        mobile_paths(positions, np.eye(3) * 20, none[:4])
    with pytest.raises(AnalysisError, match=r"framework mask does not fit .* type int64"):
        mobile_paths(positions, np.eye(3) * 20, ~none, np.arange(5))


def test_long_trajectories_are_read_in_blocks_without_a_seam(monkeypatch, triclinic):
    walk = small_walk(4, n_frames=50)
    mobile = np.array([True, True, False, False, False])
    whole = mobile_paths(walk, triclinic, mobile, unwrapped=True)
    monkeypatch.setattr("haloflow.analysis.displacement._COORDINATES_PER_BLOCK", 7 * 15)
    np.testing.assert_allclose(mobile_paths(walk, triclinic, mobile, unwrapped=True), whole)
    cells = np.broadcast_to(triclinic, (50, 3, 3))
    np.testing.assert_allclose(mobile_paths(wrap(walk, cells), cells, mobile), whole)
    walk[44, 1, 2] = np.nan
    with pytest.raises(AnalysisError, match="first in frame 44"):
        mobile_paths(walk, triclinic, mobile, unwrapped=True)
    walk[44:] = 9.0
    with pytest.raises(AnalysisError, match="after frame 43"):
        mobile_paths(walk, triclinic, mobile, unwrapped=True)
