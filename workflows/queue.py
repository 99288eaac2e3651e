"""The order in which steps can run: parents first, the longest way to go first."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .steps import PlannedStep


class StepQueue:
    """Steps that wait for their parents or for a worker.

    Parameters
    ----------
    steps
        Steps to run; each of their parents is one of them or done.
    done
        Identities that have a result already.
    apart
        Identities of those that are taken by themselves.
    """

    def __init__(
        self, steps: Iterable[PlannedStep], done: Iterable[str], apart: Collection[str] = ()
    ) -> None:
        self._waiting = {step.identity: step for step in steps}
        known = set(done)
        self._missing = {i: set(s.after) - known for i, s in self._waiting.items()}
        self._failed: set[str] = set()
        self._children: dict[str, list[str]] = {}
        for identity, parents in self._missing.items():
            for parent in parents:
                self._children.setdefault(parent, []).append(identity)
        assert self._children.keys() <= self._waiting.keys(), "a parent is not in the plan"
        self._urgency = _critical_paths(self._waiting, self._children)
        self._apart = frozenset(apart)
        self._ready: dict[bool, list[tuple[float, str]]] = {True: [], False: []}
        for identity, left in self._missing.items():
            if not left:
                self._add(identity)

    @property
    def open(self) -> bool:
        """Whether steps wait."""
        return bool(self._waiting)

    def take(self, *, apart: bool = False) -> PlannedStep | None:
        """Take the most urgent step that can run now, of those apart or of the others."""
        ready = self._ready[apart]
        return self._waiting.pop(heappop(ready)[1]) if ready else None

    def _add(self, identity: str) -> None:
        heappush(self._ready[identity in self._apart], (-self._urgency[identity], identity))

    def put_back(self, step: PlannedStep) -> None:
        """Put back a step that was taken but cannot run now."""
        self._waiting[step.identity] = step
        self._add(step.identity)

    def finished(self, identity: str) -> None:
        """Note a result."""
        for child in self._children.get(identity, ()):
            self._missing[child].discard(identity)
            if not self._missing[child] and child in self._waiting:
                self._add(child)

    def broken(self, identity: str) -> list[str]:
        """Note a result that nothing can start from; return all that can no longer run.

        Steps that can work with what arrived take it as it is.
        """
        lost: list[str] = []
        for child in self._children.get(identity, ()):
            if child in self._waiting and self._waiting[child].maker.needs_all_inputs:
                del self._waiting[child]
                lost += self.failed(child)
        self.finished(identity)
        return lost

    def failed(self, identity: str) -> list[str]:
        """Note a step without a result; return it and all that can no longer run.

        Steps that can work with what arrived (`StepMaker.needs_all_inputs` is false) run
        unless nothing arrived.
        """
        self._failed.add(identity)
        lost = [identity]
        for child in self._children.get(identity, ()):
            step = self._waiting.get(child)
            if step is None:
                continue
            if step.is_lost_without(self._failed):
                del self._waiting[child]
                lost += self.failed(child)
        self.finished(identity)
        return lost


def _critical_paths(
    steps: dict[str, PlannedStep], children: dict[str, list[str]]
) -> dict[str, float]:
    """Return, per step, the core-hours of the longest chain that starts with it."""
    lengths: dict[str, float] = {}

    def length(identity: str) -> float:
        if identity not in lengths:
            after = (length(child) for child in children.get(identity, ()))
            lengths[identity] = steps[identity].cost.core_hours + max(after, default=0.0)
        return lengths[identity]

    for identity in steps:
        length(identity)
    return lengths
