"""How far a run is: shares of the work done and times left, kept from what a run reports."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..makers.progress import Progress
    from ..workflows.plan import Plan
    from ..workflows.run import StepLabel

_LEAST_SHARE_FOR_ETA = 0.03
"""Before this much is done, the start of the workers dominates the time."""


@dataclass
class RunningStep:
    """A step at work: how far, and how fast since it was first seen."""

    label: StepLabel
    started: float
    stage: str = "starting"
    done: int = 0
    total: int = 0
    _first: tuple[float, int] | None = None

    @property
    def share(self) -> float:
        """Fraction done, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    def take(self, progress: Progress, now: float) -> None:
        """Note a report of the step."""
        self.stage, self.done, self.total = progress.stage, progress.done, progress.total
        if self._first is None:
            self._first = (now, progress.done)

    def eta_s(self, now: float) -> float | None:
        """Return the seconds left at the speed so far; ``None`` while unknown."""
        if self._first is None or self.done <= self._first[1]:
            return None
        speed = (self.done - self._first[1]) / max(now - self._first[0], 1e-9)
        return (self.total - self.done) / speed


@dataclass
class Tracker:
    """The state of a run, fed by its events.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """

    clock: Callable[[], float] = time.monotonic
    running: dict[str, RunningStep] = field(default_factory=dict)
    n_done: int = 0
    n_failed: int = 0
    _costs: dict[str, float] = field(default_factory=dict)
    _candidates: dict[str, frozenset[str]] = field(default_factory=dict)
    _settled: set[str] = field(default_factory=set)
    _started: float = 0.0

    def planned(self, plan: Plan) -> None:
        """Take in what will run."""
        self._started = self.clock()
        self._costs = {i: max(step.cost.core_hours, 1e-9) for i, step in plan.to_run.items()}
        for candidate in plan.candidates:
            own = frozenset(step.identity for step in candidate.steps)
            self._candidates[candidate.document.candidate_id] = own & self._costs.keys()

    @property
    def n_steps(self) -> int:
        """Number of steps to run."""
        return len(self._costs)

    def started(self, label: StepLabel) -> None:
        """Note a step that a worker took."""
        self.running[label.identity] = RunningStep(label, self.clock())

    def progressed(self, label: StepLabel, progress: Progress) -> None:
        """Note how far a step is."""
        if label.identity in self.running:
            self.running[label.identity].take(progress, self.clock())

    def finished(self, label: StepLabel) -> None:
        """Note a step with a result."""
        self.n_done += 1
        self._settle(label)

    def failed(self, label: StepLabel) -> None:
        """Note a step without one."""
        self.n_failed += 1
        self._settle(label)

    def skipped(self, label: StepLabel) -> None:
        """Note a step that does not run."""
        self._settle(label)

    def _settle(self, label: StepLabel) -> None:
        self.running.pop(label.identity, None)
        self._settled.add(label.identity)

    def share(self, candidate_id: str | None = None) -> float:
        """Return the fraction of the work done, weighted with the estimated cost.

        Parameters
        ----------
        candidate_id
            Of this candidate; default: of the whole run.
        """
        identities = self._costs if candidate_id is None else self._candidates[candidate_id]
        total = sum(self._costs[identity] for identity in identities)
        return sum(self._work_done(identity) for identity in identities) / total if total else 1.0

    def _work_done(self, identity: str) -> float:
        if identity in self._settled:
            return self._costs[identity]
        step = self.running.get(identity)
        return self._costs[identity] * step.share if step else 0.0

    def candidate_steps(self, candidate_id: str) -> tuple[int, int]:
        """Return how many of a candidate's steps to run are settled, and all of them."""
        own = self._candidates[candidate_id]
        return len(self._settled.intersection(own)), len(own)

    def eta_s(self) -> float | None:
        """Return the seconds left at the speed so far; ``None`` while unknown."""
        share = self.share()
        if not _LEAST_SHARE_FOR_ETA <= share < 1:
            return None
        return (self.clock() - self._started) * (1 - share) / share
