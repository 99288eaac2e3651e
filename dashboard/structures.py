"""Structures for the viewers: atoms, bonds across the cell's faces, polyhedra, the cell."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Structure
from scipy.spatial import ConvexHull, QhullError

from ..errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shift = tuple[int, int, int]

ANIONS: Final = frozenset({"O", "S", "Se", "F", "Cl", "Br", "I"})
MOBILE: Final = frozenset({"Li", "Na", "K"})
BOND_STRETCH: Final = 1.18
"""A bond is at most this many times the sum of the covalent radii."""

COLOURS: Final = {
    "Na": "#CC79A7",
    "Cl": "#009E73",
    "O": "#D55E00",
    "S": "#F0E442",
    "Ta": "#0072B2",
    "Nb": "#0072B2",
    "Hf": "#56B4E9",
    "Zr": "#56B4E9",
    "Y": "#E69F00",
}
OTHER_COLOUR: Final = "#8C8C8C"

MOST_REPEATS: Final = 5
MOST_ATOMS: Final = 4000
_ON_FACE_A: Final = 0.1
_LEAST_VERTICES: Final = 4
_LEAST_VOLUME_A3: Final = 0.1


def structure_scene(structure: Structure, *, face_images: bool = False) -> dict[str, Any]:
    """Return what the viewer of the report draws.

    Parameters
    ----------
    structure
        Atoms stay where they are.
    face_images
        Whether atoms on a face of the cell stand on the opposite face too, with their bonds.

    Returns
    -------
    dict
        ``elements`` (symbols), ``colours`` and ``radii_a`` per element; ``atoms`` as rows of
        element index, x, y, z in angstrom; ``bonds`` as pairs of atom indices; ``cell`` as
        the three cell vectors in angstrom; ``n_cell`` atoms belong to the cell, the rest
        are images that complete coordination shells.
    """
    elements = sorted({site.specie.symbol for site in structure})
    kinds = np.array([elements.index(site.specie.symbol) for site in structure])
    radii = np.array([covalent_radii[atomic_numbers[symbol]] for symbol in elements])
    indices = {(atom, (0, 0, 0)): atom for atom in range(len(structure))}
    if face_images:
        for copy in _on_opposite_faces(structure):
            indices[copy] = len(indices)
    matrix = structure.lattice.matrix
    copies: dict[int, list[Shift]] = {}
    for atom, shift in indices:
        copies.setdefault(atom, []).append(shift)
    bonds = []
    for first, second, shift in _bonds(structure, elements, kinds, radii):
        for own in copies[first]:
            ends = (first, own), (second, _sum(own, shift))
            bonds.append([indices.setdefault(end, len(indices)) for end in ends])
    positions = [structure[atom].coords + np.array(shift) @ matrix for atom, shift in indices]
    return {
        "elements": elements,
        "colours": [COLOURS.get(symbol, OTHER_COLOUR) for symbol in elements],
        "radii_a": [round(float(radius), 3) for radius in radii],
        "atoms": [
            [int(kinds[atom]), *(round(float(value), 3) for value in position)]
            for (atom, _), position in zip(indices, positions, strict=True)
        ],
        "bonds": bonds,
        "cell": matrix.round(4).tolist(),
        "n_cell": len(structure),
    }


def _sum(one: Shift, other: Shift) -> Shift:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _on_opposite_faces(structure: Structure) -> list[tuple[int, Shift]]:
    """Return atom and shift of the images, on other faces, of atoms on a face of the cell."""
    near = _ON_FACE_A / np.array(structure.lattice.abc)
    found: list[tuple[int, Shift]] = []
    for atom, site in enumerate(structure):
        ends = [
            (0, 1) if at < tolerance else (-1, 0) if at > 1 - tolerance else (0,)
            for at, tolerance in zip(site.frac_coords, near, strict=True)
        ]
        found += [(atom, (i, j, k)) for i, j, k in product(*ends) if any((i, j, k))]
    return found


def viewer_scene(
    structure: Structure, supercell: tuple[int, int, int] = (1, 1, 1)
) -> dict[str, Any]:
    """Return what the interactive viewer draws.

    Parameters
    ----------
    structure
        Its atoms are moved into the cell.
    supercell
        Repeats along the three cell vectors, each 1 to 5.

    Returns
    -------
    dict
        Everything of :func:`structure_scene` for the repeated cell, and: atoms on a face of the
        cell again on the opposite face; ``polyhedra`` of the network formers as rows of
        ``centre`` (atom index) and ``faces`` (triangles of atom indices, seen from outside
        counter-clockwise); ``unit_cell`` and ``supercell``; ``roles`` per element
        (``anion``, ``mobile``, ``former``); ``bond_stretch``, for frames of a trajectory.

    Raises
    ------
    InputError
        If a repeat is out of bounds or the repeated cell has more than 4000 atoms.
    """
    if any(not 1 <= repeat <= MOST_REPEATS for repeat in supercell):
        raise InputError(
            "the supercell is out of bounds",
            given=list(supercell),
            allowed=f"three repeats, each 1 to {MOST_REPEATS}",
        )
    n_atoms = len(structure) * int(np.prod(supercell))
    if n_atoms > MOST_ATOMS:
        raise InputError(
            "the supercell has too many atoms to draw",
            given=f"{n_atoms} atoms",
            allowed=f"at most {MOST_ATOMS}",
            remedy="ask for fewer repeats",
        )
    repeated = Structure(
        structure.lattice, [site.specie.symbol for site in structure], structure.frac_coords % 1.0
    )
    repeated.make_supercell(supercell)
    scene = structure_scene(repeated, face_images=True)
    return scene | {
        "polyhedra": _polyhedra(scene),
        "unit_cell": structure.lattice.matrix.round(4).tolist(),
        "supercell": list(supercell),
        "roles": [_role(symbol) for symbol in scene["elements"]],
        "bond_stretch": BOND_STRETCH,
    }


def _role(symbol: str) -> str:
    if symbol in ANIONS:
        return "anion"
    return "mobile" if symbol in MOBILE else "former"


def _polyhedra(scene: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the convex hull of the anions about each network former that has one."""
    anion = [_role(symbol) == "anion" for symbol in scene["elements"]]
    shells: dict[int, list[int]] = {}
    for first, second in scene["bonds"]:
        if not anion[scene["atoms"][first][0]]:
            shells.setdefault(first, []).append(second)
    positions = np.array([atom[1:] for atom in scene["atoms"]])
    found = []
    for centre, shell in shells.items():
        faces = _hull_faces(positions[shell])
        if faces:
            found.append({"centre": centre, "faces": [[shell[i] for i in face] for face in faces]})
    return found


