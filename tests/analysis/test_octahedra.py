from __future__ import annotations

import numpy as np
import pytest
from chain_crystal import REPEAT_A, TERMINAL_A, chain_crystal
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure
from scipy.spatial.transform import Rotation

from haloflow.analysis.octahedra import bond_blocks, find_octahedra, octahedron_axes
from haloflow.errors import AnalysisError
from haloflow.systems.phases import get_phase


def crystal(phase_id, repeats):
    structure = get_phase(phase_id).structure()
    structure.make_supercell(repeats)
    return structure, [site.specie.symbol for site in structure]


@pytest.mark.parametrize(
    ("phase_id", "former", "repeats", "chain", "lengths"),
    [
        ("NaTaOCl4_Cmc21", "Ta", (1, 1, 1), 0, [1] * 4),
        ("NaTaOCl4_Cmc21", "Ta", (3, 2, 1), 0, [3] * 8),
        ("NaTaOCl4_Cm", "Ta", (1, 4, 1), 1, [4] * 4),
        ("NaNbOCl4_polar", "Nb", (2, 1, 2), 0, [2] * 4),
    ],
)
def test_chains_of_the_library(phase_id, former, repeats, chain, lengths):
    structure, species = crystal(phase_id, repeats)
    cell = structure.lattice.matrix
    found = find_octahedra(structure.cart_coords, cell, species, former=former)
    assert np.bincount(found.chain).tolist() == lengths
    assert found.n_chains == len(lengths)
    assert found.n_left_out == 0
    axes = octahedron_axes(structure.cart_coords[None], cell, found)
    along = axes.bridge[0] @ (cell[chain] / np.linalg.norm(cell[chain]))
    assert (np.abs(along) > 0.99).all()
    assert (np.sign(along) == np.sign(along[0])).all()
    bonds = np.linalg.norm(found.fractional_bonds @ cell, axis=-1)
    assert bonds[:, :2].max() < 2.3
    assert 2.2 < bonds[:, 2:].min() < bonds[:, 2:].max() < 2.6


def test_opposite_ligands_are_those_of_polyhedral_analysis():
    from polyhedral_analysis.configuration import Configuration
    from polyhedral_analysis.octahedral_analysis import opposite_vertex_pairs
    from polyhedral_analysis.polyhedra_recipe import PolyhedraRecipe

    structure, species = crystal("NaTaOCl4_Cmc21", (2, 1, 1))
    rng = np.random.default_rng(3)
    positions = structure.cart_coords + rng.normal(0.0, 0.1, (len(structure), 3))
    found = find_octahedra(positions, structure.lattice.matrix, species, former="Ta")
    recipe = PolyhedraRecipe("distance cutoff", "Ta", ["O", "Cl"], coordination_cutoff=3.0)
    rattled = Structure(structure.lattice, species, positions, coords_are_cartesian=True)
    judged = 0
    for polyhedron in Configuration(rattled, recipes=[recipe]).polyhedra:
        ours = found.ligands[found.centres.tolist().index(polyhedron.central_atom.index)]
        theirs = {frozenset((a.index, b.index)) for a, b in opposite_vertex_pairs(polyhedron)}
        pairs = [ours[[0, 1]], ours[[2, 4]], ours[[3, 5]]]
        assert {frozenset(pair.tolist()) for pair in pairs} == theirs
        judged += 1
    assert judged == len(found.centres)


def test_axes_follow_the_roll():
    rolls = np.linspace(0.0, 3.0 * np.pi, 60)[:, None] * np.ones(6)
    positions, cell, species = chain_crystal(rolls, 3, 2)
    found = find_octahedra(positions[0], cell, species, former="Ta")
    axes = octahedron_axes(positions, cell, found)
    np.testing.assert_allclose(np.abs(axes.bridge[..., 0]), 1.0, atol=1e-6)
    sense = axes.bridge[0, 0, 0]
    start = np.arctan2(axes.terminal[0, 0, 0, 2], axes.terminal[0, 0, 0, 1])
    expected = np.stack([np.zeros((60, 6)), np.cos(rolls + start), np.sin(rolls + start)], axis=-1)
    np.testing.assert_allclose(axes.terminal[:, :, 0], expected, atol=1e-5)
    turned = np.cross([sense, 0.0, 0.0], expected)
    np.testing.assert_allclose(axes.terminal[:, :, 1], turned, atol=1e-5)
    assert axes.intact_fraction == 1.0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_axes_turn_with_the_frame_and_nothing_else_matters(seed):
    rng = np.random.default_rng(seed)
    rolls = 0.3 + np.cumsum(rng.normal(0.0, 0.2, (12, 6)), axis=0)
    positions, cell, species = chain_crystal(rolls, 3, 2)
    positions = positions + rng.normal(0.0, 0.05, positions.shape)
    found = find_octahedra(positions[0], cell, species, former="Ta")
    axes = octahedron_axes(positions, cell, found)
    turn = Rotation.random(rng=seed).as_matrix().T
    order = rng.permutation(len(species))
    moved = positions + rng.integers(-2, 3, positions.shape) @ cell + rng.normal(size=3)
    again = octahedron_axes(moved @ turn, cell @ turn, found)
    np.testing.assert_allclose(again.bridge, axes.bridge @ turn, atol=2e-5)
    np.testing.assert_allclose(again.terminal, axes.terminal @ turn, atol=2e-5)
    shuffled = find_octahedra(moved[0, order], cell, np.array(species)[order], former="Ta")
    theirs = order[shuffled.ligands]
    place = [found.centres.tolist().index(c) for c in order[shuffled.centres]]
    assert {frozenset(row) for row in theirs[:, 2:].tolist()} == {
        frozenset(row) for row in found.ligands[:, 2:].tolist()
    }
    same = np.equal.outer(found.chain[place], found.chain[place])
    assert (np.equal.outer(shuffled.chain, shuffled.chain) == same).all()


