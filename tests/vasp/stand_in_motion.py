"""How atoms move in the stand-in for VASP, and what it "learns" on the way."""

from __future__ import annotations

import sys

import numpy as np
from ase import units

LEARNING_INTERVAL = 5
"""Every so many steps are "ab initio" while a force field is trained."""
KBAR = 0.1 * units.GPa


class Relaxation:
    """Steepest descent for the soft pair potential, which needs no more; BFGS for others."""

    STEP_A2_EV = 0.1
    COMPLIANCE_A3_EV = 1.2

    def __init__(self, atoms, *, cell):
        self._atoms, self._cell, self._optimizer = atoms, cell, None
        if type(atoms.calc).__name__ != "Salt":
            from ase.filters import FrechetCellFilter  # half a second, which many need not spend
            from ase.optimize import BFGS

            self._optimizer = BFGS(FrechetCellFilter(atoms) if cell else atoms, logfile=None)

    def converged(self, limit):
        """Say whether forces, and gradients of the cell, are below `limit` (eV/A)."""
        largest = np.linalg.norm(self._atoms.get_forces(), axis=1).max()
        if self._cell:
            stress = self._atoms.get_stress(voigt=False)
            largest = max(largest, np.abs(stress).max() * self._atoms.get_volume())
        return bool(largest <= limit)

    def move(self):
        if self._optimizer is not None:
            self._optimizer.step()
            return
        atoms = self._atoms
        forces = atoms.get_forces()
        if self._cell:
            strain = -self.COMPLIANCE_A3_EV * atoms.get_stress(voigt=False)
            atoms.set_cell(atoms.get_cell() @ (np.eye(3) + strain), scale_atoms=True)
        atoms.set_positions(atoms.get_positions() + self.STEP_A2_EV * forces)


class Elastic:
    """A nudged elastic band; every image has a calculator that remembers its last result."""

    def __init__(self, images, *, climb):
        from ase.mep.neb import NEB
        from ase.optimize import FIRE

        for image in images[1:]:  # continuous, as VASP takes the nearest images
            image.positions += _nearest(images[0], image)
        self._band = NEB(images, k=1.0, climb=climb, method="improvedtangent")
        self._optimizer = FIRE(self._band, logfile=None)

    def forces(self):
        band = self._band
        return band.get_forces().reshape(band.nimages - 2, -1, 3)

    def move(self):
        self._optimizer.step()


def _nearest(first, other):
    """Return by how much atoms of `other` are images of those next to `first`."""
    from ase.geometry import find_mic

    apart = other.positions - first.positions
    return find_mic(apart, first.cell)[0] - apart


class Dynamics:
    """Velocity Verlet; rescaled, loosely coupled to a heat bath, or alone."""

    def __init__(self, atoms, incar):
        self._atoms, self._incar = atoms, incar
        self._dt = incar.get("POTIM", 1.0) * units.fs
        if not np.any(atoms.get_velocities()):
            seed = int(str(incar.get("RANDOM_SEED", "1")).split()[0])
            rng = np.random.default_rng(seed)
            spread = np.sqrt(units.kB * incar["TEBEG"] / atoms.get_masses())[:, None]
            velocities = spread * rng.standard_normal((len(atoms), 3))
            atoms.set_velocities(velocities - velocities.mean(axis=0))

    def move(self, number, nsw):
        atoms, dt = self._atoms, self._dt
        masses = atoms.get_masses()[:, None]
        half = atoms.get_velocities() + 0.5 * dt * atoms.get_forces() / masses
        atoms.set_positions(atoms.get_positions() + dt * half)
        atoms.set_velocities(half + 0.5 * dt * atoms.get_forces() / masses)
        self._couple(number, nsw)

    def _couple(self, number, nsw):
        incar = self._incar
        target = incar["TEBEG"] + (incar.get("TEEND", incar["TEBEG"]) - incar["TEBEG"]) * (
            number / nsw
        )
        algorithm = incar.get("MDALGO", 0)
        rate = 1.0 if incar.get("SMASS") == -1 else 0.05 if algorithm in {2, 3} else 0.0
        now = self._atoms.get_temperature()
        if rate and now > 0:
            factor = np.sqrt(max(1 + rate * (target / now - 1), 0.0))
            self._atoms.set_velocities(factor * self._atoms.get_velocities())
        if incar.get("ISIF") == 3:
            pressure = -np.trace(self._atoms.get_stress(voigt=False)) / 3
            excess = (pressure - incar.get("PSTRESS", 0.0) * KBAR) / units.GPa
            scale = 1 + np.clip(1e-3 * excess, -2e-3, 2e-3)
            self._atoms.set_cell(self._atoms.get_cell() * scale, scale_atoms=True)


class Learner:
    """Pretends to learn a force field: counts configurations in ML_AB(N), stamps ML_FF(N)."""

    def __init__(self, incar, here):
        self._on = bool(incar.get("ML_LMLFF"))
        self._mode, self._here = str(incar.get("ML_MODE", "train")).lower(), here
        text = (here / "ML_AB").read_text() if (here / "ML_AB").exists() else ""
        self._known = int(text.split()[-1]) if text else 0

    def predicts(self, number):
        """Whether the force field evaluates this step."""
        if not self._on or self._mode == "refit":
            return False
        if self._mode == "run" or number % LEARNING_INTERVAL:
            return self._mode == "run" or number > 1
        self._known += 1
        return False

    def write(self):
        if not self._on or self._mode == "run":
            return
        (self._here / "ML_ABN").write_text(f"1.0 Version\nconfigurations {self._known}\n")
        (self._here / "ML_FFN").write_text(f"stand-in {self._mode} {self._known}\n")
        (self._here / "ML_LOGFILE").write_text("stand-in\n")


def require_force_field(incar, here):
    """End as VASP does when what a mode needs is missing."""
    mode = str(incar.get("ML_MODE", "train")).lower()
    needed = {"run": "ML_FF", "refit": "ML_AB"}.get(mode)
    if needed and not (here / needed).exists():
        print(f" ML_MODE={mode} needs {needed}", file=sys.stderr, flush=True)
        sys.exit(1)
