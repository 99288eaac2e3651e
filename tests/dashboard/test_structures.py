"""Scenes: complete coordination shells across the faces of the cell."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from haloflow.dashboard.structures import structure_scene
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
