"""Cells for tests of the VASP path, and waiting for its files."""

from __future__ import annotations

import time

import pytest
from pymatgen.core import Lattice, Structure

DEADLINE_S = 60.0


def rock_salt(a=5.3, shift=0.02):
    """Return a strained cell of rock salt, its species interleaved and one atom displaced."""
    primitive = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    mixed = Structure.from_sites([primitive[i] for i in (0, 4, 1, 5, 2, 6, 3, 7)])
    mixed.translate_sites([0], [shift, 0, 0])
    return mixed


def wait_for(path, what):
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if path.exists() and path.stat().st_size:
            return
        time.sleep(0.05)
    pytest.fail(f"{what} did not come within {DEADLINE_S:g} s")
