"""Cells for tests of the VASP path."""

from __future__ import annotations

from pymatgen.core import Lattice, Structure


def rock_salt(a=5.3, shift=0.02):
    """Return a strained cell of rock salt, its species interleaved and one atom displaced."""
    primitive = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    mixed = Structure.from_sites([primitive[i] for i in (0, 4, 1, 5, 2, 6, 3, 7)])
    mixed.translate_sites([0], [shift, 0, 0])
    return mixed
