"""Scenes: complete coordination shells across the faces of the cell."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from haloflow.dashboard.structures import structure_scene, viewer_scene
from haloflow.errors import InputError
from haloflow.systems.phases import get_phase


def bonds_of(scene, symbol):
    """Bonds that start at each atom of the cell of an element."""
    element = scene["elements"].index(symbol)
    counts = dict.fromkeys(
        (i for i, atom in enumerate(scene["atoms"][: scene["n_cell"]]) if atom[0] == element), 0
    )
    for first, _ in scene["bonds"]:
        if first in counts:
            counts[first] += 1
    return counts


@pytest.mark.parametrize(
    ("phase_id", "metal", "neighbours"),
    [
        ("NaTaOCl4_Cm", "Ta", 6),
        ("NaTaCl6_P21c", "Ta", 6),
        ("Na2HfCl6_P21n", "Hf", 6),
        ("Na3YCl6_R-3", "Y", 6),
    ],
)
def test_every_octahedron_is_whole(phase_id, metal, neighbours):
    scene = structure_scene(get_phase(phase_id).structure())
    assert set(bonds_of(scene, metal).values()) == {neighbours}


def test_bonds_are_as_long_as_in_the_crystal():
    structure = get_phase("NaTaOCl4_Cm").structure()
    scene = structure_scene(structure)
    positions = np.array([atom[1:] for atom in scene["atoms"]])
    lengths = [np.linalg.norm(positions[i] - positions[j]) for i, j in scene["bonds"]]
    assert 1.6 < min(lengths) < max(lengths) < 2.9
    tantalum = [i for i, site in enumerate(structure) if site.specie.symbol == "Ta"]
    expected = sorted(
        d.nn_distance
        for i in tantalum
        for d in structure.get_neighbors(structure[i], 2.9)
        if d.specie.symbol != "Na"
    )
    assert sorted(lengths) == pytest.approx(expected, abs=2e-3)


def test_images_stand_on_lattice_translations_of_their_atom():
    structure = get_phase("NaTaOCl4_Cm").structure()
    scene = structure_scene(structure)
    images = scene["atoms"][scene["n_cell"] :]
    assert images
    for element, *position in images:
        same = [site for site in structure if site.specie.symbol == scene["elements"][element]]
        offsets = [
            structure.lattice.get_fractional_coords(np.array(position) - site.coords)
            for site in same
        ]
        assert min(np.abs(offset - offset.round()).max() for offset in offsets) < 1e-3


def test_a_peroxide_across_a_face_is_bonded_once_and_the_mobile_ion_never():
    structure = Structure(
        Lattice.cubic(8.0),
        ["Na", "O", "O", "Cl", "Cl"],
        [[2, 2, 2], [0.5, 1, 1], [7.01, 1, 1], [2, 4, 4], [4, 4, 4]],
        coords_are_cartesian=True,
    )
    scene = structure_scene(structure)
    elements = [scene["elements"][atom[0]] for atom in scene["atoms"]]
    bonded = sorted("-".join(elements[i] for i in pair) for pair in scene["bonds"])
    assert bonded == ["Cl-Cl", "O-O"]
    assert elements[scene["n_cell"] :] == ["O"]


def test_colours_differ_between_the_elements_of_a_system():
    for elements in (["Na", "Ta", "O", "Cl"], ["Na", "Ta", "S", "Cl"], ["Na", "Y", "Zr", "Cl"]):
        structure = Structure(Lattice.cubic(20), elements, np.eye(4, 3) * 0.5)
        scene = structure_scene(structure)
        assert len(set(scene["colours"])) == len(elements)


@pytest.mark.parametrize("supercell", [(1, 1, 1), (2, 1, 3)])
@pytest.mark.parametrize("phase_id", ["NaTaOCl4_Cm", "Na2HfCl6_P21n"])
def test_every_former_of_the_supercell_is_in_an_octahedron(phase_id, supercell):
    structure = get_phase(phase_id).structure()
    scene = viewer_scene(structure, supercell)
    assert scene["n_cell"] == len(structure) * np.prod(supercell)
    former = scene["roles"].index("former")
    centres = [i for i, atom in enumerate(scene["atoms"]) if atom[0] == former]
    assert sorted(row["centre"] for row in scene["polyhedra"]) == centres
    assert {len(row["faces"]) for row in scene["polyhedra"]} == {8}
    repeated = np.array(scene["unit_cell"]) * np.array(supercell)[:, None]
    assert np.array(scene["cell"]) == pytest.approx(repeated, abs=1e-3)


def test_faces_of_polyhedra_look_outward():
    scene = viewer_scene(get_phase("NaTaOCl4_Cm").structure())
    positions = np.array([atom[1:] for atom in scene["atoms"]])
    for row in scene["polyhedra"]:
        for i, j, k in positions[np.array(row["faces"])]:
            assert np.dot(np.cross(j - i, k - i), i - positions[row["centre"]]) > 0


def test_atoms_on_a_corner_stand_on_all_eight_with_their_shells():
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Y", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    scene = viewer_scene(salt)
    yttrium = scene["elements"].index("Y")
    corners = {
        tuple(np.round(np.array(atom[1:]) / 5.6).astype(int))
        for atom in scene["atoms"]
        if atom[0] == yttrium and np.allclose(np.array(atom[1:]) / 5.6 % 1, 0)
    }
    assert len(corners) == 8
    bonds = {tuple(bond) for bond in scene["bonds"]}
    assert len(bonds) == len(scene["bonds"])
    partners = [first for first, _ in bonds]
    centres = [i for i, atom in enumerate(scene["atoms"]) if atom[0] == yttrium]
    assert {partners.count(centre) for centre in centres} == {6}
    assert len({tuple(atom) for atom in scene["atoms"]}) == len(scene["atoms"])


def test_atoms_are_drawn_inside_the_cell_wherever_the_run_left_them():
    structure = get_phase("NaTaOCl4_Cm").structure()
    moved = structure.copy()
    moved.translate_sites([0, 5], [3, -2, 1], to_unit_cell=False)
    assert viewer_scene(moved) == viewer_scene(structure)


def test_flat_and_sparse_shells_have_no_polyhedron():
    square = Structure(
        Lattice.cubic(12.0),
        ["Ta", "O", "O", "O", "O"],
        [[6, 6, 6], [7.9, 6, 6], [4.1, 6, 6], [6, 7.9, 6], [6, 4.1, 6]],
        coords_are_cartesian=True,
    )
    scene = viewer_scene(square)
    assert len(scene["bonds"]) == 4
    assert scene["polyhedra"] == []
    square.remove_sites([1, 2])
    assert viewer_scene(square)["polyhedra"] == []


@pytest.mark.parametrize("supercell", [(0, 1, 1), (1, 6, 1), (1, 1, -1)])
def test_supercells_out_of_bounds_are_refused(supercell):
    with pytest.raises(InputError, match="the supercell is out of bounds") as caught:
        viewer_scene(get_phase("NaTaOCl4_Cm").structure(), supercell)
    assert "three repeats, each 1 to 5" in str(caught.value)


def test_supercells_with_too_many_atoms_are_refused():
    with pytest.raises(InputError, match="the supercell has too many atoms to draw") as caught:
        viewer_scene(Structure(Lattice.cubic(20), ["Na"] * 200, np.eye(200, 3) * 0.5), (3, 3, 3))
    assert "5400 atoms" in str(caught.value)
    assert "ask for fewer repeats" in str(caught.value)
