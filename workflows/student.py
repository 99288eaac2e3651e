"""The steps that make a student out of the runs of a whole sweep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..engines.nep_settings import nep_settings
from ..engines.potentials import level_of
from ..errors import SweepError, UnknownNameError
from ..makers.md import MDMaker
from ..makers.trained_models import stored_model
from ..units import SECONDS_PER_HOUR
from .cost import Cost, dynamics_cost
from .fine_tuning import trained_step
from .models import AUTO
from .steps import PlannedStep, StepChain, output_of
from .training_frames import frames_step, n_frames_of, stored, teacher_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..makers.distill import DistillMaker
    from ..makers.student_protocol import CheckProtocol
    from ..stores.connection import HaloflowStore
    from ..stores.models import TrainedModelDocument
    from .models import ResolvedSweep
    from .plan import CandidatePlan
    from .sweep import Sweep

_TRAIN_MS = 0.15
"""Milliseconds per atom, frame and epoch on one thread, 84-atom frames of four elements."""
_NEP = "nep"
_DISK_GB = 0.2


@dataclass(frozen=True)
class Parent:
    """A student to go on with, and the identity of the step that made its training set."""

    document: TrainedModelDocument
    training_set: str


def parent_of(
    sweep: Sweep, store: HaloflowStore | None, resolved: Sequence[ResolvedSweep] = ()
) -> Parent | None:
    """Return the student that the sweep's own goes on with; ``None`` where it begins anew.

    `auto` is the one that runs the MD of all candidates, as the `resolved` sweeps name it.

    Raises
    ------
    SweepError
        If the store does not hold the parent with its training set, or `auto` is none.
    """
    name = sweep.student.parent if sweep.student is not None else None
    if name is None:
        return None
    if name == AUTO:
        name = _student_of_runs(resolved)
    problem = "student.parent: the store does not hold this student with its training set"
    remedy = "plan in the store that trained it, or copy that one (`haloflow db copy`)"
    if store is None:
        raise SweepError(problem, given=f"{name}, no store", remedy=remedy)
    try:
        document = stored_model(name, store)
    except UnknownNameError as error:
        raise SweepError(problem, given=name, allowed=error.allowed, remedy=remedy) from error
    criteria = {"output.kind": "training_set", "output.content_hash": document.data_hash}
    fields = ["output.identity", "output.handed_from"]
    rows = [row["output"] for row in store.outputs.query(criteria, fields)]
    sets = [row["identity"] for row in rows if not row.get("handed_from")]
    if not sets:
        raise SweepError(
            problem, given=f"{name}, no frames {document.data_hash[:12]}", remedy=remedy
        )
    return Parent(document, min(sets))


def _student_of_runs(resolved: Sequence[ResolvedSweep]) -> str:
    names = sorted({one.sweep.stages.md for one in resolved})
    if len(names) != 1 or not names[0].startswith(f"{_NEP}:"):
        raise SweepError(
            "student.parent: auto is the student that runs the MD of all candidates",
            given=f"MD at {', '.join(names)}",
            allowed="one student of the store",
            remedy="name the parent, and make a sweep for each student",
        )
    return names[0]


def student_steps(
    sweep: Sweep, drafts: Sequence[CandidatePlan], parent: Parent | None = None
) -> list[PlannedStep]:
    """Return the steps of the sweep's student; none where the sweep asks for none.

    The training set takes frames of every melt, quench and MD run of all candidates, of their
    crystals and of packings of their mixtures; the student comes after it. With a `parent` it
    takes the parent's frames too, and the student goes on from the parent's weights.

    Raises
    ------
    SweepError
        If the teacher is not named.
    """
    asked = sweep.student
    if asked is None:
        return []
    teacher = teacher_of(sweep, asked, "student", parent.document.teacher if parent else None)
    chain = StepChain()
    earlier = parent.training_set if parent else None
    frames = frames_step(chain, "training_set", drafts, asked, teacher, earlier=earlier)
    if asked.architecture == "mace":
        trained_step(chain, "student", asked.small_mace(), frames, drafts=drafts, asked=asked)
        return list(chain.steps.values())
    n_atoms = max(draft.document.n_atoms for draft in drafts)
    student = asked.distillation(teacher, trial_temperatures_k(sweep))
    epochs = nep_settings(asked.nep).epochs + asked.refine_epochs * (asked.max_rounds - 1)
    trained = chain.add(
        "student",
        student,
        inputs={"training_set": output_of(frames)}
        | ({"parent": stored(parent.document.identity)} if parent else {}),
        parents={"training_set": frames.identity}
        | ({"parent": parent.document.identity} if parent else {}),
        after=(frames,),
        cost=distillation_cost(
            student, n_drafts=len(drafts), n_atoms=n_atoms, n_frames=n_frames_of(drafts, asked),
            epochs=epochs,
        ),
    )  # fmt: skip
    if asked.check is not None:
        _check(
            chain,
            sweep,
            asked.check,
            drafts,
            trained=trained,
            temperatures_k=_md_temperatures_k(sweep),
        )
    return list(chain.steps.values())


def trial_temperatures_k(sweep: Sweep) -> tuple[float, ...]:
    """Return temperatures of a student's own runs: coldest, middle and hottest MD, and melt."""
    of_md = _md_temperatures_k(sweep)
    return tuple(sorted({*of_md, max(of_md[-1], sweep.melt_quench.melt_temperature_k)}))


