"""What a step costs, estimated before it runs."""

from __future__ import annotations

from dataclasses import dataclass

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
}
_DEFAULT_MS = 3.0
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
    """

    core_hours: float
    disk_gb: float
    work_units: int


def dynamics_cost(level: str, n_atoms: int, n_steps: int, trajectory_interval: int) -> Cost:
    """Estimate a run of `n_steps` energy and force evaluations."""
    ms = _MS_PER_ATOM_STEP.get(level, _MS_PER_ATOM_STEP.get(level.partition(":")[0], _DEFAULT_MS))
    ms = ms if not level.startswith("mace-") else _MS_PER_ATOM_STEP["mace"]
    frames = n_steps / trajectory_interval if trajectory_interval else 0.0
    return Cost(
        core_hours=ms * 1e-3 * n_atoms * n_steps / SECONDS_PER_HOUR,
        disk_gb=(frames * n_atoms * _BYTES_PER_ATOM_FRAME + _BYTES_PER_DOCUMENT) / GIGABYTE,
        work_units=n_steps,
    )


def analysis_cost() -> Cost:
    """Estimate a step that only reads what others computed."""
    return Cost(_SECONDS_PER_ANALYSIS / SECONDS_PER_HOUR, _BYTES_PER_DOCUMENT / GIGABYTE, 1)
