"""A sweep that learns: runs that leave the domain of its student go on with the next one.

The rounds are planned as if every run left in each of them. A round learns from the runs of the
one before: a training set and a student that all candidates share, and then the runs again, each
from its last trusted state. Where a run stayed inside, where none left, steps hand on what they
were given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from jobflow import OutputReference

from ..engines.potentials import level_of
from ..engines.trained_models import name_of
from ..errors import SweepError
from ..identity import step_uuid
from ..makers.learned_md import LearnedMDMaker
from ..makers.learned_students import LearnedSetMaker, LearnedStudentMaker
from ..makers.md import MDMaker
from ..makers.melt_quench import MeltQuenchMaker
from ..stores.learned_runs import round_name
from .chain import PlannedStep, StepChain, output_of
from .cost import dynamics_cost
from .student import distillation_cost, trial_temperatures_k
from .training_frames import stored, teacher_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .models import ResolvedSweep
    from .plan import CandidatePlan
    from .student import Parent
    from .sweep import Sweep


@dataclass(frozen=True)
class LearningRounds:
    """What a sweep does where runs leave the domain of its student.

    Attributes
    ----------
    runs
        Identity of a run as it is without learning to that run and its successors, one per
        round.
    learned
        Training set and student of each round.
    notes
        What they cost at most.
    """

    runs: dict[str, list[PlannedStep]]
    learned: list[list[PlannedStep]]
    notes: list[str]

    def join(self, draft: CandidatePlan) -> CandidatePlan:
        """Return a candidate's plan whose analyses take the runs of the last round."""
        before: list[PlannedStep] = []
        own: list[list[PlannedStep]] = []
        after: list[PlannedStep] = []
        moved: dict[str, str] = {}
        for step in draft.steps:
            if step.identity in self.runs:
                *earlier, last = self.runs[step.identity]
                named = [
                    replace(run, name=round_name(number, step.name))
                    for number, run in enumerate(earlier)
                ]
                own.append([*named, replace(last, name=step.name)])
                moved[step.identity] = last.identity
            elif moved.keys().isdisjoint(step.after):
                before.append(step)
            else:
                after.append(_moved(step, moved))
                moved[step.identity] = after[-1].identity
        if not own:
            return draft
        rounds = [runs[0] for runs in own]
        for number, shared in enumerate(self.learned, start=1):
            rounds += [*shared, *(runs[number] for runs in own)]
        steps = [*before, *rounds, *after]
        document = draft.document.model_copy(
            update={"steps": {step.name: step.identity for step in steps}}
        )
        return replace(draft, document=document, steps=steps)


def learning_rounds(
    sweep: Sweep,
    drafts: Sequence[CandidatePlan],
    parent: Parent | None,
    resolved: Sequence[ResolvedSweep],
) -> LearningRounds | None:
    """Return the rounds of a sweep that learns; ``None`` of one that does not.

    Raises
    ------
    SweepError
        If MD does not run at the student that is to learn.
    """
    asked = sweep.student
    if asked is None or not asked.learn or parent is None:
        return None
    _require_its_runs(parent, resolved)
    level = parent.document.level
    runs = {step.identity: [step] for step in _steps_at(level, drafts, MDMaker)}
    melts = _steps_at(level, drafts, MeltQuenchMaker)
    teacher = teacher_of(sweep, asked, "student", parent.document.teacher)
    frames_maker = LearnedSetMaker(**asked.training_set(teacher).settings())
    made = asked.distillation(teacher, trial_temperatures_k(sweep))
    nep = {**parent.document.provenance.parameters.get("nep", {}), **made.nep}
    student_maker = LearnedStudentMaker(**made.settings() | {"nep": nep})
    n_atoms = max(draft.document.n_atoms for draft in drafts)
    n_known = sum(table.n_frames for table in parent.document.errors.values())
    chain = StepChain()
    before: dict[str, PlannedStep] = {}
    for number in range(1, asked.learn_rounds + 1):
        taken = [own[-1] for own in runs.values()] + (melts if number == 1 else [])
        taken.sort(key=lambda run: run.identity)  # whichever the sweep names first
        n_new = len(taken) * (asked.frames_per_run + asked.last_frames)
        n_known += n_new
        frames = chain.add(
            f"training_set-round{number}",
            frames_maker,
            inputs={
                "runs": [output_of(run) for run in taken],
                "earlier": [_output(before.get("set"), parent.training_set)],
            },
            parents={f"run{index}": run.identity for index, run in enumerate(taken)}
            | {"set0": _identity(before.get("set"), parent.training_set)},
            after=(*taken, *_there(before.get("set"))),
            cost=dynamics_cost(teacher, n_atoms, n_new, 1),
        )
        student = chain.add(
            f"student-round{number}",
            student_maker,
            inputs={
                "training_set": output_of(frames),
                "parent": _output(before.get("student"), parent.document.identity),
            },
            parents={
                "training_set": frames.identity,
                "parent": _identity(before.get("student"), parent.document.identity),
            },
            after=(frames, *_there(before.get("student"))),
            cost=distillation_cost(
                student_maker, n_drafts=len(drafts), n_atoms=n_atoms, n_frames=n_known,
                epochs=asked.refine_epochs * asked.max_rounds,
            ),
        )  # fmt: skip
        for own in runs.values():
            own.append(_next_run(own[0], own[-1], student))
        before = {"set": frames, "student": student}
    learned = list(chain.steps.values())
    pairs = [learned[index : index + 2] for index in range(0, len(learned), 2)]
    return LearningRounds(runs, pairs, [_note(level, runs.values(), learned)])


