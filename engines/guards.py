"""Guards: looks at a running simulation that end it when it no longer means anything.

A guard is called with the atoms and the step every few steps and returns ``None`` or a verdict.
It must not change the atoms. Guards about chemistry (bonds, melting) are made where the
analysis is; these are the numerical ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from ase import Atoms, units
from ase.data import chemical_symbols, covalent_radii

from ..errors import InputError, UnknownNameError
from ..quantity import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .md_settings import MDSettings

LARGEST_VOLUME_RATIO: Final = 2.0
"""Beyond this many times its first volume, a run at constant pressure has diverged."""
# Shorter than any bond that a molecule vibrates through: Ta=O 1.70 A against 1.30 A here,
# the O-O of a peroxide 1.49 A against 0.73 A, Cl-Cl 1.99 A against 1.12 A.
_SHORTEST_OF_RADII: Final = 0.55


@dataclass(frozen=True)
class GuardVerdict:
    """Why a run was ended, or is doubted.

    Attributes
    ----------
    status
        What the run is from now on; never ``ok``.
    note
        The reason, with numbers.
    ends
        False where the run goes on, and no state from here on is one to trust.
    """

    status: Status
    note: str
    ends: bool = True

    def __post_init__(self) -> None:
        if self.status is Status.OK:
            raise InputError(
                "a guard cannot end a run as ok",
                given=self.note,
                allowed=[status.value for status in Status if status is not Status.OK],
                remedy="return None to let the run go on",
            )


Guard = Callable[[Atoms, int], GuardVerdict | None]


def kinetic_temperature_k(atoms: Atoms, degrees_of_freedom: int) -> float:
    """Return 2 E_kin / (N_f k_B) in K."""
    return float(2.0 * atoms.get_kinetic_energy() / (degrees_of_freedom * units.kB))


def finite_guard() -> Guard:
    """Return a guard that ends a run as diverged when a position or momentum is not finite."""

    def guard(atoms: Atoms, step: int) -> GuardVerdict | None:
        for name in ("positions", "momenta"):
            finite = np.isfinite(atoms.arrays[name]).all(axis=1)
            if not finite.all():
                first = int(np.argmin(finite))
                return GuardVerdict(
                    Status.DIVERGED,
                    f"{name} of {np.count_nonzero(~finite)} atoms, first {atoms.symbols[first]} "
                    f"number {first}, are not finite at step {step}",
                )
        if not np.isfinite(atoms.cell.array).all():
            return GuardVerdict(Status.DIVERGED, f"the cell is not finite at step {step}")
        return None

    return guard


def temperature_guard(
    settings: MDSettings,
    *,
    n_sigma: float = 6.0,
    floor_fraction: float = 0.3,
    grace_steps: int = 0,
    lag_steps: int = 0,
) -> Guard:
    """Return a guard on the kinetic temperature, relative to the target (also along a ramp).

    The window is target +- (n_sigma sd + floor_fraction target), where sd = T sqrt(2/N_f) is
    the canonical fluctuation of the kinetic temperature of N_f degrees of freedom.

    Parameters
    ----------
    settings
        Settings of the run; its target temperature is followed.
    n_sigma
        Canonical standard deviations that are allowed.
    floor_fraction
        Further part of the target that is allowed whatever the number of atoms, for the heat
        that start structures release.
    grace_steps
        Steps at the start during which the guard does not look.
    lag_steps
        Steps by which the atoms may trail a ramp: all targets since then are allowed.

    Raises
    ------
    InputError
        If a parameter is negative or not finite.
    """
    _require_not_negative(
        "temperature guard",
        n_sigma=n_sigma,
        floor_fraction=floor_fraction,
        grace=grace_steps,
        lag=lag_steps,
    )

    def guard(atoms: Atoms, step: int) -> GuardVerdict | None:
        if step < grace_steps:
            return None
        degrees = settings.degrees_of_freedom(len(atoms))
        targets = [settings.target_temperature_k(s) for s in (step, max(0, step - lag_steps))]
        share = n_sigma * math.sqrt(2.0 / degrees) + floor_fraction
        lowest, highest = min(targets) * (1.0 - share), max(targets) * (1.0 + share)
        found = kinetic_temperature_k(atoms, degrees)
        if lowest <= found <= highest:
            return None
        return GuardVerdict(
            Status.DIVERGED,
            f"the temperature of {found:.0f} K at step {step} is outside "
            f"{max(lowest, 0):.0f} to {highest:.0f} K",
        )

    return guard


def distance_guard(shortest_a: Mapping[tuple[str, str], float] | None = None) -> Guard:
    """Return a guard that ends a run as diverged when two atoms come too close.

    Parameters
    ----------
    shortest_a
        Shortest allowed distance in A per pair of elements, in any order; pairs left out are
        not looked at. Default: 0.55 times the sum of the covalent radii for all pairs, which
        lets the O-O bond of a peroxide (1.49 A) be.

    Raises
    ------
    InputError
        If a distance is negative or not finite.
    """
    if shortest_a is None:
        table = _SHORTEST_OF_RADII * np.add.outer(covalent_radii, covalent_radii)
    else:
        _require_not_negative(
            "distance guard", **{"-".join(pair): value for pair, value in shortest_a.items()}
        )
        table = _distance_table(shortest_a)

    def guard(atoms: Atoms, step: int) -> GuardVerdict | None:
        present = np.unique(atoms.numbers)
        cutoff = float(table[np.ix_(present, present)].max())
        if cutoff == 0.0 or not np.isfinite(atoms.positions).all():
            return None
        from vesin import NeighborList  # noqa: PLC0415  (imports torch where that is installed)

        finder = NeighborList(cutoff=cutoff, full_list=False, n_threads=1)
        first, second, distance = finder.compute(
            points=atoms.positions, box=atoms.cell.array, periodic=atoms.pbc, quantities="ijd"
        )
        allowed = table[atoms.numbers[first], atoms.numbers[second]]
        if not (distance < allowed).any():
            return None
        worst = int(np.argmin(distance - allowed))
        i, j = int(first[worst]), int(second[worst])
        return GuardVerdict(
            Status.DIVERGED,
            f"{atoms.symbols[i]} number {i} and {atoms.symbols[j]} number {j} are "
            f"{distance[worst]:.2f} A apart at step {step}, below {allowed[worst]:.2f} A",
        )

    return guard


def _distance_table(shortest_a: Mapping[tuple[str, str], float]) -> NDArray[np.float64]:
    table = np.zeros((len(chemical_symbols), len(chemical_symbols)))
    for pair, shortest in shortest_a.items():
        unknown = [symbol for symbol in pair if symbol not in chemical_symbols]
        if unknown:
            raise UnknownNameError.of("element", unknown[0], chemical_symbols[1:])
        i, j = (chemical_symbols.index(symbol) for symbol in pair)
        table[i, j] = table[j, i] = shortest
    return table


def volume_guard(
    start_volume_a3: float, *, lower: float = 0.5, upper: float = LARGEST_VOLUME_RATIO
) -> Guard:
    """Return a guard that ends a run as diverged when its volume leaves a window.

    Parameters
    ----------
    start_volume_a3
        Volume that the window refers to, in A^3.
    lower, upper
        Ends of the window, as fractions of it.

    Raises
    ------
    InputError
        If the volume is not positive or the window does not hold it.
    """
    if not (start_volume_a3 > 0 and 0 <= lower < 1 < upper):
        raise InputError(
            "the window of a volume guard does not hold the start",
            given=f"volume {start_volume_a3} A^3, fractions {lower} to {upper}",
            allowed="a positive volume, lower below 1 and upper above 1",
            remedy="widen the window",
        )

    def guard(atoms: Atoms, step: int) -> GuardVerdict | None:
        ratio = abs(float(np.linalg.det(atoms.cell.array))) / start_volume_a3
        if lower <= ratio <= upper:
            return None
        return GuardVerdict(
            Status.DIVERGED,
            f"the volume is {ratio:.2f} times that of the start at step {step}, "
            f"outside {lower:g} to {upper:g}",
        )

    return guard


def _require_not_negative(guard: str, **values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise InputError(
                f"the {name} of a {guard} is out of range",
                given=value,
                allowed="a finite number from 0",
                remedy=f"correct {name}",
            )
