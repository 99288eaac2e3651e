"""Guards of a simulation: the numerical ones, and what chemistry adds to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..analysis.bonds import count_bonds
from ..analysis.framework import framework_melted
from ..engines.guards import (
    Guard,
    GuardVerdict,
    distance_guard,
    finite_guard,
    temperature_guard,
    volume_guard,
)
from ..quantity import Status

if TYPE_CHECKING:
    from ase import Atoms

    from ..engines.md import MDSettings

_BOND_CHECK_STEPS = 100
_MAX_BROKEN_SHARE = 0.1


def dynamics_guards(atoms: Atoms, settings: MDSettings, *, crystal: bool = False) -> list[Guard]:
    """Return the guards of an MD run that starts from `atoms`.

    Parameters
    ----------
    atoms
        Start of the run.
    settings
        Of the run.
    crystal
        End the run when the framework melts.
    """
    guards = [
        finite_guard(),
        temperature_guard(settings),
        distance_guard(),
        volume_guard(float(atoms.get_volume())),
        decomposition_guard(atoms),
    ]
    return [*guards, melting_guard(atoms)] if crystal else guards


def decomposition_guard(start: Atoms, *, max_share: float = _MAX_BROKEN_SHARE) -> Guard:
    """Return a guard that ends a run as decomposed when anions pair up.

    Cl-Cl, O-O and mixed bonds beyond those of the start (a peroxide's) may hold at most
    `max_share` of the anions; a hot melt makes and breaks single ones.
    """
    symbols = list(start.symbols)
    n_anions = sum(symbol in {"O", "S", "Cl"} for symbol in symbols)
    before = sum(_bonds(start).values())

    def guard(atoms: Atoms, step: int) -> GuardVerdict | None:
        if step % _BOND_CHECK_STEPS or not np.isfinite(atoms.positions).all():
            return None
        counts = {pair: number for pair, number in _bonds(atoms).items() if number}
        if 2 * (sum(counts.values()) - before) <= max_share * n_anions:
            return None
        found = ", ".join(f"{number} {pair}" for pair, number in counts.items())
        return GuardVerdict(
            Status.DECOMPOSED, f"bonds between anions at step {step}: {found} (start: {before})"
        )

    return guard


def melting_guard(start: Atoms) -> Guard:
    """Return a guard that ends a crystal's run when everything but sodium leaves its place."""
    framework = np.array([symbol != "Na" for symbol in start.symbols])
    origin = (start.positions.copy(), start.cell.array.copy())

    def guard(atoms: Atoms, step: int) -> GuardVerdict | None:
        if step % _BOND_CHECK_STEPS or not np.isfinite(atoms.positions).all():
            return None
        found = framework_melted(origin, (atoms.positions, atoms.cell.array), framework)
        if not found.holds:
            return None
        return GuardVerdict(
            Status.DECOMPOSED,
            f"the framework melted: MSD {found.numbers['msd_a2']:.1f} A^2 at step {step}",
        )

    return guard


def _bonds(atoms: Atoms) -> dict[str, int]:
    return count_bonds(atoms.positions, atoms.cell.array, list(atoms.symbols))
