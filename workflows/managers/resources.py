"""What a step asks of a machine: from its estimated cost, or as the sweep says."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from ...settings import get_settings
from ...units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from ..steps import PlannedStep
    from ..sweep import ResourceStage, Sweep

_STAGES: dict[str, ResourceStage] = {
    "relax": "relax",
    "registries": "relax",
    "melt_quench": "melt_quench",
    "md": "md",
}
_SAFETY = 5.0
"""An estimate is right within about this factor."""
_LEAST_WALLTIME_S = 1800.0
_LONGEST_WALLTIME_S = 24 * SECONDS_PER_HOUR
_START_S = 120.0
"""Of a job: its environment, Python, a potential; and at its end a checkpoint."""
_LARGEST_START_SHARE = 0.25


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
    """

    cores: int
    gpus: int
    memory_gb: float | None
    walltime_s: float

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


def resources_of(step: PlannedStep, sweep: Sweep) -> Resources:
    """Return what the job of `step` asks for.

    Without a word in the sweep: the settings' threads, a GPU where they name one and the step
    evaluates a potential, and five times the estimated time, between half an hour and a day.
    """
    settings = get_settings()
    stage = _STAGES.get(step.kind, "analysis")
    asked: dict[str, Any] = {}
    if (section := sweep.resources.get(stage)) is not None:
        asked = section.model_dump(exclude_none=True)
    on_gpu = bool(step.maker.levels) and settings.device == "cuda"
    cores = asked.get("cores", settings.threads_per_worker)
    estimate_s = _SAFETY * step.cost.core_hours * SECONDS_PER_HOUR / cores + _START_S
    hours = asked.get("walltime_h")
    return Resources(
        cores=cores,
        gpus=asked.get("gpus", int(on_gpu)),
        memory_gb=asked.get("memory_gb"),
        walltime_s=hours * SECONDS_PER_HOUR
        if hours is not None
        else min(max(estimate_s, _LEAST_WALLTIME_S), _LONGEST_WALLTIME_S),
    )
