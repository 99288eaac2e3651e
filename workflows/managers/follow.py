"""How far submitted sweeps are: by stage and state, what is left, what failed and why."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...stores.results import failures, heads
from ...units import SECONDS_PER_HOUR
from ..status import candidate_documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...stores.connection import HaloflowStore
    from .base import JobState
    from .campaigns import Campaign

STATES = ("done", "running", "queued", "waiting", "paused", "failed", "skipped", "cancelled")
_NAMES = re.compile(r"\b[0-9a-f]{8,}\b|\d+(\.\d+)?")
"""What differs between two failures of one cause: hashes, times, sizes."""
_MOST_OFF = 10.0
"""Factor by which estimates are wrong at most."""
_SEED_OR_TEMPERATURE = re.compile(r"-(seed\d+|[\d.]+K)(?=-|$)")


@dataclass
class Failure:
    """Failed steps with one cause.

    Attributes
    ----------
    cause, tail
        Of the first of them.
    steps
        ``candidate: step``.
    """

    cause: str
    tail: str
    steps: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CampaignState:
    """Where a submitted sweep stands.

    Attributes
    ----------
    stages
        Stage (``md``, ``relax``...) to how many of its steps are in which of `STATES`.
    next_positions
        Where the first jobs stand in the queue of the machine.
    core_hours_spent, core_hours_left
        Of its steps; what is left in the measure of what the estimates proved to be.
    eta_s
        Seconds to the end with as many cores as are at work now; ``None`` while unknown.
    failures
        By cause, the most frequent first.
    starter
        What the user is to start, where steps could run and nothing waits or runs.
    overcome
        Causes of failed attempts that were run again: cause to how often.
    """

    sweep_name: str
    manager: str
    stages: dict[str, Counter[str]]
    next_positions: list[int]
    core_hours_spent: float
    core_hours_left: float
    eta_s: float | None
    failures: list[Failure]
    overcome: dict[str, int]
    starter: str = ""

    @property
    def counts(self) -> Counter[str]:
        """How many steps are in which state."""
        return sum(self.stages.values(), Counter())

    @property
    def is_settled(self) -> bool:
        """Whether nothing runs, waits for its turn, or can be waited for."""
        counts = self.counts
        return not (counts["running"] or counts["queued"])


def campaign_state(campaign: Campaign, store: HaloflowStore) -> CampaignState:
    """Look at the store, at the manager and at the queue."""
    documents = candidate_documents(store, campaign.sweep.name)
    names: dict[str, tuple[str, str]] = {}
    for document in documents:
        for name, identity in document.steps.items():
            names.setdefault(identity, (document.label, name))
    done = heads(store, names)
    jobs = campaign.manager.states(names)
    states = {i: _state_of(jobs.get(i), is_done=i in done) for i in names}
    stages: dict[str, Counter[str]] = {}
    for identity, (_, name) in names.items():
        stages.setdefault(_stage(name), Counter())[states[identity]] += 1
    spent, left, eta_s = _work(jobs, states)
    is_idle = not {"running"} & set(states.values()) and "queued" in states.values()
    is_idle = is_idle and not any(job.queue_id for i, job in jobs.items() if states[i] == "queued")
    return CampaignState(
        sweep_name=campaign.sweep.name,
        manager=campaign.manager.name,
        stages=stages,
        next_positions=sorted(job.queue_position for job in jobs.values() if job.queue_position),
        core_hours_spent=spent,
        core_hours_left=left,
        eta_s=eta_s,
        failures=_failures(jobs, states, names, failures(store, names)),
        overcome=_overcome(jobs.values()),
        starter=campaign.manager.starter if is_idle else "",
    )


def _state_of(job: JobState | None, *, is_done: bool) -> str:
    if is_done:
        return "done"
    if job is None:
        return "waiting"
    return "skipped" if job.phase == "done" else job.phase


def _stage(name: str) -> str:
    """Return what comes before seed and temperature; all competing phases are one stage."""
    return _SEED_OR_TEMPERATURE.sub("", "phase" if name.startswith("phase-") else name)


def _work(
    jobs: Mapping[str, JobState], states: Mapping[str, str]
) -> tuple[float, float, float | None]:
    """Return core-hours spent and left, and the seconds left."""
    spent = {i: job.run_s * job.cores / SECONDS_PER_HOUR for i, job in jobs.items()}
    ended = [i for i in jobs if states[i] == "done"]
    estimated = sum(jobs[i].estimated_core_hours for i in ended)
    scale = sum(spent[i] for i in ended) / estimated if estimated else 1.0
    scale = min(max(scale, 1 / _MOST_OFF), _MOST_OFF)  # the start of short jobs says little
    left = sum(
        max(scale * job.estimated_core_hours - spent[i], 0.0)
        for i, job in jobs.items()
        if states[i] in {"running", "queued", "waiting", "paused"}
    )
    cores = sum(job.cores for i, job in jobs.items() if states[i] == "running")
    return sum(spent.values()), left, left / cores * SECONDS_PER_HOUR if cores else None


def _failures(
    jobs: Mapping[str, JobState],
    states: Mapping[str, str],
    names: Mapping[str, tuple[str, str]],
    recorded: Mapping[str, str],
) -> list[Failure]:
    groups: dict[str, Failure] = {}
    for identity, job in jobs.items():
        if states[identity] == "failed":
            cause = recorded.get(identity, job.cause)
            group = groups.setdefault(_NAMES.sub("…", cause), Failure(cause, job.tail))
            group.steps.append(": ".join(names[identity]))
    return sorted(groups.values(), key=lambda one: -len(one.steps))


def _overcome(jobs: Iterable[JobState]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for job in jobs:
        for cause in job.earlier:
            counts[shown.setdefault(_NAMES.sub("…", cause), cause)] += 1
    return dict(counts.most_common())
