"""From a plan to jobflow Flows: what has no result yet, each step once, connected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobflow import Flow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from jobflow import Job

    from ..plan import Plan
    from ..steps import PlannedStep


@dataclass(frozen=True)
class Component:
    """Steps that depend on each other and on no step of another component, parents first."""

    name: str
    steps: list[PlannedStep]

    def flow(self) -> Flow:
        """Return them as a Flow; outputs of steps that are done stand as external references."""
        return Flow(self.jobs(), name=self.name)

    def jobs(self) -> list[Job]:
        """Return their jobs, in the same order."""
        return [step.to_job() for step in self.steps]


def pending_components(plan: Plan, known: Collection[str] = ()) -> list[Component]:
    """Group the steps of `plan` that have no result.

    Parameters
    ----------
    plan
        Of the sweep.
    known
        Identities that the manager has already. They stand only where a new step starts from
        them: a step that is done by then costs its second job no more than a look.
    """
    to_run = plan.to_run
    wanted: dict[str, None] = {}

    def include(identity: str) -> None:
        if identity in to_run and identity not in wanted:
            wanted[identity] = None
            for parent in to_run[identity].after:
                include(parent)

    for identity in to_run:
        if identity not in known:
            include(identity)
    steps = [step for identity, step in to_run.items() if identity in wanted]
    labels = _labels(plan)
    return [
        Component(_name(plan, {labels[step.identity] for step in group}), group)
        for group in _connected(steps)
    ]


def with_skipped(plan: Plan, unfinished: Collection[str], ended: Collection[str]) -> set[str]:
    """Return the steps that the manager has: unfinished ones, and what waits for their retry.

    Parameters
    ----------
    plan
        Of the sweep.
    unfinished, ended
        Identities of steps without a result, whose jobs have not ended, or have.
    """
    known = set(unfinished)
    for identity, step in plan.to_run.items():  # parents first
        if identity in ended and known.intersection(step.after):
            known.add(identity)
    return known


def _labels(plan: Plan) -> dict[str, str]:
    found: dict[str, str] = {}
    for candidate in plan.candidates:
        for step in candidate.steps:
            found.setdefault(step.identity, candidate.document.label)
    return found


def _name(plan: Plan, labels: Collection[str]) -> str:
    what = next(iter(labels)) if len(labels) == 1 else f"{len(labels)} candidates"
    return f"{plan.sweep.name}: {what}"


def _connected(steps: list[PlannedStep]) -> Iterator[list[PlannedStep]]:
    """Yield the connected components, each in the order of `steps`."""
    root = {step.identity: step.identity for step in steps}

    def find(identity: str) -> str:
        while root[identity] != identity:
            root[identity] = root[root[identity]]
            identity = root[identity]
        return identity

    for step in steps:
        for parent in step.after:
            if parent in root:
                root[find(parent)] = find(step.identity)
    groups: dict[str, list[PlannedStep]] = {}
    for step in steps:
        groups.setdefault(find(step.identity), []).append(step)
    yield from groups.values()
