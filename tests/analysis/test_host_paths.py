from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.displacement import mobile_paths
from haloflow.analysis.host_paths import (
    HostPathReader,
    host_paths,
    in_constant_cell,
    read_host_paths,
)
from haloflow.errors import AnalysisError

MOBILE = np.arange(12) < 5


def walk(cell, n_frames=40, seed=3):
    rng = np.random.default_rng(seed)
    fractions = rng.random((1, 12, 3)) + np.cumsum(rng.normal(0, 0.03, (n_frames, 12, 3)), axis=0)
    return fractions @ cell


def test_a_constant_cell_gives_the_paths_of_the_displacements(triclinic):
    positions = walk(triclinic)
    found = host_paths(positions, triclinic, MOBILE, unwrapped=True)
    moved = (found.fractional - found.fractional[0]) @ found.cell
    assert found.fractional.dtype == np.float32
    assert np.allclose(moved, mobile_paths(positions, triclinic, MOBILE, unwrapped=True), atol=1e-4)
    assert np.allclose(found.fractional[0] @ triclinic, positions[0, MOBILE], atol=1e-5)


@given(seed=st.integers(0, 100), shift=st.lists(st.floats(-30, 30), min_size=3, max_size=3))
@settings(max_examples=10, deadline=None)
def test_wrapping_changes_no_path(triclinic, seed, shift):
    positions = walk(triclinic, seed=seed) + np.array(shift)
    wrapped = (positions @ np.linalg.inv(triclinic) % 1.0) @ triclinic
    one = host_paths(positions, triclinic, MOBILE, unwrapped=True).fractional
    other = host_paths(wrapped, triclinic, MOBILE).fractional
    apart = one - other
    assert np.allclose(apart, np.rint(apart[0]), atol=1e-4)


def test_drift_of_the_whole_cell_is_taken_out(triclinic):
    positions = walk(triclinic)
    drifting = positions + np.linspace(0, 50, len(positions))[:, None, None] * [1.0, 0.5, -0.2]
    still = host_paths(positions, triclinic, MOBILE, unwrapped=True).fractional
    assert np.allclose(
        host_paths(drifting, triclinic, MOBILE, unwrapped=True).fractional, still, atol=1e-4
    )
    kept = host_paths(drifting, triclinic, MOBILE, unwrapped=True, keep_drift=True).fractional
    assert np.allclose(kept, drifting[:, MOBILE] @ np.linalg.inv(triclinic), atol=1e-4)


def test_a_breathing_cell_moves_nothing(triclinic):
    rng = np.random.default_rng(0)
    fractions = np.broadcast_to(rng.random((12, 3)), (60, 12, 3))
    cells = triclinic * (1.0 + 0.02 * rng.normal(size=(60, 1, 1)))
    found = host_paths(fractions @ cells, cells, MOBILE)
    assert np.abs(found.fractional - fractions[:, MOBILE]).max() < 1e-6
    assert np.allclose(found.cell, cells.mean(axis=0))


def test_blocks_give_what_one_piece_gives(triclinic, tmp_path):
    positions = walk(triclinic)
    whole = host_paths(positions, triclinic, MOBILE, unwrapped=True).fractional
    blocks = ((positions[i : i + 7], triclinic) for i in range(0, 40, 7))
    parts = read_host_paths(blocks, MOBILE, unwrapped=True).fractional
    assert np.array_equal(parts, whole)
    np.save(tmp_path / "positions.npy", positions)
    mapped = np.load(tmp_path / "positions.npy", mmap_mode="r")
    assert np.array_equal(host_paths(mapped, triclinic, MOBILE, unwrapped=True).fractional, whole)


def test_a_jump_is_named_with_its_frame(triclinic):
    positions = walk(triclinic)
    positions[25:, 7] += 0.6 * triclinic[0]
    with pytest.raises(AnalysisError, match="jumps by half a box") as error:
        host_paths(positions, triclinic, MOBILE, unwrapped=True)
    assert "atom 7 moves by 0.5" in str(error.value)
    reader = HostPathReader(MOBILE, unwrapped=True)
    reader.add(positions[:25], triclinic)
    with pytest.raises(AnalysisError, match="after frame 24"):
        reader.add(positions[25:], triclinic)


def test_bad_input_is_refused(triclinic):
    positions = walk(triclinic)
    with pytest.raises(AnalysisError, match="there are no mobile ions"):
        host_paths(positions, triclinic, np.zeros(12, dtype=bool))
    with pytest.raises(AnalysisError, match="the framework has no atoms"):
        host_paths(positions, triclinic, MOBILE, np.zeros(12, dtype=bool))
    with pytest.raises(AnalysisError, match="the trajectory has no frames"):
        read_host_paths([], MOBILE)
    with pytest.raises(AnalysisError, match="the trajectory has no frames"):
        host_paths(positions[:0], triclinic, MOBILE)
    with pytest.raises(AnalysisError, match="mobile mask does not fit"):
        host_paths(positions, triclinic, MOBILE[:5])
    positions[4, 3, 1] = np.nan
    with pytest.raises(AnalysisError, match="first in frame 4"):
        host_paths(positions, triclinic, MOBILE)


def test_ions_without_a_framework_keep_the_frame_of_the_laboratory(triclinic):
    positions = walk(triclinic)
    found = host_paths(positions, triclinic, np.ones(12, dtype=bool), unwrapped=True)
    assert np.allclose(found.fractional @ triclinic, positions, atol=1e-4)


def test_paths_of_a_constant_cell_are_enough(triclinic):
    positions = walk(triclinic)
    whole = host_paths(positions, triclinic, MOBILE, unwrapped=True)
    path = mobile_paths(positions, triclinic, MOBILE, unwrapped=True)
    found = in_constant_cell(positions[0, MOBILE], path, triclinic)
    assert np.allclose(found.fractional, whole.fractional, atol=1e-5)
    assert np.allclose(found.cell, whole.cell)
    cells = triclinic * np.linspace(1.0, 1.01, 40)[:, None, None]
    with pytest.raises(AnalysisError, match="cannot be told from paths in a changing cell"):
        in_constant_cell(positions[0, MOBILE], path, cells)