def _md_temperatures_k(sweep: Sweep) -> tuple[float, ...]:
    cold = min([*sweep.md.temperatures_k, *(sweep.md.crystal_temperatures_k or ())])
    hot = max(sweep.md.temperatures_k)
    return tuple(sorted({cold, round((cold + hot) / 2, 1), hot}))


def distillation_cost(
    student: DistillMaker, *, n_drafts: int, n_atoms: int, n_frames: int, epochs: int
) -> Cost:
    """Estimate a student of `n_drafts` candidates: `epochs` of trainings, and its own runs."""
    seconds = 1e-3 * _TRAIN_MS * n_atoms * n_frames * epochs
    n_trials = n_drafts * (len(student.temperatures_k) + 1 + len(student.density_scales))
    n_steps = student.trial_steps * n_trials * student.max_rounds
    trials = dynamics_cost(_NEP, n_atoms, n_steps, 10)
    return Cost(seconds / SECONDS_PER_HOUR + trials.core_hours, _DISK_GB + trials.disk_gb, epochs)


def _check(
    chain: StepChain,
    sweep: Sweep,
    asked: CheckProtocol,
    drafts: Sequence[CandidatePlan],
    *,
    trained: PlannedStep,
    temperatures_k: tuple[float, ...],
) -> None:
    """Add the check of the student by the teacher's runs of glasses, and runs for D."""
    teacher = level_of(trained.maker.levels[0])
    glasses = [draft for draft in drafts if draft.candidate.phase == "glass"]
    runs = [
        step
        for draft in glasses
        for step in draft.steps
        if isinstance(step.maker, MDMaker) and level_of(step.maker.level) == teacher
    ]
    if not runs:
        raise SweepError(
            "student.check: the teacher runs no glass in this sweep",
            given=f"teacher {teacher}, MD at {sweep.stages.md}",
            allowed="a glass among the systems, and the teacher as stages.md",
            remedy="leave the check out, or make the teacher the level of MD",
        )
    moving = [_moving(chain, runs[0], kelvin, asked) for kelvin in asked.diffusion_temperatures_k]
    maker = asked.maker(temperatures_k, trained.maker.settings()["seed"])
    n_atoms = max(draft.document.n_atoms for draft in glasses)
    n_steps = len(maker.long_temperatures_k) * len(glasses) * maker.long_steps
    n_steps += sum(
        step.maker.n_steps for step in (*runs, *moving) if isinstance(step.maker, MDMaker)
    )
    chain.add(
        "student_check",
        maker,
        inputs={
            "student": output_of(trained),
            "runs": [output_of(run) for run in runs],
            "diffusion": [output_of(run) for run in moving],
        },
        parents={"student": trained.identity}
        | {f"run{index}": run.identity for index, run in enumerate(runs)}
        | {f"diffusion{index}": run.identity for index, run in enumerate(moving)},
        after=(trained, *runs, *moving),
        cost=dynamics_cost(_NEP, n_atoms, n_steps, sweep.md.trajectory_interval),
    )


def _moving(
    chain: StepChain, like: PlannedStep, kelvin: float, asked: CheckProtocol
) -> PlannedStep:
    """Add a run of the teacher from the same glass, long enough for a diffusivity."""
    assert isinstance(like.maker, MDMaker)
    maker = replace(like.maker, temperature_k=kelvin, production_steps=asked.diffusion_steps)
    identity = maker.identity(like.parents)
    share = maker.n_steps / like.maker.n_steps
    cost = replace(
        like.cost,
        core_hours=like.cost.core_hours * share,
        disk_gb=like.cost.disk_gb * share,
        work_units=maker.n_steps,
    )
    step = PlannedStep(
        f"student-md-{kelvin:g}K",
        maker,
        like.inputs,
        like.parents,
        like.after,
        cost,
        identity,
    )
    chain.steps[step.name] = step
    return step


def with_student(draft: CandidatePlan, student: Sequence[PlannedStep]) -> CandidatePlan:
    """Return a candidate's plan with the steps that it shares with all others of the sweep."""
    if not student:
        return draft
    steps = draft.document.steps | {step.name: step.identity for step in student}
    document = draft.document.model_copy(update={"steps": steps})
    return replace(draft, document=document, steps=[*draft.steps, *student])
