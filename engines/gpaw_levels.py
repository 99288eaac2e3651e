"""Levels of theory that GPAW evaluates: every setting that decides the numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

R2SCAN: Final = "MGGA_X_R2SCAN+MGGA_C_R2SCAN"
PBE: Final = "PBE"


CHARGES: Final[Mapping[str, int]] = MappingProxyType(
    dict.fromkeys(("F", "Cl", "Br", "I"), -1)
    | dict.fromkeys(("O", "S", "Se"), -2)
    | {"N": -3}
    | dict.fromkeys(("H", "Li", "Na", "K", "Rb", "Cs"), 1)
    | dict.fromkeys(("Mg", "Ca", "Sr", "Ba", "Zn"), 2)
    | dict.fromkeys(("B", "Al", "Sc", "Y", "La"), 3)
    | dict.fromkeys(("C", "Si", "Ti", "Zr", "Hf"), 4)
    | dict.fromkeys(("P", "V", "Nb", "Ta"), 5)
    | dict.fromkeys(("Mo", "W"), 6)
)
"""Of ions with closed shells, which together make an insulator where they sum to zero."""


@dataclass(frozen=True)
class GpawLevel:
    """A level of theory; the defaults are converged, see ``docs/gpaw.md``.

    Attributes
    ----------
    name, theory
        As in a sweep, and in words.
    xc
        Functional, as libxc names it.
    cutoff_ev
        Of the plane waves.
    kspacing, metal_kspacing
        Largest distance of k-points in 1/A, 2 pi included; the mesh holds Gamma. The first for
        what `has_closed_shells`, the second for all else, which may be a metal.
    smearing_ev
        Width of Marzari and Vanderbilt's smearing, whose energies need no extrapolation.
    energy_ev_per_electron, density_per_electron, eigenstates_ev2_per_electron
        Convergence of the electrons.
    most_iterations
        After which they count as not converging.
    """

    name: str
    theory: str
    xc: str
    cutoff_ev: float = 700.0
    kspacing: float = 0.5
    metal_kspacing: float = 0.2
    smearing_ev: float = 0.05
    energy_ev_per_electron: float = 1e-5
    density_per_electron: float = 1e-5
    eigenstates_ev2_per_electron: float = 4e-8
    most_iterations: int = 150

    def settings(self) -> dict[str, Any]:
        """Return everything that decides the numbers."""
        described = ("name", "theory")
        return {k: v for k, v in asdict(self).items() if k not in described} | dict(COMMON)


COMMON: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "mode": "plane waves",
        "datasets": "PBE",
        "smearing": "marzari-vanderbilt",
        "net_force_removed": True,
        "spin": "a moment of 1 on each O closer than 1.4 A to another O; else none",
        "fermi_hole_curvature_enforced": False,
        "metal": "unless charges sum to zero, or all are negative",
        "charges": dict(CHARGES),
    }
)
"""What all levels share. There are no PAW datasets for r2SCAN; those for PBE are the custom."""
_LEVELS: Final = (
    GpawLevel("gpaw-r2scan", "r2SCAN (GPAW, plane waves, PBE datasets)", R2SCAN),
    GpawLevel("gpaw-pbe", "PBE (GPAW, plane waves)", PBE),
)
GPAW_LEVELS: Final[Mapping[str, GpawLevel]] = MappingProxyType({v.name: v for v in _LEVELS})


def has_closed_shells(symbols: Iterable[str]) -> bool:
    """Tell whether atoms are known to have a gap: ions of `CHARGES` that balance, or molecules.

    What holds other elements, or metals below their highest state (NbO, TaS2), may be a metal;
    so may superoxides. Peroxides have a gap, and are not worth a rule of their own.
    """
    charges = [CHARGES.get(symbol) for symbol in symbols]
    known = [charge for charge in charges if charge is not None]
    if len(known) < len(charges):
        return False
    return sum(known) == 0 or all(charge < 0 for charge in known)


def is_gpaw(level: str) -> bool:
    """Tell whether GPAW evaluates `level`."""
    return level in GPAW_LEVELS


def gpaw_level(name: str) -> GpawLevel:
    """Return the level `name`.

    Raises
    ------
    UnknownNameError
        GPAW evaluates no such level.
    """
    if name not in GPAW_LEVELS:
        raise UnknownNameError.of("level of GPAW", name, GPAW_LEVELS)
    return GPAW_LEVELS[name]
