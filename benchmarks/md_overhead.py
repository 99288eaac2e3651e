"""What checkpoints, trajectory and guards cost: our MD runner against a bare ASE loop.

Both integrate the same steps of the same ensemble with the same calculator, one after the
other (A B A B ...); the ratio is the median over the pairs. The guards are those of a production
run of a crystal; that of a glass, which looks for Bragg peaks now and then, is timed by itself and
its share per step is added. Exit code 1 when a ratio is above 1.05.
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

from haloflow.engines.md import MDSettings, run_md
from haloflow.engines.md_start import starting_atoms
from haloflow.makers.guards import BRAGG_CHECK_STEPS, Stage, crystallisation_guard, dynamics_guards

if TYPE_CHECKING:
    from collections.abc import Callable

    from ase import Atoms

ALLOWED = 1.05
MOBILE = "Na"
BRAGG_CALLS = 5
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
    guards = dynamics_guards(atoms, settings, Stage("crystal", mobile=MOBILE))
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


def bragg_seconds_per_step(atoms: Atoms) -> float:
    """Return what the search for Bragg peaks costs, spread over the steps between two."""
    guard = crystallisation_guard()
    guard(atoms, BRAGG_CHECK_STEPS)
    calls = [seconds(guard, atoms, BRAGG_CHECK_STEPS) for _ in range(BRAGG_CALLS)]
    return statistics.median(calls) / BRAGG_CHECK_STEPS


def measure(ensemble: str, options: argparse.Namespace) -> float:
    """Print and return the ratio of our runner to the bare loop."""
    atoms, calculator, temperature_k = system(options.calculator)
    settings = MDSettings(ensemble, temperature_k=temperature_k, n_steps=options.steps, seed=1)
    warm_up = MDSettings(ensemble, temperature_k=temperature_k, n_steps=10, seed=1)
    for function in (bare_loop, our_runner):
        function(atoms, calculator, warm_up)
    bragg_s = bragg_seconds_per_step(atoms)
    ratios = []
    for number in range(options.repeats):
        bare, ours = (
            seconds(function, atoms, calculator, settings) / options.steps
            for function in (bare_loop, our_runner)
        )
        ours += bragg_s
        ratios.append(ours / bare)
        print(f"  pair {number + 1}: bare {1e3 * bare:.3f}, ours {1e3 * ours:.3f} ms/step")
    ratio = statistics.median(ratios)
    print(
        f"{options.calculator}, {ensemble}, {len(atoms)} atoms, {options.steps} steps: "
        f"ours/bare = {ratio:.3f} (allowed {ALLOWED}; Bragg guard {1e3 * bragg_s:.4f} ms/step)"
    )
    return ratio


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calculator", default="chgnet-r2scan", help="'lj' or a potential's name")
    parser.add_argument("--ensemble", nargs="+", default=ENSEMBLES, choices=ENSEMBLES)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    return int(max(measure(ensemble, options) for ensemble in options.ensemble) > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
