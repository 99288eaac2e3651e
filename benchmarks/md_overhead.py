"""What checkpoints, trajectory and guards cost: our MD runner against a bare ASE loop.

Both integrate the same steps of the same ensemble with the same calculator, one after the
other (A B A B ...); the ratio is the median over the pairs. Exit code 1 when it is above 1.05.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import units
from ase.build import bulk
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import IsotropicMTKNPT, NoseHooverChainNVT

from haloflow.engines.guards import distance_guard, temperature_guard, volume_guard
from haloflow.engines.md import MDSettings, run_md
from haloflow.engines.md_start import starting_atoms

if TYPE_CHECKING:
    from collections.abc import Callable

    from ase import Atoms

ALLOWED = 1.05
ENSEMBLES = ("nvt-langevin", "nvt-nose-hoover", "npt-isotropic")


def system(calculator: str) -> tuple[Atoms, Any, float]:
    """Return atoms, a calculator, and a temperature in K."""
    if calculator == "lj":
        from ase.calculators.lj import LennardJones

        argon = bulk("Ar", "fcc", a=5.4, cubic=True) * 2
        return argon, LennardJones(sigma=3.4, epsilon=0.0104, rc=5.0, smooth=True), 40.0
    from haloflow.engines.potentials import load_potential

    salt = bulk("NaCl", "rocksalt", a=5.7, cubic=True) * (2, 2, 1)
    return salt, load_potential(calculator, threads=1).calculator, 600.0


def bare_loop(atoms: Atoms, calculator: object, settings: MDSettings) -> None:
    """Integrate with ASE alone."""
    atoms = starting_atoms(atoms, settings)
    atoms.calc = calculator
    step, kelvin = settings.timestep_fs * units.fs, settings.temperature_k
    if settings.ensemble == "nvt-langevin":
        atoms.set_constraint(FixCom())
        friction = settings.friction_per_ps / (1000 * units.fs)
        rng = np.random.default_rng(settings.seed)
        dynamics = Langevin(
            atoms, step, temperature_K=kelvin, friction=friction, fixcm=False, rng=rng
        )
    elif settings.ensemble == "nvt-nose-hoover":
        damping = settings.thermostat_time_fs * units.fs
        dynamics = NoseHooverChainNVT(atoms, step, temperature_K=kelvin, tdamp=damping)
    else:
        dynamics = IsotropicMTKNPT(
            atoms,
            step,
            temperature_K=kelvin,
            pressure_au=0.0,
            tdamp=settings.thermostat_time_fs * units.fs,
            pdamp=settings.barostat_time_fs * units.fs,
        )
    dynamics.run(settings.n_steps)


def our_runner(atoms: Atoms, calculator: object, settings: MDSettings) -> None:
    """Integrate with guards, checkpoints and a trajectory, in a fresh directory."""
    guards = [
        temperature_guard(settings),
        distance_guard(),
        volume_guard(atoms.get_volume()),
    ]
    with tempfile.TemporaryDirectory() as directory:
        result = run_md(
            atoms,
            calculator,
            settings,
            Path(directory),
            signature="benchmark",
            guards=guards,
            on_progress=lambda _done, _total: None,
        )
    if result.n_steps != settings.n_steps:
        raise SystemExit(f"the run ended early: {result.note}")


def seconds(function: Callable[..., None], *arguments: object) -> float:
    """Return the wall time of a call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calculator", default="chgnet-r2scan", help="'lj' or a potential's name")
    parser.add_argument("--ensemble", default="nvt-langevin", choices=ENSEMBLES)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    atoms, calculator, temperature_k = system(options.calculator)
    settings = MDSettings(
        options.ensemble, temperature_k=temperature_k, n_steps=options.steps, seed=1
    )
    warm_up = MDSettings(options.ensemble, temperature_k=temperature_k, n_steps=10, seed=1)
    for function in (bare_loop, our_runner):
        function(atoms, calculator, warm_up)
    pairs = []
    for number in range(options.repeats):
        pair = [seconds(f, atoms, calculator, settings) for f in (bare_loop, our_runner)]
        pairs.append(pair)
        per_step = [1e3 * value / options.steps for value in pair]
        print(f"pair {number + 1}: bare {per_step[0]:.3f} ms/step, ours {per_step[1]:.3f} ms/step")
    ratio = statistics.median(ours / bare for bare, ours in pairs)
    print(
        f"{options.calculator}, {options.ensemble}, {len(atoms)} atoms, {options.steps} steps: "
        f"ours/bare = {ratio:.3f} (allowed {ALLOWED})"
    )
    return int(ratio > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
