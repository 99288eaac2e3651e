"""Runs that tests start, kill and resume; as a script, the process that is killed.

``python md_cases.py DIRECTORY JOBS.json`` forks one child per job, one after the other. A job
names a case, a subdirectory, and the evaluation, the fsync or the rename at which the child
sends SIGKILL to itself.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes

from haloflow.engines.md import MDSettings, Tether, run_md

COMMON = {
    "n_steps": 90,
    "timestep_fs": 4.0,
    "seed": 7,
    "trajectory_interval": 3,
    "checkpoint_interval": 20,
    "guard_interval": 10,
    "sync_interval": 5,
    "chunk_frames": 8,
}
SLOW = {"thermostat_time_fs": 200.0, "barostat_time_fs": 600.0}
CASES = {
    "nve": {"ensemble": "nve"},
    "langevin": {"ensemble": "nvt-langevin"},
    "nose-hoover": {"ensemble": "nvt-nose-hoover", **SLOW},
    "npt-isotropic": {"ensemble": "npt-isotropic", "pressure_gpa": 0.1, **SLOW},
    "npt-full": {"ensemble": "npt-full", "pressure_gpa": 0.1, **SLOW},
    "ramp-langevin": {"ensemble": "nvt-langevin", "temperature_end_k": 90.0},
    "ramp-nose-hoover": {"ensemble": "nvt-nose-hoover", "temperature_end_k": 10.0, **SLOW},
    "ramp-npt": {"ensemble": "npt-isotropic", "temperature_end_k": 80.0, **SLOW},
    "ramp-npt-full": {"ensemble": "npt-full", "temperature_end_k": 80.0, **SLOW},
    "tether-nve": {"ensemble": "nve", "tether": Tether(("Ne",), 0.5)},
    "tether-nose-hoover": {
        "ensemble": "nvt-nose-hoover",
        "tether": Tether(("Ne",), 0.5),
        **SLOW,
    },
    "tether-langevin": {"ensemble": "nvt-langevin", "tether": Tether(("Ne",), 0.5)},
}


def settings_of(case: str, **changes) -> MDSettings:
    return MDSettings(**{"temperature_k": 40.0, **COMMON, **CASES[case], **changes})


def noble_gas(repeat: int = 2):
    """Return rattled argon with some (heavy) neon, 4 repeat^3 atoms."""
    atoms = bulk("Ar", "fcc", a=5.4, cubic=True) * repeat
    atoms.symbols[::5] = "Ne"
    atoms.set_masses([39.9] * len(atoms))
    atoms.rattle(0.03, seed=1)
    return atoms


class SkinLennardJones(Calculator):
    """Smooth Lennard-Jones whose forces depend, in the last bits, on its history.

    The pair list has a skin and is kept when ``reset`` is called, as ASE does; pairs are
    summed in the order of their distances when the list was built, in float32 like networks.
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress")
    sigma, epsilon, cutoff, skin = 3.4, 0.0104, 4.6, 0.4

    def __init__(self, dtype=np.float32):
        super().__init__()
        self.dtype = dtype
        self.pairs = None
        self.evaluations = 0

    def forget(self):
        self.pairs = None

    def _shifts(self, vectors, cell):
        return -np.rint(vectors @ np.linalg.inv(cell)) @ cell

    def _find_pairs(self, positions, cell):
        if self.pairs is not None:
            _, _, old, old_cell = self.pairs
            moved = np.abs(positions - old).max()
            if np.array_equal(cell, old_cell) and moved < self.skin / 4:
                return
        i, j = np.triu_indices(len(positions), 1)
        vectors = positions[j] - positions[i]
        distances = np.linalg.norm(vectors + self._shifts(vectors, cell), axis=1)
        near = np.flatnonzero(distances < self.cutoff + self.skin)
        near = near[np.argsort(distances[near])]
        self.pairs = i[near], j[near], positions.copy(), cell.copy()

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.evaluations += 1
        positions, cell = self.atoms.positions, self.atoms.cell.array
        self._find_pairs(positions, cell)
        i, j = self.pairs[:2]
        vectors = positions[j] - positions[i]
        vectors = vectors + self._shifts(vectors, cell)
        square = np.einsum("ij,ij->i", vectors, vectors)
        inside = np.clip(1 - square / self.cutoff**2, 0, None)
        six = (self.sigma**2 / square) ** 3
        bare = 4 * self.epsilon * (six * six - six)
        slope = -24 * self.epsilon * (2 * six * six - six) / square  # dU/dr / r
        taper, taper_slope = inside**3, -6 * inside**2 / self.cutoff**2
        pull = (taper * slope + bare * taper_slope)[:, None] * vectors
        forces = np.zeros(positions.shape, self.dtype)
        pull = pull.astype(self.dtype)
        np.add.at(forces, i, pull)
        np.add.at(forces, j, -pull)
        stress = np.einsum("ki,kj->ij", vectors, pull) / abs(np.linalg.det(cell))
        energy = float((taper * bare).sum())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": forces,
            "stress": stress.ravel()[[0, 4, 8, 5, 2, 1]],
        }


class Lethal:
    """Kills the process at the n-th call of something."""

    def __init__(self, n: int, wrapped, *, after: bool = False) -> None:
        self.left, self.wrapped, self.after = n, wrapped, after

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0 and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = self.wrapped(*args, **kwargs)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def run(case: str, directory: Path, calculator=None, **changes):
    return run_md(
        noble_gas(),
        calculator or SkinLennardJones(),
        settings_of(case, **changes),
        directory,
        signature=case,
    )


def run_lethally(job: dict, directory: Path) -> None:
    calculator = SkinLennardJones()
    match job["at"]:
        case "evaluation":
            calculator.calculate = Lethal(job["n"], calculator.calculate)
        case "fsync":
            os.fsync = Lethal(job["n"], os.fsync)
        case "rename":
            rename = Lethal(job["n"], Path.replace, after=True)

            def replace(path: Path, target: Path) -> Path:
                return rename(path, target)

            Path.replace = replace
    run(job["case"], directory / job["directory"], calculator)


def main() -> None:
    directory = Path(sys.argv[1])
    for job in json.loads(Path(sys.argv[2]).read_text()):
        child = os.fork()
        if child == 0:
            run_lethally(job, directory)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")


if __name__ == "__main__":
    main()
