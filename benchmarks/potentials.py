"""What a NEP student costs: in our MD runner against calorine's own ASE loop, and its teacher.

`loop`: the same glass, ensemble and steps by ASE with calorine's CPUNEP alone, and by our runner
with trajectory, checkpoints and the guards of a production run, one after the other (A B A B
...); the ratio of processor times is the median over the pairs. Exit code 1 above 1.20.

`teacher`: processor time per atom and step of the teacher over that of the student, on the same
glass and machine. Exit code 1 below 30.

`gpu`: as `gpu.py speed`, which measures nothing where there is no GPU.

Without ``--student`` a NEP of the usual size with random weights stands in: it costs the same.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gpu
import numpy as np
from ase import units
from ase.md.nose_hoover_chain import IsotropicMTKNPT, NoseHooverChainNVT
from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.engines.assessment import us_per_atom_step
from haloflow.engines.md import MDSettings, run_md
from haloflow.engines.md_start import starting_atoms
from haloflow.engines.potentials import load_potential
from haloflow.makers.domain_check import domain_guards
from haloflow.makers.guards import Stage, dynamics_guards
from haloflow.systems.families import get_family
from haloflow.systems.packing import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from ase import Atoms
    from ase.calculators.calculator import Calculator

MOST_LOOP = 1.20
LEAST_TEACHER = 30.0
ENSEMBLES = ("nvt-nose-hoover", "npt-isotropic")
_SYMBOLS = ("Cl", "Na", "O", "Ta")
_N_MAX, _BASIS, _L_MAX, _NEURONS = (6, 5), (8, 8), (4, 2, 0), 30


def random_student(folder: Path) -> Path:
    """Write a NEP4 of the usual size with small random weights."""
    descriptors = _N_MAX[0] + 1 + (_N_MAX[1] + 1) * (_L_MAX[0] + 1)
    n_network = len(_SYMBOLS) * _NEURONS * (descriptors + 2) + 1
    n_basis = sum((n + 1) * (b + 1) for n, b in zip(_N_MAX, _BASIS, strict=True))
    weights = np.random.default_rng(1).normal(
        scale=0.02, size=n_network + len(_SYMBOLS) ** 2 * n_basis
    )
    lines = [
        f"nep4_zbl {len(_SYMBOLS)} {' '.join(_SYMBOLS)}", "zbl 0.9 1.8", "cutoff 6.5 5 200 150",
        f"n_max {_N_MAX[0]} {_N_MAX[1]}", f"basis_size {_BASIS[0]} {_BASIS[1]}",
        f"l_max {_L_MAX[0]} {_L_MAX[1]} {_L_MAX[2]}", f"ANN {_NEURONS} 0",
        *(f"{weight:.7e}" for weight in weights), *(["1.0"] * descriptors),
    ]  # fmt: skip
    path = folder / "random.nep.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def glass(n_atoms: int) -> Atoms:
    """Return a random packing of NaTaOCl4."""
    mixture = get_family("namocl4").mixture({}, former="Ta")
    box = pack(mixture, mixture.integer_units(target_n_atoms=n_atoms), seed=1)
    return AseAtomsAdaptor.get_atoms(box.structure, msonable=False)


def bare_loop(atoms: Atoms, calculator: Calculator, settings: MDSettings, _level: str) -> None:
    """Integrate with ASE and calorine alone."""
    atoms = starting_atoms(atoms, settings)
    atoms.calc = calculator
    step, kelvin = settings.timestep_fs * units.fs, settings.temperature_k
    damping = settings.thermostat_time_fs * units.fs
    if settings.ensemble == "nvt-nose-hoover":
        NoseHooverChainNVT(atoms, step, temperature_K=kelvin, tdamp=damping).run(settings.n_steps)
        return
    pressure_damping = settings.barostat_time_fs * units.fs
    IsotropicMTKNPT(
        atoms, step, temperature_K=kelvin, pressure_au=0.0, tdamp=damping, pdamp=pressure_damping
    ).run(settings.n_steps)


def our_runner(atoms: Atoms, calculator: Calculator, settings: MDSettings, level: str) -> None:
    """Integrate with trajectory, checkpoints and guards, in a fresh directory."""
    # a packing at these random weights may drift as it likes: only looking is timed
    watched = [*domain_guards(level), *dynamics_guards(atoms, settings, Stage("glass"))]
    guards = [lambda state, at, look=look: (look(state, at), None)[1] for look in watched]
    with tempfile.TemporaryDirectory() as directory:
        run_md(atoms, calculator, settings, Path(directory), signature="benchmark", guards=guards)


def cpu_seconds(function: Callable[..., None], *arguments: object) -> float:
    """Return the processor time of a call."""
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def measure_loop(level: str, ensemble: str, options: argparse.Namespace) -> float:
    """Print and return the ratio of our runner to the bare loop."""
    atoms, calculator = glass(options.atoms), load_potential(level).calculator
    settings = MDSettings(ensemble, temperature_k=300.0, n_steps=options.steps, timestep_fs=0.5,
                          trajectory_interval=50)  # fmt: skip
    ratios = []
    for number in range(options.repeats):
        bare, ours = (
            cpu_seconds(function, atoms, calculator, settings, level) / options.steps
            for function in (bare_loop, our_runner)
        )
        ratios.append(ours / bare)
        print(f"  pair {number + 1}: bare {1e3 * bare:.3f}, ours {1e3 * ours:.3f} ms/step")
    ratio = statistics.median(ratios)
    print(
        f"NEP, {ensemble}, {len(atoms)} atoms, {options.steps} steps: ours/calorine = "
        f"{ratio:.3f} (allowed {MOST_LOOP})"
    )
    return ratio


def measure_teacher(level: str, options: argparse.Namespace) -> float:
    """Print and return how many times faster the student is."""
    atoms = glass(options.atoms)
    names = (level, options.teacher)
    student, teacher = (us_per_atom_step(load_potential(n).calculator, atoms) for n in names)
    print(
        f"{len(atoms)} atoms, one thread, us per atom and step: {options.teacher} {teacher:.0f}, "
        f"student {student:.1f}: {teacher / student:.0f} times (at least {LEAST_TEACHER:g})"
    )
    return teacher / student


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["loop", "teacher"], help="loop, teacher, gpu")
    parser.add_argument("--student", type=Path, help="nep.txt; default: random weights")
    parser.add_argument("--teacher", default="chgnet-r2scan-d3")
    parser.add_argument("--atoms", type=int, default=224)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        level = f"nep:{options.student or random_student(Path(folder))}"
        if "loop" in options.what:
            ratios = [measure_loop(level, ensemble, options) for ensemble in ENSEMBLES]
            passed &= max(ratios) <= MOST_LOOP
        if "teacher" in options.what:
            passed &= measure_teacher(level, options) >= LEAST_TEACHER
    if "gpu" in options.what:
        passed &= gpu.main(["speed"]) == 0
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
