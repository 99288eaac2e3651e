"""What an MD run starts from: atoms that were looked at, with momenta."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms, units

from ..errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .md_settings import MDSettings

_MIN_ATOMS = 2
_MIN_VOLUME_A3 = 0.1
_DRIFT_TOLERANCE = 1e-6


def check_atoms(atoms: Atoms) -> None:
    """Refuse atoms that cannot be moved in a periodic box.

    Raises
    ------
    InputError
        Saying what is wrong with them.
    """
    if not isinstance(atoms, Atoms) or len(atoms) < _MIN_ATOMS:
        raise InputError(
            "an MD run needs atoms",
            given=repr(atoms),
            allowed="ase.Atoms with at least two atoms",
            remedy="make a larger structure",
        )
    volume_a3 = abs(np.linalg.det(atoms.cell.array))
    if not (np.all(atoms.pbc) and math.isfinite(volume_a3) and volume_a3 > _MIN_VOLUME_A3):
        raise InputError(
            "an MD run needs a periodic cell",
            given=f"cell {atoms.cell.array.tolist()}, pbc {atoms.pbc.tolist()}",
            allowed="three cell vectors that span a volume, periodic in all directions",
            remedy="set atoms.cell and atoms.pbc",
        )
    for name in ("positions", "momenta"):
        if name in atoms.arrays and not np.isfinite(atoms.arrays[name]).all():
            bad = np.flatnonzero(~np.isfinite(atoms.arrays[name]).all(axis=1))
            raise InputError(
                f"{name} of atoms are not finite",
                given=f"atoms {bad[:10].tolist()}",
                allowed="finite numbers",
                remedy="look where the structure comes from",
            )
    if not np.all(atoms.get_masses() > 0):
        raise InputError(
            "atoms without a mass cannot be moved",
            given=sorted({a.symbol for a in atoms if a.mass <= 0}),
            allowed="positive masses",
            remedy="set atoms.set_masses",
        )
    if atoms.constraints:
        raise InputError(
            "constraints on the atoms are not supported in MD",
            given=[type(constraint).__name__ for constraint in atoms.constraints],
            allowed="atoms without constraints",
            remedy="remove them; to hold a species in place use a tether",
        )


def starting_atoms(atoms: Atoms, settings: MDSettings) -> Atoms:
    """Return a copy of `atoms` with momenta and the centre of mass at rest.

    Momenta that are there are kept, others are drawn from the Maxwell-Boltzmann distribution
    at the start temperature. With a tether given momenta are kept as they are, since springs
    do not conserve the total momentum.
    """
    started = atoms.copy()
    started.calc = None
    masses = started.get_masses()[:, None]
    drawn = not started.has("momenta")
    if drawn:
        rng = np.random.default_rng((settings.seed, 0))
        scale = np.sqrt(masses * units.kB * settings.temperature_k)
        momenta: NDArray[np.float64] = rng.standard_normal((len(started), 3)) * scale
    else:
        momenta = started.get_momenta()
    total = momenta.sum(axis=0)
    drift_ev = float(total @ total) / (2 * masses.sum())
    drifts = drift_ev > _DRIFT_TOLERANCE * units.kB * settings.temperature_k
    if drawn or (drifts and settings.tether is None):
        momenta = momenta - masses * total / masses.sum()
    started.arrays.pop("momenta", None)
    started.set_array("momenta", momenta, float, (3,))
    return started
