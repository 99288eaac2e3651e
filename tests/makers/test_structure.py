"""Structure as documents hold it: nothing dropped, nothing made up."""

from __future__ import annotations

import numpy as np
import pytest
import sample_trajectories

from haloflow.analysis.passage import read_passage
from haloflow.makers.structure import measure_speciation

N_FORMERS, REPEAT_A = 40, 3.9


def open_chain():
    """Return two frames of one chain of corner-sharing octahedra that ends in the box."""
    cell = np.diag([REPEAT_A * (N_FORMERS + 4), 12.0, 12.0])
    middle = np.array([5.0, 6.0, 6.0])
    formers = middle + np.arange(N_FORMERS)[:, None] * [REPEAT_A, 0.0, 0.0]
    bridges = middle + (np.arange(N_FORMERS + 1)[:, None] - 0.5) * [REPEAT_A, 0.0, 0.0]
    arms = 2.35 * np.array([[0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]])
    terminal = (formers[:, None] + arms).reshape(-1, 3)
    salt = np.array([[5.0, 1.0, 1.0], [20.0, 1.0, 1.0]])
    positions = np.concatenate([salt, formers, bridges, terminal])
    species = ["Na"] * 2 + ["Ta"] * N_FORMERS + ["O"] * (N_FORMERS + 1) + ["Cl"] * len(terminal)
    rattle = np.random.default_rng(1).normal(0.0, 0.01, (4, *positions.shape))
    return positions + rattle, np.broadcast_to(cell, (4, 3, 3)), species


def test_chains_of_any_length_are_told_and_their_shares_add_up():
    positions, cells, species = open_chain()
    passage = read_passage([(positions, cells)], species, "Na", unwrapped=True)
    found = measure_speciation(passage)
    for chains in (found.chains_by_bridges, found.chains_by_distance):
        assert chains.lengths[str(N_FORMERS)].value == pytest.approx(1.0)
        assert sum(row.value for row in chains.lengths.values()) == pytest.approx(1.0)
        assert chains.endless.value == 0.0
        assert chains.mean_length.value == pytest.approx(N_FORMERS)


def test_endless_chains_have_no_mean_length():
    frames = sample_trajectories.chains(8, 2)
    blocks = [(frames.positions, frames.cells)]
    passage = read_passage(blocks, frames.species.tolist(), "Na", unwrapped=True)
    chains = measure_speciation(passage).chains_by_bridges
    assert chains.endless.value == pytest.approx(1.0)
    assert chains.mean_length is None
