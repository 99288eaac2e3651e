"""The steps that make a student out of the runs of a whole sweep."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..engines.nep_settings import nep_settings
from ..errors import SweepError
from ..identity import content_hash, structure_hash
from ..systems.phases import get_phase
from ..units import SECONDS_PER_HOUR
from .cost import Cost, dynamics_cost
from .models import AUTO
from .steps import PlannedStep, StepChain, output_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .plan import CandidatePlan
    from .sweep import Sweep

_RUNS = ("melt_quench", "md")
_TRAIN_MS = 0.15
"""Milliseconds per atom, frame and epoch on one thread, 84-atom frames of four elements."""
_NEP = "nep"
_DISK_GB = 0.2


def student_steps(sweep: Sweep, drafts: Sequence[CandidatePlan]) -> list[PlannedStep]:
    """Return the steps of the sweep's student; none where the sweep asks for none.

    The training set takes frames of every melt, quench and MD run of all candidates, of their
    crystals and of packings of their mixtures; the student comes after it.

    Raises
    ------
    SweepError
        If the teacher is not named.
    """
    asked = sweep.student
    if asked is None:
        return []
    teacher = asked.teacher or sweep.stages.md
    if teacher == AUTO:
        raise SweepError(
            "student.teacher: a student needs a teacher that is named",
            given="stages.md: auto",
            allowed="the name of a potential",
            remedy="write student: {teacher: chgnet-r2scan-d3}",
        )
    runs = {s.identity: s for draft in drafts for s in draft.steps if s.kind in _RUNS}
    ids = {i for draft in drafts for i in (draft.candidate.phase_id, *draft.candidate.crystal_ids)}
    crystals = {i: get_phase(i).structure() for i in sorted(filter(None, ids))}
    mixtures = [d.candidate.mixture.canonical() for d in drafts if d.candidate.phase == "glass"]
    chain = StepChain()
    maker = asked.training_set(teacher)
    n_atoms = max(draft.document.n_atoms for draft in drafts)
    n_frames = asked.frames_per_run * len(runs) + len(crystals) * len(asked.strains)
    frames = chain.add(
        "training_set",
        maker,
        inputs={
            "runs": [output_of(run) for run in runs.values()],
            "crystals": crystals,
            "mixtures": mixtures,
        },
        parents={f"run{index}": identity for index, identity in enumerate(runs)}
        | {phase_id: structure_hash(crystal) for phase_id, crystal in crystals.items()}
        | {f"mixture{index}": content_hash(one) for index, one in enumerate(mixtures)},
        after=tuple(runs.values()),
        cost=dynamics_cost(teacher, n_atoms, n_frames, 1),
    )
    cold = min([*sweep.md.temperatures_k, *(sweep.md.crystal_temperatures_k or ())])
    hot = max(*sweep.md.temperatures_k, sweep.melt_quench.melt_temperature_k)
    middle = round((cold + hot) / 2, 1)
    student = asked.distillation(teacher, tuple(sorted({cold, middle, hot})))
    epochs = nep_settings(asked.nep).epochs + asked.refine_epochs * (asked.max_rounds - 1)
    seconds = 1e-3 * _TRAIN_MS * n_atoms * n_frames * epochs
    n_trials = len(drafts) * (len(student.temperatures_k) + 1 + len(asked.density_scales))
    trials = dynamics_cost(_NEP, n_atoms, asked.trial_steps * n_trials * asked.max_rounds, 10)
    chain.add(
        "student",
        student,
        inputs={"training_set": output_of(frames)},
        parents={"training_set": frames.identity},
        after=(frames,),
        cost=Cost(
            seconds / SECONDS_PER_HOUR + trials.core_hours, _DISK_GB + trials.disk_gb, epochs
        ),
    )
    return list(chain.steps.values())


def with_student(draft: CandidatePlan, student: Sequence[PlannedStep]) -> CandidatePlan:
    """Return a candidate's plan with the steps that it shares with all others of the sweep."""
    if not student:
        return draft
    steps = draft.document.steps | {step.name: step.identity for step in student}
    document = draft.document.model_copy(update={"steps": steps})
    return replace(draft, document=document, steps=[*draft.steps, *student])
