"""Structures for the ball-and-stick viewer: atoms, bonds across the cell's faces, the cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ase.data import atomic_numbers, covalent_radii

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

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


def structure_scene(structure: Structure) -> dict[str, Any]:
    """Return what the viewer draws.

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
    pairs = _bonds(structure, elements, kinds, radii)
    matrix = structure.lattice.matrix
    positions: list[NDArray[np.float64]] = list(structure.cart_coords)
    owner = list(range(len(structure)))
    images: dict[tuple[int, int, int, int], int] = {}
    bonds = []
    for first, second, shift in pairs:
        key = (second, *shift)
        if any(shift) and key not in images:
            images[key] = len(positions)
            positions.append(structure.cart_coords[second] + np.array(shift) @ matrix)
            owner.append(second)
        bonds.append([first, images.get(key, second)])
    return {
        "elements": elements,
        "colours": [COLOURS.get(symbol, OTHER_COLOUR) for symbol in elements],
        "radii_a": [round(float(radius), 3) for radius in radii],
        "atoms": [
            [int(kinds[atom]), *(round(float(value), 3) for value in position)]
            for atom, position in zip(owner, positions, strict=True)
        ],
        "bonds": bonds,
        "cell": matrix.round(4).tolist(),
        "n_cell": len(structure),
    }


def _bonds(
    structure: Structure,
    elements: list[str],
    kinds: NDArray[np.int_],
    radii: NDArray[np.float64],
) -> list[tuple[int, int, tuple[int, int, int]]]:
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
