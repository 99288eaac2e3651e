"""Planned steps of a candidate, and the chain that they are collected in."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobflow import Job, OutputReference

from ..identity import step_uuid
from ..makers.step import StepMaker, plan_job

if TYPE_CHECKING:
    from collections.abc import Collection

    from .cost import Cost


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step before it runs.

    Attributes
    ----------
    name
        Within its candidate, e.g. ``"md-seed1-600K"``.
    inputs
        Arguments of the Maker; outputs of other steps stand as references.
    parents
        What the step starts from: input to identity or hash.
    after
        Identities of the planned steps that must have run before.
    """

    name: str
    maker: StepMaker
    inputs: dict[str, Any]
    parents: dict[str, str]
    after: tuple[str, ...]
    cost: Cost
    identity: str

    @property
    def kind(self) -> str:
        """Kind of the step, as in its document."""
        return self.maker.kind

    def is_lost_without(self, failed: Collection[str]) -> bool:
        """Tell whether it cannot run, for want of the results of `failed`."""
        lost = {identity for identity in self.after if identity in failed}
        if self.maker.needs_all_inputs or not lost:
            return bool(lost)
        essential = {self.parents[name] for name in self.maker.essential}
        return lost.issuperset(self.after) or not lost.isdisjoint(essential)

    def to_job(self) -> Job:
        """Return the job, with the UUID that the identity gives it."""
        return plan_job(
            self.maker, self.inputs, self.parents, name=self.name, identity=self.identity
        )


@dataclass
class StepChain:
    """Collects the steps of one candidate in an order that can be run."""

    steps: dict[str, PlannedStep] = field(default_factory=dict)

    def add(
        self,
        name: str,
        maker: StepMaker,
        *,
        inputs: dict[str, Any],
        parents: dict[str, str],
        after: tuple[PlannedStep, ...] = (),
        cost: Cost,
    ) -> PlannedStep:
        """Append a step; the arguments are the fields of `PlannedStep`."""
        identity = maker.identity(parents)
        known = tuple(step.identity for step in after)
        step = PlannedStep(sys.intern(name), maker, inputs, parents, known, cost, identity)
        self.steps[name] = step
        return step


def output_of(step: PlannedStep) -> OutputReference:
    """Refer to the document that `step` will return."""
    return OutputReference(step_uuid(step.identity))
