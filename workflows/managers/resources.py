"""What a step asks of a machine: from its estimated cost, or as the sweep says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from ...settings import get_settings
from ...units import SECONDS_PER_HOUR
from ..cost import gpu_memory_gb, memory_gb
from .task import Orders

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..steps import PlannedStep
    from ..sweep import ResourceStage, Sweep

_STAGES: dict[str, ResourceStage] = {
    "relax": "relax",
    "registries": "relax",
    "melt_quench": "melt_quench",
    "md": "md",
    "neb": "relax",
    "label": "relax",
}
_SAFETY = 5.0
"""An estimate is right within about this factor."""
_LEAST_WALLTIME_S = 1800.0
_LONGEST_WALLTIME_S = 24 * SECONDS_PER_HOUR
_START_S = 120.0
"""Of a job: its environment, Python, a potential; and at its end a checkpoint."""
_LARGEST_START_SHARE = 0.25
_LEAST_START_S = 30.0
_EXPORT = re.compile(r"^export HALOFLOW_(THREADS_PER_WORKER|DEVICE)=\"?(\w+)", re.MULTILINE)
_MOST_REPLICAS = 16


@dataclass(frozen=True)
class Resources:
    """What one job gets.

    Attributes
    ----------
    cores
        Processors of one node, one per thread.
    memory_gb
        ``None`` for what the queue gives by default.
    walltime_s
        Time limit of the job.
    replicas_per_gpu
        How many such jobs fit on one GPU.
    estimated_gb
        Memory it may need, for where neither it nor the worker names any.
    """

    cores: int
    gpus: int
    memory_gb: float | None
    walltime_s: float
    replicas_per_gpu: int = 1
    estimated_gb: float | None = None

    @property
    def step_s(self) -> float:
        """Seconds after which the step stops with a checkpoint, before the limit ends it."""
        return self.walltime_s - min(_START_S, _LARGEST_START_SHARE * self.walltime_s)

    @property
    def walltime(self) -> str:
        """The time limit as HH:MM:SS."""
        minutes, seconds = divmod(ceil(self.walltime_s), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"

    @property
    def category(self) -> str:
        """Which workers fit: ``gpu`` or ``cpu``."""
        return "gpu" if self.gpus else "cpu"


@dataclass(frozen=True)
class Usual:
    """What steps get on a worker that the sweep says nothing about."""

    threads: int
    device: str

    @classmethod
    def of(cls, script: str | None) -> Usual:
        """Read the lines of shell that prepare a job there; the rest is in the settings here."""
        settings = get_settings()
        said = dict(_EXPORT.findall(script or ""))
        threads = said.get("THREADS_PER_WORKER", settings.threads_per_worker)
        return cls(int(threads), said.get("DEVICE", settings.device))


def resources_of(step: PlannedStep, sweep: Sweep, usual: Usual | None = None) -> Resources:
    """Return what the job of `step` asks for.

    Without a word in the sweep: the worker's threads, a GPU where it has one and the step
    evaluates or trains a potential, and five times the estimated time, between half an hour and
    a day.
    """
    usual = usual or Usual.of(None)
    asked: dict[str, Any] = {}
    if (section := sweep.resources.get(stage_of(step))) is not None:
        asked = section.model_dump(exclude_none=True)
    uses_torch = bool(step.maker.levels) or step.kind == "trained_model"
    on_gpu = uses_torch and usual.device == "cuda"
    cores = asked.get("cores", usual.threads)
    estimate_s = _SAFETY * _estimate_s(step, cores) + _START_S
    hours = asked.get("walltime_h")
    return Resources(
        cores=cores,
        gpus=asked.get("gpus", int(on_gpu)),
        memory_gb=asked.get("memory_gb"),
        walltime_s=hours * SECONDS_PER_HOUR
        if hours is not None
        else min(max(estimate_s, _LEAST_WALLTIME_S), _LONGEST_WALLTIME_S),
        replicas_per_gpu=asked.get("replicas_per_gpu", _replicas_per_gpu(step)),
        estimated_gb=memory_gb(_level(step), step.cost.n_atoms),
    )


def stage_of(step: PlannedStep) -> ResourceStage:
    """Return the section of ``resources:`` that is about `step`."""
    return _STAGES.get(step.kind, "analysis")


def orders_of(step: PlannedStep, asked: Resources, candidate_ids: Iterable[str]) -> Orders:
    """Return what goes with the job of `step`."""
    way_s = _estimate_s(step, asked.cores) * _share_to_checkpoint(step)
    return Orders(
        identity=step.identity,
        name=step.name,
        after=step.after,
        candidate_ids=tuple(candidate_ids),
        walltime_s=asked.step_s,
        cores=asked.cores,
        gpus=asked.gpus,
        estimated_core_hours=step.cost.core_hours,
        stage=stage_of(step),
        work_units=step.cost.work_units,
        checkpoint_s=way_s,
        least_s=min(_LEAST_START_S + _SAFETY * way_s, asked.step_s),
        replicas_per_gpu=asked.replicas_per_gpu,
    )


def _estimate_s(step: PlannedStep, cores: int) -> float:
    return step.cost.core_hours * SECONDS_PER_HOUR / cores


def _share_to_checkpoint(step: PlannedStep) -> float:
    """Return which share of a step is lost at most when it is killed."""
    own = getattr(step.maker, "checkpoint_interval", None)
    interval = own or getattr(getattr(step.maker, "protocol", None), "checkpoint_interval", None)
    return min(interval / max(step.cost.work_units, 1), 1.0) if interval else 1.0


def _level(step: PlannedStep) -> str:
    return step.maker.levels[0] if step.maker.levels else ""


def _replicas_per_gpu(step: PlannedStep) -> int:
    """Return how many fit into the memory of a GPU, by the estimate."""
    if not step.cost.n_atoms:
        return _MOST_REPLICAS
    needed = gpu_memory_gb(_level(step), step.cost.n_atoms)
    return max(min(int(get_settings().gpu_memory_gb / needed), _MOST_REPLICAS), 1)
