"""Whether the GPAW of this machine gives the numbers that it should."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ase.build import bulk

from ..errors import PotentialError
from .gpaw_calculator import GpawCalculator
from .gpaw_host import gpaw_host, require_gpaw
from .gpaw_levels import gpaw_level

if TYPE_CHECKING:
    from ase import Atoms

COARSE_CUTOFF_EV, COARSE_KSPACING = 400.0, 1.0
"""Settings of the check: seconds, and far from converged."""
EXPECTED_EV: Final = {"gpaw-r2scan": -13.264771, "gpaw-pbe": -6.483032}
"""Of two atoms of `rock_salt` at these settings: GPAW 26.7.0, libxc 7.0.0, gpaw-data 1.2.1."""
TOLERANCE_EV: Final = 1e-4


def rock_salt() -> Atoms:
    """Return the primitive cell of NaCl at its lattice constant of 5.64 A."""
    return bulk("NaCl", "rocksalt", a=5.64)


def require_numbers(level: str = "gpaw-r2scan") -> None:
    """Compute rock salt at coarse settings.

    Raises
    ------
    MissingDependencyError, PotentialError
        If GPAW is not installed, its libxc changes r2SCAN, or another energy comes out.
    """
    require_gpaw()
    salt = rock_salt()
    coarse = replace(gpaw_level(level), cutoff_ev=COARSE_CUTOFF_EV, kspacing=COARSE_KSPACING)
    salt.calc = GpawCalculator(coarse)
    energy = float(salt.get_potential_energy())
    if abs(energy - EXPECTED_EV[level]) > TOLERANCE_EV:
        host = gpaw_host()
        raise PotentialError(
            "this GPAW does not give the energy of rock salt that it should",
            given=f"{energy:.6f} eV at {level}, by GPAW {host.version} and libxc {host.libxc}",
            allowed=f"{EXPECTED_EV[level]:.6f} eV",
            remedy="make gpaw",
        )