def _hull_faces(points: NDArray[np.float64]) -> list[list[int]]:
    """Return the triangles of the convex hull of `points`; none where they lie in a plane."""
    if len(points) < _LEAST_VERTICES:
        return []
    try:
        hull = ConvexHull(points)
    except QhullError:  # all in a plane
        return []
    if hull.volume < _LEAST_VOLUME_A3:
        return []
    faces = []
    for (i, j, k), outward in zip(hull.simplices, hull.equations[:, :3], strict=True):
        turned = np.dot(np.cross(points[j] - points[i], points[k] - points[i]), outward) < 0
        faces.append([int(i), int(k), int(j)] if turned else [int(i), int(j), int(k)])
    return faces


def _bonds(
    structure: Structure,
    elements: list[str],
    kinds: NDArray[np.int_],
    radii: NDArray[np.float64],
) -> list[tuple[int, int, Shift]]:
    """Return framework bonds: cation-anion (the mobile ion makes none) and anion-anion.

    A cation-anion bond starts at the cation, so that images of anions complete its shell.
    """
    longest = BOND_STRETCH * 2 * float(radii.max())
    centres, others, shifts, lengths = structure.get_neighbor_list(longest)
    limits = BOND_STRETCH * (radii[kinds[centres]] + radii[kinds[others]])
    close = lengths < limits
    anion = np.array([symbol in ANIONS for symbol in elements])
    mobile = np.array([symbol in MOBILE for symbol in elements])
    found = []
    for first, second, shift in zip(centres[close], others[close], shifts[close], strict=True):
        one, two = kinds[first], kinds[second]
        image = (int(shift[0]), int(shift[1]), int(shift[2]))
        framework = not anion[one] and not mobile[one] and anion[two]
        molecule = anion[one] and anion[two] and (image, second) > ((0, 0, 0), first)
        if framework or molecule:
            found.append((int(first), int(second), image))
    return found
