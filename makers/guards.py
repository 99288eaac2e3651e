"""Guards of a simulation: the numerical ones, and what chemistry adds to them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..analysis.bonds import ANIONS, bond_cutoffs_a, count_bonds
from ..analysis.framework import framework_melted
from ..analysis.glass import amorphous_evidence
from ..engines.guards import (
    Guard,
    GuardVerdict,
    distance_guard,
    finite_guard,
    temperature_guard,
    volume_guard,
)
from ..quantity import Status
from ..units import FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Collection

    from ase import Atoms

    from ..engines.md import MDSettings

_GRACE_TIMES = 10
_LAG_TIMES = 3
_BOND_CHECK_STEPS = 100
BRAGG_CHECK_STEPS = 2000
MAX_BROKEN_SHARE = 0.1


@dataclass(frozen=True)
class Stage:
    """What a sample is meant to be while it is simulated.

    Attributes
    ----------
    sample
        A ``crystal`` must not melt, a ``glass`` not crystallise, neither decompose; ``None``
        while a glass is made, whose bonds are judged when it is there.
    mobile
        The ion that may leave its place in a crystal.
    anions
        Elements that are anions here; a pair of them that bonds is a decomposition.
    settled
        Whether the sample has been at this temperature; not while a packed box melts and is
        quenched.
    """

    sample: Literal["crystal", "glass"] | None = None
    mobile: str = "Na"
    anions: tuple[str, ...] = ANIONS
    settled: bool = True


def dynamics_guards(atoms: Atoms, settings: MDSettings, stage: Stage) -> list[Guard]:
    """Return the guards of an MD run of a `stage` that starts from `atoms`."""
    guards = [
        finite_guard(),
        *thermal_guards(settings, stage),
        distance_guard(),
        volume_guard(float(atoms.get_volume())),
    ]
    if stage.sample is not None:
        guards.append(decomposition_guard(atoms, anions=stage.anions))
    if stage.sample == "crystal":
        guards.append(melting_guard(atoms, stage.mobile, anions=stage.anions))
    if stage.sample == "glass":
        guards.append(crystallisation_guard())
    return guards


def thermal_guards(settings: MDSettings, stage: Stage) -> list[Guard]:
    """Return a wide guard on the temperature, and a narrow one once the start is forgotten.

    The first look at a packed box, a relaxed crystal or a glass at another temperature sees
    heat that the thermostat has yet to carry away; it takes some ten of its times.
    """
    time_fs = settings.thermostat_time_fs
    if settings.ensemble == "nvt-langevin":
        time_fs = FS_PER_PS / settings.friction_per_ps
    steps = ceil(time_fs / settings.timestep_fs)
    lag = _LAG_TIMES * steps
    wide = temperature_guard(settings, n_sigma=8.0, floor_fraction=1.0, lag_steps=lag)
    if not stage.settled:
        return [wide]
    return [wide, temperature_guard(settings, grace_steps=_GRACE_TIMES * steps, lag_steps=lag)]


def decomposition_guard(
    start: Atoms, *, anions: Collection[str] = ANIONS, max_share: float = MAX_BROKEN_SHARE
) -> Guard:
    """Return a guard that ends a run as decomposed when anions pair up.

    Bonds between `anions`, such as Cl-Cl or O-O, beyond those of the start (a peroxide's) may
    hold at most `max_share` of the anions.
    """
    before = sum(_bonds(start, anions).values())

    def guard(atoms: Atoms, step: int) -> GuardVerdict | None:
        if step % _BOND_CHECK_STEPS or not np.isfinite(atoms.positions).all():
            return None
        note = decomposition(
            list(atoms.symbols), _bonds(atoms, anions), before, anions=anions, max_share=max_share
        )
        return GuardVerdict(Status.DECOMPOSED, f"{note} at step {step}") if note else None

    return guard


def decomposition(
    symbols: list[str],
    bonds: dict[str, int],
    before: int,
    *,
    anions: Collection[str] = ANIONS,
    max_share: float = MAX_BROKEN_SHARE,
) -> str:
    """Say which bonds between anions are too many; empty when none are.

    Parameters
    ----------
    symbols
        Of all atoms.
    bonds
        Bonds between anions, e.g. ``{"Cl-Cl": 2}``.
    before
        How many there were by right, e.g. in peroxides.
    anions
        Elements that are anions here.
    max_share
        Largest share of the anions that new bonds may hold.
    """
    n_anions = sum(symbol in anions for symbol in symbols)
    if 2 * (sum(bonds.values()) - before) <= max_share * n_anions:
        return ""
    found = ", ".join(f"{number} {pair}" for pair, number in bonds.items() if number)
    return f"bonds between anions: {found} (by right: {before})"


def melting_guard(start: Atoms, mobile: str, *, anions: Collection[str] = ANIONS) -> Guard:
    """Return a guard that ends a crystal's run when its network formers leave their places.

    Anions are left out: those of a plastic crystal turn about their former and stay. A salt
    without formers, such as NaCl, has no other framework than its anions.
    """
    others = np.array([symbol != mobile for symbol in start.symbols])
    formers = others & np.array([symbol not in anions for symbol in start.symbols])
    framework = formers if formers.any() else others
    origin = (start.positions.copy(), start.cell.array.copy())

    def guard(atoms: Atoms, step: int) -> GuardVerdict | None:
        if step % _BOND_CHECK_STEPS or not np.isfinite(atoms.positions).all():
            return None
        found = framework_melted(origin, (atoms.positions, atoms.cell.array), framework)
        if not found.holds:
            return None
        return GuardVerdict(
            Status.DECOMPOSED,
            f"the framework melted: MSD {found.numbers['msd_a2']:.1f} A^2, of "
            f"{found.numbers['nearest_neighbour_a'] ** 2:.1f} allowed, at step {step}",
        )

    return guard


def crystallisation_guard() -> Guard:
    """Return a guard that ends a glass's run when a Bragg peak stands above its own S(q)."""

    def guard(atoms: Atoms, step: int) -> GuardVerdict | None:
        if not step or step % BRAGG_CHECK_STEPS or not np.isfinite(atoms.positions).all():
            return None
        found = amorphous_evidence(atoms.positions, atoms.cell.array, list(atoms.symbols))
        if found.holds:
            return None
        numbers = found.numbers
        return GuardVerdict(
            Status.CRYSTALLISED,
            f"a reflection at {numbers['q_inv_a']:.2f} 1/A is "
            f"{numbers['strongest_reflection_ratio']:.0f} times the diffuse scattering at step "
            f"{step}, {numbers['threshold_ratio']:.0f} allowed",
        )

    return guard


def _bonds(atoms: Atoms, anions: Collection[str]) -> dict[str, int]:
    symbols = list(atoms.symbols)
    cutoffs = bond_cutoffs_a(set(anions) & set(symbols))
    return count_bonds(atoms.positions, atoms.cell.array, symbols, cutoffs)
