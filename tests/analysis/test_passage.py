"""One reading of a trajectory: the same in any blocks, equal to the plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
import sample_trajectories
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.displacement import mobile_paths
from haloflow.analysis.passage import read_passage
from haloflow.errors import AnalysisError

QUICK = settings(deadline=None, max_examples=15)


def blocks_of(frames, length, *, wrapped=True):
    positions = frames.wrapped if wrapped else frames.positions
    for start in range(0, len(positions), length):
        yield positions[start : start + length], frames.cells[start : start + length]


def passage_of(frames, length=300, mobile="Na", **options):
    wrapped = not options.get("unwrapped", False)
    return read_passage(
        blocks_of(frames, length, wrapped=wrapped), frames.species.tolist(), mobile, **options
    )


@pytest.mark.parametrize("breathing", [0.0, 0.005])
@pytest.mark.parametrize("unwrapped", [False, True])
def test_paths_are_those_of_the_plain_formula(breathing, unwrapped):
    frames = sample_trajectories.walk(400, 8, breathing=breathing, drift_a=0.02)
    expected = mobile_paths(frames.wrapped, frames.cells, frames.species == "Na", unwrapped=False)
    found = passage_of(frames, 150, unwrapped=unwrapped)
    np.testing.assert_allclose(found.path_a, expected, atol=1e-10)


@QUICK
@given(length=st.integers(1, 410), n_sample=st.integers(1, 60))
def test_blocks_do_not_matter(length, n_sample):
    frames = sample_trajectories.walk(400, 8, breathing=0.003)
    whole = passage_of(frames, 400, n_sample=n_sample)
    parts = passage_of(frames, length, n_sample=n_sample)
    np.testing.assert_array_equal(parts.path_a, whole.path_a)
    np.testing.assert_array_equal(parts.sample_frames, whole.sample_frames)
    np.testing.assert_array_equal(parts.sample_a, whole.sample_a)
    for name, total in whole.sums_a.items():
        np.testing.assert_array_equal(parts.sums_a[name], total)


@QUICK
@given(
    shift=st.tuples(*[st.floats(-30, 30)] * 3),
    seed=st.integers(0, 9),
    single=st.booleans(),
)
def test_translation_order_of_atoms_and_precision_do_not_matter(shift, seed, single):
    frames = sample_trajectories.walk(120, 8)
    order = np.random.default_rng(seed).permutation(len(frames.species))
    moved = frames.positions[:, order] + np.array(shift)
    fractions = moved @ np.linalg.inv(frames.cells)
    wrapped = (fractions - np.floor(fractions)) @ frames.cells
    kind = np.float32 if single else np.float64
    found = read_passage(
        [(wrapped.astype(kind), frames.cells)], frames.species[order].tolist(), "Na"
    )
    back = np.argsort(order[frames.species[order] == "Na"])
    expected = passage_of(frames).path_a
    np.testing.assert_allclose(found.path_a[:, back], expected, atol=1e-3 if single else 1e-10)


@pytest.mark.parametrize("n_sample", [1, 7, 100, 1000])
def test_the_sample_is_even_and_continuous(n_sample):
    frames = sample_trajectories.walk(400, 8, breathing=0.004, drift_a=0.05)
    found = passage_of(frames, 90, n_sample=n_sample)
    numbers = found.sample_frames
    assert numbers[0] == 0
    assert len(set(np.diff(numbers).tolist())) <= 1
    assert min(n_sample, 400) <= len(numbers) <= 2 * n_sample
    start = frames.wrapped[0] - frames.positions[0]
    whole = start @ np.linalg.inv(frames.cells[0])  # the first frame says in which cell
    expected = (frames.positions + whole @ frames.cells)[numbers]
    np.testing.assert_allclose(found.sample_a, expected, atol=1e-9)
    np.testing.assert_array_equal(found.sample_cells_a, frames.cells[numbers])


def test_sums_follow_every_species_in_the_laboratory():
    frames = sample_trajectories.walk(300, 8, drift_a=0.03)
    found = passage_of(frames, 70)
    for name in ("Na", "Ta", "O", "Cl"):
        moved = frames.positions[:, frames.species == name].sum(axis=1)
        np.testing.assert_allclose(found.sums_a[name], moved - moved[0], atol=1e-9)


def test_a_long_run_is_kept_in_single_precision(monkeypatch):
    frames = sample_trajectories.walk(400, 8)
    exact = passage_of(frames).path_a
    monkeypatch.setattr("haloflow.analysis.passage._FLOAT64_VALUES", 5000)
    found = passage_of(frames, 90).path_a
    assert exact.dtype == np.float64
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, atol=1e-5)


def test_without_a_framework_or_a_mobile_ion_nothing_is_subtracted():
    frames = sample_trajectories.walk(50, 8, drift_a=0.1)
    sodium = sample_trajectories.Frames(
        frames.positions[:, frames.species == "Na"], frames.cells, frames.species[:8]
    )
    found = passage_of(sodium)
    np.testing.assert_allclose(found.path_a, sodium.positions - sodium.positions[0], atol=1e-10)
    nobody = passage_of(frames, mobile=None)
    assert nobody.path_a.shape == (50, 0, 3)
    assert not nobody.mobile.any()
    assert nobody.n_frames == 50
    assert nobody.volume_a3 == pytest.approx(abs(np.linalg.det(frames.cells[0])))


def broken(frames, change):
    positions = frames.wrapped.copy()
    positions[60, 3, 1] = change
    return [(positions[:40], frames.cells[:40]), (positions[40:], frames.cells[40:])]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_found_in_their_frame(value):
    frames = sample_trajectories.walk(100, 8)
    with pytest.raises(AnalysisError, match="positions contain values that are not finite") as e:
        read_passage(broken(frames, value), frames.species.tolist(), "Na")
    assert "first in frame 60" in str(e.value)


def test_a_jump_over_half_a_box_is_named_with_atom_and_frame():
    frames = sample_trajectories.walk(100, 8)
    steps = frames.positions.copy()
    steps[60:, 3] += 0.49 * frames.cells[0, 1]
    jumping = sample_trajectories.Frames(steps, frames.cells, frames.species)
    with pytest.raises(AnalysisError, match="an atom jumps by half a box") as wrapped:
        passage_of(jumping, 40)
    assert "atom 3 moves by 0.4" in str(wrapped.value)
    assert "after frame 59" in str(wrapped.value)
    assert "save frames more often" in str(wrapped.value)
    with pytest.raises(AnalysisError, match="do not say that they are unwrapped"):
        read_passage(blocks_of(frames, 40), frames.species.tolist(), "Na", unwrapped=True)


def test_what_cannot_be_read_is_refused():
    frames = sample_trajectories.walk(50, 8)
    with pytest.raises(AnalysisError, match=r"no mobile ions.*Given: K\..*Allowed: Cl, Na, O, Ta"):
        passage_of(frames, mobile="K")
    with pytest.raises(AnalysisError, match="a sample needs frames"):
        passage_of(frames, n_sample=0)
    with pytest.raises(AnalysisError, match="a trajectory has no frames"):
        read_passage([], frames.species.tolist(), "Na")
    with pytest.raises(AnalysisError, match="species do not fit the positions"):
        read_passage(blocks_of(frames, 20), frames.species[1:].tolist(), "Na")
    with pytest.raises(AnalysisError, match="cells do not fit the positions"):
        read_passage([(frames.positions, frames.cells[1:])], frames.species.tolist(), "Na")
    with pytest.raises(AnalysisError, match="a cell has no volume"):
        read_passage([(frames.positions, 0 * frames.cells)], frames.species.tolist(), "Na")
