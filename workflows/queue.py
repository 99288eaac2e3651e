"""The order in which steps can run: parents first, the longest way to go first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .steps import PlannedStep


class StepQueue:
    """Steps that wait for their parents or for a worker.

    Parameters
    ----------
    steps
        Steps to run.
    done
        Identities that have a result already.
    """

    def __init__(self, steps: Iterable[PlannedStep], done: Iterable[str]) -> None:
        self._waiting = {step.identity: step for step in steps}
        self._settled = set(done)
        self._remaining = _critical_paths(self._waiting)
        self._children: dict[str, list[str]] = {}
        for step in self._waiting.values():
            for parent in step.after:
                self._children.setdefault(parent, []).append(step.identity)

    @property
    def open(self) -> bool:
        """Whether steps wait."""
        return bool(self._waiting)

    @property
    def ready(self) -> list[PlannedStep]:
        """Steps that could run now, the one with the longest way to go first."""
        able = [s for s in self._waiting.values() if self._settled.issuperset(s.after)]
        return sorted(able, key=lambda s: -self._remaining[s.identity])

    def take(self) -> PlannedStep | None:
        """Take the most urgent step that can run now."""
        ready = self.ready
        return self._waiting.pop(ready[0].identity) if ready else None

    def finished(self, identity: str) -> None:
        """Note a result."""
        self._settled.add(identity)

    def failed(self, identity: str) -> list[str]:
        """Note a step without a result; return it and all that can no longer run.

        Steps that can work with what arrived (`StepMaker.needs_all_inputs` is false) go on
        as soon as all their parents are settled.
        """
        self._settled.add(identity)
        lost = [identity]
        for child in self._children.get(identity, []):
            step = self._waiting.get(child)
            if step is not None and step.maker.needs_all_inputs:
                del self._waiting[child]
                lost += self.failed(child)
        return lost


def _critical_paths(steps: dict[str, PlannedStep]) -> dict[str, float]:
    """Return, per step, the core-hours of the longest chain that starts with it."""
    children: dict[str, list[str]] = {}
    for step in steps.values():
        for parent in step.after:
            children.setdefault(parent, []).append(step.identity)
    lengths: dict[str, float] = {}

    def length(identity: str) -> float:
        if identity not in lengths:
            after = (length(child) for child in children.get(identity, []))
            lengths[identity] = steps[identity].cost.core_hours + max(after, default=0.0)
        return lengths[identity]

    for identity in steps:
        length(identity)
    return lengths