def in_order(steps: Mapping[str, PlannedStep]) -> dict[str, PlannedStep]:
    """Return steps by identity, parents first."""
    graph = {i: [a for a in step.after if a in steps] for i, step in steps.items()}
    return {identity: steps[identity] for identity in TopologicalSorter(graph).static_order()}


def _require_its_runs(parent: Parent, resolved: Sequence[ResolvedSweep]) -> None:
    levels = {one.sweep.stages.md for one in resolved}
    if any(level_of(level) != parent.document.level for level in levels):
        name = name_of(parent.document.level)
        raise SweepError(
            "student.learn: MD does not run at the student that is to learn",
            given=f"stages.md {', '.join(sorted(levels))}, student.parent {name}",
            allowed="the parent as the level of MD",
            remedy=f"write stages: {{md: {name}}}, or leave learn out",
        )


def _steps_at(
    level: str, drafts: Sequence[CandidatePlan], kind: type[MDMaker | MeltQuenchMaker]
) -> list[PlannedStep]:
    found = {
        step.identity: step
        for draft in drafts
        for step in draft.steps
        if type(step.maker) is kind and level_of(step.maker.level) == level
    }
    return list(found.values())


def _output(step: PlannedStep | None, identity: str) -> OutputReference:
    return stored(identity) if step is None else output_of(step)


def _identity(step: PlannedStep | None, identity: str) -> str:
    return identity if step is None else step.identity


def _there(step: PlannedStep | None) -> tuple[PlannedStep, ...]:
    return () if step is None else (step,)


def _next_run(first: PlannedStep, run: PlannedStep, student: PlannedStep) -> PlannedStep:
    maker = LearnedMDMaker(**first.maker.settings())
    own = {"run": run.identity, "student": student.identity}
    parents = first.parents | own
    return replace(
        first,
        maker=maker,
        inputs=first.inputs | {"run": output_of(run), "student": output_of(student)},
        parents=parents,
        after=(*first.after, *own.values()),
        identity=maker.identity(parents),
    )


def _moved(step: PlannedStep, moved: Mapping[str, str]) -> PlannedStep:
    """Return a step that starts from other ones than before."""
    parents = {name: moved.get(one, one) for name, one in step.parents.items()}
    uuids = {step_uuid(old): step_uuid(new) for old, new in moved.items()}
    return replace(
        step,
        inputs=_redirected(step.inputs, uuids),
        parents=parents,
        after=tuple(moved.get(one, one) for one in step.after),
        identity=step.maker.identity(parents),
    )


def _redirected(value: Any, uuids: Mapping[str, str]) -> Any:  # noqa: ANN401  (inputs of any Maker)
    if isinstance(value, OutputReference):
        return OutputReference(uuids.get(value.uuid, value.uuid), value.attributes)
    if isinstance(value, dict):
        return {key: _redirected(item, uuids) for key, item in value.items()}
    if isinstance(value, list):
        return [_redirected(item, uuids) for item in value]
    return value


def _note(level: str, runs: Iterable[list[PlannedStep]], learned: list[PlannedStep]) -> str:
    again = [run for own in runs for run in own[1:]]
    hours = sum(step.cost.core_hours for step in [*again, *learned])
    n_rounds = len(learned) // 2
    return (
        f"learn: {n_rounds} round{'s' if n_rounds > 1 else ''} after MD at {name_of(level)}, for "
        "runs that leave its domain. The estimate counts them as if every run left at its start "
        f"in each ({hours:.2g} core-hours); where none leaves they cost nothing"
    )
