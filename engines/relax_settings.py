"""What a relaxation is asked to do, and what it gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

    from ..quantity import Status

CELL_MODES: Final = ("full", "isotropic", None)
OPTIMIZERS: Final = ("FIRE", "BFGS")


@dataclass(frozen=True)
class RelaxResult:
    """A relaxed structure, or as far as it went.

    Attributes
    ----------
    status, note
        ``ok``; ``unconverged`` after `max_steps`; ``diverged`` with the reason.
    atoms
        The last structure, with its energy, forces and stress attached.
    energy_ev
        Its potential energy in eV (no pressure term).
    max_force_ev_a
        Largest force on an atom in eV/A.
    max_stress_gpa
        Largest deviation from the target pressure in what the cell may relax (the whole
        tensor, or its trace for an isotropic cell); of the fixed cell the largest component,
        ``None`` if the calculator gave none. In GPa.
    n_steps, n_resumes
        Steps taken, and how often the run was taken up again.
    """

    status: Status
    note: str
    atoms: Atoms
    energy_ev: float
    max_force_ev_a: float
    max_stress_gpa: float | None
    n_steps: int
    n_resumes: int


@dataclass(frozen=True)
class RelaxSettings:
    """What a relaxation is asked to do.

    Attributes
    ----------
    fmax_ev_a
        Largest force on an atom at convergence, in eV/A.
    cell
        ``full``, ``isotropic`` (shape kept) or ``None`` (fixed).
    max_steps
        Total number of steps of the run; calling again never adds to it.
    optimizer
        ``FIRE`` or ``BFGS``.
    pressure_gpa
        Target of a cell that moves, in GPa.
    stress_tolerance_gpa
        Largest deviation from it at convergence, in GPa.
    volume_window
        The run has diverged when the volume leaves this range, in units of the start volume.
    checkpoint_interval
        At most so many steps are lost when the process is killed.
    """

    fmax_ev_a: float = 0.02
    cell: str | None = "full"
    max_steps: int = 1000
    optimizer: str = "FIRE"
    pressure_gpa: float = 0.0
    stress_tolerance_gpa: float = 0.1
    volume_window: tuple[float, float] = (0.4, 2.5)
    checkpoint_interval: int = 10

    def __post_init__(self) -> None:
        self._require("cell", self.cell in CELL_MODES, CELL_MODES)
        self._require("optimizer", self.optimizer in OPTIMIZERS, OPTIMIZERS)
        for name in ("fmax_ev_a", "stress_tolerance_gpa"):
            value = getattr(self, name)
            self._require(name, math.isfinite(value) and value > 0, "a number above 0")
        for name in ("max_steps", "checkpoint_interval"):
            self._require(name, getattr(self, name) >= 1, "a whole number from 1")
        self._require("pressure_gpa", math.isfinite(self.pressure_gpa), "a number")
        lower, upper = self.volume_window
        self._require("volume_window", 0 < lower < 1 < upper, "(below 1, above 1)")

    def _require(self, name: str, fulfilled: bool, allowed: object) -> None:  # noqa: FBT001  (the outcome of a check)
        if not fulfilled:
            raise InputError(
                f"{name} of a relaxation is out of range",
                given=repr(getattr(self, name)),
                allowed=allowed,
                remedy=f"correct {name}",
            )

    def path(self) -> dict[str, object]:
        """Return what decides the path through the structures (not where it ends)."""
        return {"cell": self.cell, "optimizer": self.optimizer, "pressure_gpa": self.pressure_gpa}