def test_heads_meet_tails_in_a_bent_chain():
    angles = np.linspace(0.2, 2.0, 6)
    way = np.concatenate(
        [
            [[0, 0, 0]],
            np.cumsum(
                np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1) * REPEAT_A, axis=0
            ),
        ]
    )
    centre = 0.5 * (way[1:] + way[:-1])
    normal = np.stack([-np.sin(angles), np.cos(angles), 0 * angles], axis=1)
    up = np.array([0.0, 0.0, 1.0])
    around = [centre + TERMINAL_A * s * d for s in (1, -1) for d in (normal, up)]
    positions = np.concatenate([centre, way, *around]) + 20.0
    species = ["Ta"] * 6 + ["O"] * 7 + ["Cl"] * 24
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(6), 6 + rng.permutation(7), np.arange(13, 37)])
    found = find_octahedra(positions[order], np.eye(3) * 60.0, species, former="Ta")
    axes = octahedron_axes(positions[order][None], np.eye(3) * 60.0, found)
    tangent = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)[order[found.centres]]
    along = np.einsum("mi,mi->m", axes.bridge[0], tangent)
    np.testing.assert_allclose(along, along[0], atol=1e-6)
    assert found.n_chains == 1


def test_a_lost_ligand_breaks_its_octahedron_and_no_other():
    positions, cell, species = chain_crystal(np.zeros((8, 4)), 2, 2)
    found = find_octahedra(positions[0], cell, species, former="Ta")
    positions = positions.copy()
    positions[5:, found.ligands[1, 3]] += [0.0, 0.0, 1.5] * np.sign(
        positions[0, found.ligands[1, 3]] - positions[0, found.centres[1]]
    ).round()
    far = np.linalg.norm(positions[6, found.ligands[1, 3]] - positions[6, found.centres[1]])
    intact = octahedron_axes(positions, cell, found, lost_bond_a=far - 0.1).intact
    assert intact[:5].all()
    assert intact[5:].sum(axis=0).tolist() == [3, 0, 3, 3]
    assert octahedron_axes(positions, cell, found, lost_bond_a=far + 0.1).intact.all()


def test_centres_without_six_ligands_are_left_out():
    positions, cell, species = chain_crystal(np.zeros((1, 4)), 2, 2)
    species[-1] = "Br"
    found = find_octahedra(positions[0], cell, species, former="Ta")
    assert (len(found.centres), found.n_left_out) == (3, 1)


def test_blocks_hold_all_frames_once(monkeypatch):
    rng = np.random.default_rng(1)
    positions, cell, species = chain_crystal(np.cumsum(rng.normal(0, 0.1, (11, 4)), 0), 2, 2)
    found = find_octahedra(positions[0], cell, species, former="Ta")
    whole = octahedron_axes(positions, cell, found)
    monkeypatch.setattr("haloflow.analysis.octahedra._COORDINATES_PER_BLOCK", positions[:4].size)
    assert [part.stop for part, _ in bond_blocks(positions, cell, found)] == [4, 8, 11]
    np.testing.assert_allclose(octahedron_axes(positions, cell, found).terminal, whole.terminal)


def test_bad_requests_are_refused():
    positions, cell, species = chain_crystal(np.zeros((2, 4)), 2, 2)
    with pytest.raises(AnalysisError, match=r"one structure at a time\. Given: 2 frames"):
        find_octahedra(positions, cell, species, former="Ta")
    with pytest.raises(AnalysisError, match=r"does not occur .* Given: Nb\. Allowed: Cl, O, Ta"):
        find_octahedra(positions[0], cell, species, former="Nb")
    with pytest.raises(AnalysisError, match="no Ta has two O and four Cl around it"):
        find_octahedra(positions[0], cell, species, former="Ta", cutoffs_a=(1.0, 2.6))
    found = find_octahedra(positions[0], cell, species, former="Ta")
    with pytest.raises(AnalysisError, match="the octahedra do not fit the trajectory"):
        octahedron_axes(positions[:, :10], cell, found)
    broken = positions.copy()
    broken[1, 3] = np.nan
    with pytest.raises(AnalysisError, match="first in frame 1"):
        octahedron_axes(broken, cell, found)
