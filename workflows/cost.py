"""What a step costs, estimated before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from ..units import SECONDS_PER_HOUR

# Milliseconds per atom and step on one thread of a 2020s server core, measured on
# NaTaOCl4 glass: an order of magnitude for the plan, not a promise.
_MS_PER_ATOM_STEP = {
    "chgnet-r2scan": 0.4,
    "chgnet-0.3.0": 0.4,
    "chgnet-r2scan-d3": 0.5,
    "chgnet-0.3.0-d3": 0.5,
    "sevennet-0": 2.6,
    "sevennet-l3i5": 13.5,
    "nep": 0.026,
    "ase": 0.05,
    "mace": 3.0,
    "vasp": 1e4,  # of a cell of some tens of atoms; larger ones cost more per atom
    "gpaw": 1e4,  # of 2 to 14 atoms, with as many k-points as they need
}
_DEFAULT_MS = 3.0
# Megabytes of a GPU per atom, forces included, in single precision: from what fits into GPUs of
# 16 to 80 GB by the potentials' own reports. Not measured here.
_GPU_MB_PER_ATOM = {"chgnet": 5.0, "sevennet": 25.0, "mace": 15.0, "nep": 0.1, "ase": 1.0}
_DEFAULT_GPU_MB = 30.0
_PROCESS_GB = 3.0  # of Python, torch and a part of a trajectory
_GPU_CONTEXT_GB = 1.0  # of CUDA, torch's kernels and the weights, for each process
_BYTES_PER_ATOM_FRAME = 11.0
_BYTES_PER_DOCUMENT = 2e5
_SECONDS_PER_ANALYSIS = 2.0
GIGABYTE = 1e9


@dataclass(frozen=True)
class Cost:
    """Estimated cost of a step.

    Attributes
    ----------
    core_hours
        Processor time on one thread.
    disk_gb
        Trajectory, checkpoints and document.
    work_units
        MD or relaxation steps: the length of its progress bar.
    n_atoms
        Atoms whose forces are evaluated; none of pure analysis.
    """

    core_hours: float
    disk_gb: float
    work_units: int
    n_atoms: int = 0


@lru_cache(maxsize=4096)
def dynamics_cost(level: str, n_atoms: int, n_steps: int, trajectory_interval: int) -> Cost:
    """Estimate a run of `n_steps` energy and force evaluations."""
    ms = _MS_PER_ATOM_STEP.get(level, _MS_PER_ATOM_STEP.get(level.partition(":")[0], _DEFAULT_MS))
    for family in ("mace", "vasp", "gpaw"):
        ms = _MS_PER_ATOM_STEP[family] if level.startswith(f"{family}-") else ms
    frames = n_steps / trajectory_interval if trajectory_interval else 0.0
    return Cost(
        core_hours=ms * 1e-3 * n_atoms * n_steps / SECONDS_PER_HOUR,
        disk_gb=(frames * n_atoms * _BYTES_PER_ATOM_FRAME + _BYTES_PER_DOCUMENT) / GIGABYTE,
        work_units=n_steps,
        n_atoms=n_atoms,
    )


def gpu_memory_gb(level: str, n_atoms: int) -> float:
    """Estimate what one process needs of a GPU's memory."""
    families = (mb for name, mb in _GPU_MB_PER_ATOM.items() if level.startswith(name))
    return _GPU_CONTEXT_GB + n_atoms * next(families, _DEFAULT_GPU_MB) / 1e3


def memory_gb(level: str, n_atoms: int) -> float:
    """Estimate what a step needs of a machine's memory: a trajectory in parts, or a potential."""
    families = (mb for name, mb in _GPU_MB_PER_ATOM.items() if level.startswith(name))
    return _PROCESS_GB + 2 * n_atoms * next(families, _DEFAULT_GPU_MB) / 1e3


@cache
def analysis_cost() -> Cost:
    """Estimate a step that only reads what others computed."""
    return Cost(_SECONDS_PER_ANALYSIS / SECONDS_PER_HOUR, _BYTES_PER_DOCUMENT / GIGABYTE, 1)
