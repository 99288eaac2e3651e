"""Barcodes of large sets: told up to a shorter distance, or without loops, and that is said."""

from __future__ import annotations

import pytest
import sample_trajectories

from haloflow.analysis.passage import read_passage
from haloflow.makers import landscape


@pytest.fixture(scope="module")
def passage():
    frames = sample_trajectories.chains(60, 4)
    blocks = [(frames.positions, frames.cells)]
    return read_passage(blocks, frames.species.tolist(), "Na", unwrapped=True)


def barcodes_of(passage, atoms):
    found = landscape.measure_topology(passage)
    return found, {one.dimension: one for one in found.barcodes if one.atoms == atoms}


def test_small_sets_have_loops_and_tell_their_limit(passage):
    found, bars = barcodes_of(passage, "framework")
    assert set(bars) == {0, 1}
    assert bars[0].limit_a == 8.0
    assert bars[0].n_frames == 12
    assert found.note == ""


def test_large_sets_are_told_up_to_a_shorter_distance(passage, monkeypatch):
    monkeypatch.setattr(landscape, "_MANY_POINTS", 10)
    _, bars = barcodes_of(passage, "framework")
    assert set(bars) == {0, 1}
    assert bars[0].limit_a == 6.0
    assert bars[1].n_frames == 4


def test_very_large_sets_have_no_loops_and_that_is_said(passage, monkeypatch):
    monkeypatch.setattr(landscape, "_MOST_POINTS", 10)
    found, bars = barcodes_of(passage, "framework")
    assert set(bars) == {0}
    assert found.note == f"no loops of the framework: {bars[0].n_points} atoms, at most 10"
