from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.bonds import (
    BOND_CUTOFFS_A,
    assign_oxygen_states,
    bond_cutoffs_a,
    bond_series,
    coordination_numbers,
    count_bonds,
)
from haloflow.errors import AnalysisError

BOX = np.eye(3) * 12.0


def test_bonds_across_the_boundary_are_counted_once():
    positions = [[0.2, 6, 6], [11.9, 6, 7.6], [3, 3, 3], [3, 3, 5], [3, 3, 6.5]]
    counts = count_bonds(positions, BOX, ["Cl", "Cl", "O", "O", "O"])
    assert counts["Cl-Cl"] == 1
    assert counts["O-O"] == 1
    assert counts["S-S"] == 0
    assert set(counts) == {f"{a}-{b}" for a, b in BOND_CUTOFFS_A}


def test_unlike_bonds_are_counted_from_either_side(nacl):
    positions, cell, species = nacl((1, 1, 1))
    cutoffs = {("Na", "Cl"): 3.0, ("Cl", "Na"): 3.0, ("Na", "Na"): 4.1}
    counts = count_bonds(positions, cell, species, cutoffs)
    assert counts == {"Na-Cl": 24, "Cl-Na": 24, "Na-Na": 24}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_counts_do_not_depend_on_images_order_or_place(seed, triclinic):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(size=(14, 3)) @ triclinic
    species = np.array(["Cl"] * 8 + ["O"] * 6)
    order = rng.permutation(14)
    moved = (positions + rng.integers(-2, 3, (14, 3)) @ triclinic + rng.normal(size=3))[order]
    assert count_bonds(moved, triclinic, species[order]) == count_bonds(
        positions, triclinic, species
    )
    doubled = np.concatenate([positions, positions + triclinic[2]])
    cell = triclinic * [[1.0], [1.0], [2.0]]
    twice = count_bonds(doubled, cell, np.tile(species, 2))
    assert twice == {k: 2 * n for k, n in count_bonds(positions, triclinic, species).items()}


def test_bonds_over_time_are_those_of_each_frame(triclinic):
    rng = np.random.default_rng(2)
    positions = rng.uniform(size=(12, 20, 3)) @ triclinic
    species = ["Cl"] * 8 + ["O"] * 12
    found = bond_series(positions, triclinic, species)
    frames = [count_bonds(frame, triclinic, species) for frame in positions]
    for pair, counts in found.counts.items():
        assert counts.tolist() == [frame[pair] for frame in frames]
        assert found.mean[pair].value == pytest.approx(counts.mean())
        assert found.mean[pair].lower <= found.mean[pair].value <= found.mean[pair].upper
    assert found.counts["O-O"].sum() > 0
    assert found.counts["S-S"].tolist() == [0] * 12
    with pytest.raises(AnalysisError, match="a bond cutoff must be positive"):
        bond_series(positions, triclinic, species, {("O", "O"): -1.0})


def test_coordination_of_each_centre(nacl):
    positions, cell, species = nacl((1, 1, 1))
    around = coordination_numbers(
        positions, cell, species, centre="Na", ligands=["Cl"], cutoff_a=3.0
    )
    assert around.tolist() == [6, 6, 6, 6]
    none = coordination_numbers(positions, cell, species, centre="Na", ligands=["O"], cutoff_a=3.0)
    assert none.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("distance_a", "state"),
    [(1.21, 0.0), (1.30, -0.5), (1.40, -1.0), (1.49, -1.0), (1.65, -1.0), (2.4, -2.0)],
)
def test_oxygen_takes_its_state_from_its_bond(distance_a, state):
    positions = [[0, 0, 0], [5, 5, 11.9], [5, 5, 11.9 + distance_a], [9, 2, 3]]
    found = assign_oxygen_states(positions, BOX, ["Na", "O", "O", "O"])
    assert found.oxidation_state.tolist() == [state, state, -2.0]
    assert found.indices.tolist() == [1, 2, 3]
    assert found.n_peroxide == 2 * (state == -1.0)
    assert found.n_superoxide == 2 * (state > -1.0)
    assert found.n_oxide == 3 - found.n_peroxide - found.n_superoxide
    assert found.peroxide_fraction == pytest.approx(found.n_peroxide / 3)
    assert found.nearest_oxygen_a[2] == np.inf


def test_no_oxygen_has_no_states(nacl):
    positions, cell, species = nacl((1, 1, 1))
    found = assign_oxygen_states(positions, cell, species)
    assert found.peroxide_fraction == 0.0
    assert found.n_oxide == 0
    assert found.oxidation_state.shape == (0,)


def test_bad_requests_are_refused(nacl):
    positions, cell, species = nacl((1, 1, 1), n_frames=2)
    with pytest.raises(AnalysisError, match=r"one structure at a time\. Given: 2 frames"):
        count_bonds(positions, cell, species)
    with pytest.raises(AnalysisError, match="a bond cutoff must be positive"):
        count_bonds(positions[0], cell, species, {("Na", "Cl"): 0.0})
    with pytest.raises(AnalysisError, match="does not occur in the structure"):
        coordination_numbers(positions[0], cell, species, centre="Ta", ligands=["Cl"], cutoff_a=3.0)


@pytest.mark.parametrize(
    ("pair", "bond_a", "contact_a"),
    [("Br-Br", 2.28, 3.4), ("I-I", 2.67, 3.9), ("F-F", 1.41, 2.4), ("Se-Se", 2.32, 3.3),
     ("Br-Cl", 2.14, 3.3), ("F-O", 1.42, 2.5), ("Cl-Cl", 1.99, 3.2), ("O-O", 1.49, 2.5)],
)  # fmt: skip
def test_every_anion_has_a_bond_that_is_told_from_a_contact(pair, bond_a, contact_a):
    elements = pair.split("-")
    cutoffs = bond_cutoffs_a(elements)
    assert bond_a < cutoffs[tuple(elements)] < contact_a
    for distance, n in ((bond_a, 1), (contact_a, 0)):
        positions = [[3.0, 3.0, 3.0], [3.0, 3.0, 3.0 + distance]]
        assert count_bonds(positions, BOX, elements, cutoffs)[pair] == n


def test_bonds_of_what_is_no_element_are_refused():
    with pytest.raises(AnalysisError, match=r"an anion is no element\. Given: Xx"):
        bond_cutoffs_a(["Cl", "Xx"])
    assert bond_cutoffs_a([]) == {}
