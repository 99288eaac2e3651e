"""Atom-steps per second of a batch that torch-sim evaluates, against the ASE runner on one card.

`speed`: the same glasses, potential, ensemble and card; first one glass by the ASE runner, then
all of them side by side. Exit code 1 below 20. Where there is no GPU it says so and measures
nothing.

`overhead`: processor time per glass and step of everything but the potential (integrator,
waiting, trajectory, guards), with a potential that costs nothing. Needs no GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.engines.batching import BatchedCalculator, BatchedModel, Structure
from haloflow.engines.evaluator import Evaluation
from haloflow.engines.lockstep import Lockstep
from haloflow.engines.md import MDResult, MDSettings, run_md
from haloflow.engines.potentials import load_potential
from haloflow.engines.torchsim_models import choose_runner, load_batched
from haloflow.errors import MissingDependencyError
from haloflow.makers.guards import Stage, dynamics_guards
from haloflow.systems.families import get_family
from haloflow.systems.packing import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ase import Atoms
    from ase.calculators.calculator import Calculator

LEAST_SPEED = 20.0
_WARM_STEPS = 20


class Nothing(BatchedModel):
    """A potential without forces, at no cost."""

    def _forward(self, structures: Sequence[Structure]) -> list[Evaluation]:
        return [Evaluation(0.0, np.zeros_like(one.positions_a), np.zeros(6)) for one in structures]

    def _is_out_of_memory(self, error: Exception) -> bool:
        del error
        return False


@cache
def glass(n_atoms: int) -> Atoms:
    """Return a random packing of NaTaOCl4."""
    mixture = get_family("namocl4").mixture({}, former="Ta")
    box = pack(mixture, mixture.integer_units(target_n_atoms=n_atoms), seed=1)
    return AseAtomsAdaptor.get_atoms(box.structure, msonable=False)


def run(calculator: Calculator, options: argparse.Namespace, seed: int, folder: Path) -> MDResult:
    """Run one glass with trajectory, checkpoints and guards that only look."""
    atoms = glass(options.atoms)
    settings = MDSettings(
        "nvt-nose-hoover", 600.0, options.steps, timestep_fs=0.5, seed=seed,
        trajectory_interval=50,
    )  # fmt: skip
    watched = dynamics_guards(atoms, settings, Stage("glass"))
    guards = [lambda state, at, look=look: (look(state, at), None)[1] for look in watched]
    return run_md(atoms, calculator, settings, folder, signature="benchmark", guards=guards)


def side_by_side(
    make: Callable[[], Calculator], options: argparse.Namespace, clock: object
) -> float:
    """Return the seconds of all glasses together."""
    with tempfile.TemporaryDirectory() as folder:
        tasks = [
            (str(seed), partial(run, make(), options, seed, Path(folder) / str(seed)))
            for seed in range(options.glasses)
        ]
        start = clock()
        for _name, result in Lockstep[MDResult]().run(tasks):
            if isinstance(result, Exception):
                raise result
        return clock() - start


def measure_overhead(options: argparse.Namespace) -> None:
    """Print what one glass and step cost without a potential."""
    model = Nothing()
    short = argparse.Namespace(**(vars(options) | {"steps": _WARM_STEPS}))
    side_by_side(lambda: BatchedCalculator(model), short, time.process_time)  # it imports
    seconds = side_by_side(lambda: BatchedCalculator(model), options, time.process_time)
    per_step = 1e6 * seconds / options.glasses / options.steps
    print(
        f"{options.glasses} glasses of {len(glass(options.atoms))} atoms, everything but the "
        f"potential: {per_step:.0f} us of one core per glass and step"
    )


def measure_speed(options: argparse.Namespace) -> float | None:
    """Print and return how many times faster the batch is; ``None`` without a GPU."""
    import torch

    if not torch.cuda.is_available():
        print("speed: nothing measured: no GPU here")
        return None
    try:
        choose_runner("torch-sim", options.level, "cuda")
    except MissingDependencyError as error:
        print(f"speed: nothing measured: {error}")
        return None
    n_atoms = len(glass(options.atoms))
    single = load_potential(options.level, device="cuda").calculator

    def make() -> Calculator:
        return load_batched(options.level, device="cuda").calculator

    short = argparse.Namespace(**(vars(options) | {"steps": _WARM_STEPS}))
    with tempfile.TemporaryDirectory() as folder:
        run(single, short, 0, Path(folder) / "warm")
        start = time.perf_counter()
        run(single, options, 0, Path(folder) / "timed")
        alone = n_atoms * options.steps / (time.perf_counter() - start)
    side_by_side(make, short, time.perf_counter)
    seconds = side_by_side(make, options, time.perf_counter)
    together = options.glasses * n_atoms * options.steps / seconds
    print(
        f"{options.level} on {torch.cuda.get_device_name()}, {options.glasses} glasses of "
        f"{n_atoms} atoms, atom-steps per second: ASE {alone:.3g}, torch-sim {together:.3g}: "
        f"{together / alone:.1f} times (at least {LEAST_SPEED:g})"
    )
    return together / alone


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["speed", "overhead"], help="speed, overhead")
    parser.add_argument("--level", default="chgnet-r2scan-d3")
    parser.add_argument("--atoms", type=int, default=84)
    parser.add_argument("--glasses", type=int, default=64)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args(arguments)
    speed = measure_speed(options) if "speed" in options.what else None
    if "overhead" in options.what:
        measure_overhead(options)
    return int(speed is not None and speed < LEAST_SPEED)


if __name__ == "__main__":
    sys.exit(main())
