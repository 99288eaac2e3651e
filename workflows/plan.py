"""A sweep before it runs: its candidates, their steps, what they cost, what is there already."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..engines.potentials import level_of
from ..errors import SweepError
from ..identity import content_hash
from ..stores.documents import CandidateDocument
from ..stores.learned_runs import JOINED, LEARNED
from ..stores.results import finished, heads
from ..systems.crystals import crystal_model
from ..systems.mixture import DEFAULT_N_MOBILE
from ..systems.phases import get_phase
from .candidates import Candidate, expand
from .fine_tuning import fine_tuning_steps
from .learning import in_order, learning_rounds
from .models import by_levels, models_for, resolve_levels
from .outdated import outdated_results, without_start
from .phase_snapshots import read_snapshot
from .references import library_gaps
from .requirements import require_levels, require_protocol
from .steps import (
    NO_MORE,
    MoreTemperatures,
    PlannedStep,
    crystal_steps,
    glass_steps,
    relaxation_alone,
)
from .student import parent_of, student_steps, with_student

if TYPE_CHECKING:
    from ..stores.connection import HaloflowStore
    from .sweep import Sweep

_ID_DIGITS = 8
_MD_NAME = re.compile(r"md(?P<sample>|-seed\d+)-(?P<temperature_k>[^-]+)K")


@dataclass(frozen=True)
class CandidatePlan:
    """A candidate with its steps, in an order that can be run."""

    document: CandidateDocument
    candidate: Candidate
    steps: list[PlannedStep]
    done: frozenset[str]
    notes: list[str] = field(default_factory=list)
    skipped: frozenset[str] = frozenset()

    @property
    def to_run(self) -> list[PlannedStep]:
        """Steps without a stored result, less those that have nothing to start from."""
        settled = self.done | self.skipped
        return [step for step in self.steps if step.identity not in settled]

    @property
    def n_reused(self) -> int:
        """Steps with a stored result."""
        return sum(step.identity in self.done for step in self.steps)

    @property
    def core_hours(self) -> float:
        """Estimated processor time of the steps to run."""
        return sum(step.cost.core_hours for step in self.to_run)

    @property
    def disk_gb(self) -> float:
        """Estimated disk space of the steps to run."""
        return sum(step.cost.disk_gb for step in self.to_run)


@dataclass(frozen=True)
class Plan:
    """A sweep and all it asks for.

    Attributes
    ----------
    outdated
        Identities of stored results that were made while a parent's was missing.
    of_others
        Identities of MD runs of other sweeps, at temperatures that this one does not name.
    skipped
        Identities of steps that cannot run, because one before them decomposed or diverged.
    notes
        What concerns no single candidate.
    """

    sweep: Sweep
    candidates: list[CandidatePlan]
    outdated: frozenset[str] = frozenset()
    of_others: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)

    @property
    def steps(self) -> dict[str, PlannedStep]:
        """All steps by identity; what candidates share stands once."""
        return {step.identity: step for plan in self.candidates for step in plan.steps}

    @property
    def done(self) -> set[str]:
        """Identities with a stored result."""
        return set().union(*(plan.done for plan in self.candidates))

    @property
    def to_run(self) -> dict[str, PlannedStep]:
        """Steps without a stored result, by identity, less those that cannot run."""
        settled = self.done | self.skipped
        return {i: step for i, step in self.steps.items() if i not in settled}

    @property
    def n_steps(self) -> int:
        """Number of different steps."""
        return len(self.steps)

    @property
    def n_reused(self) -> int:
        """Number of different steps with a stored result."""
        return len(self.done)

    @property
    def core_hours(self) -> float:
        """Estimated processor time of what is to run."""
        return sum(step.cost.core_hours for step in self.to_run.values())

    @property
    def disk_gb(self) -> float:
        """Estimated disk space of what is to run."""
        return sum(step.cost.disk_gb for step in self.to_run.values())

    @property
    def warnings(self) -> list[str]:
        """What the user should know before starting, each sentence once."""
        notes = (f"{plan.document.label}: {n}" for plan in self.candidates for n in plan.notes)
        return list(dict.fromkeys([*self.notes, *notes]))

    def require_budget(self, *, from_start: bool = False) -> None:
        """Refuse a plan above the sweep's budget.

        Parameters
        ----------
        from_start
            Count what is stored too, since it will run again.

        Raises
        ------
        SweepError
            With the estimate and the limit.
        """
        budget = self.sweep.budget
        counted = self.steps if from_start else self.to_run
        costs = [step.cost for i, step in counted.items() if i not in self.of_others]
        for name, estimate, limit in (
            ("core_hours", sum(cost.core_hours for cost in costs), budget.core_hours),
            ("disk_gb", sum(cost.disk_gb for cost in costs), budget.disk_gb),
        ):
            if limit is not None and estimate > limit:
                raise SweepError(
                    f"the sweep would exceed its budget.{name}",
                    given=f"an estimate of {estimate:.3g}",
                    allowed=f"{limit:g}",
                    remedy=f"shorten the sweep, raise budget.{name}, or pass --over-budget",
                )


def plan_sweep(sweep: Sweep, store: HaloflowStore | None = None) -> Plan:
    """Plan `sweep`; nothing runs and nothing is written.

    Parameters
    ----------
    sweep
        What to screen.
    store
        Where results may lie already; without one, nothing is reused.

    Raises
    ------
    SweepError, CompositionError, UnknownNameError, CoverageError
        If the sweep cannot be run as it stands.
    """
    candidates = expand(sweep)
    models = models_for(sweep, store)
    resolved = resolve_levels(sweep, candidates, models.models)
    for own_sweep, some in by_levels(candidates, resolved):
        require_levels(own_sweep, some)
    require_protocol(sweep, candidates)
    drafts = [_draft(c, one.sweep) for c, one in zip(candidates, resolved, strict=True)]
    parent = parent_of(sweep, store, resolved)
    rounds = learning_rounds(sweep, drafts, parent, resolved)
    student = [] if rounds else student_steps(sweep, drafts, parent)
    learning = [[*student, *own] for own in fine_tuning_steps(sweep, drafts)]
    every = zip(drafts, learning, strict=True)
    asked = {step.identity for draft, own in every for step in [*draft.steps, *own]}
    if store is not None:
        pairs = zip(drafts, resolved, strict=True)
        drafts = [_extended(draft, one.sweep, store) for draft, one in pairs]
    if rounds is not None:
        drafts = [rounds.join(draft) for draft in drafts]
        asked.update(step.identity for draft in drafts for step in draft.steps)
    drafts = [with_student(draft, own) for draft, own in zip(drafts, learning, strict=True)]
    learned = {step.identity for own in learning for step in own}
    every_step = [step for draft in drafts for step in draft.steps]
    every_step.sort(key=lambda step: step.identity in learned)  # after all runs, not one's own
    steps = {step.identity: step for step in every_step}
    steps = steps if rounds is None else in_order(steps)
    stored = heads(store, steps) if store is not None else {}
    done = stored.keys() - outdated_results(steps, stored)
    skipped = without_start(steps, stored, done)
    plans = []
    for draft, one in zip(drafts, resolved, strict=True):
        own = {step.identity for step in draft.steps}
        said = replace(draft, notes=[*draft.notes, *one.notes])
        plans.append(replace(said, done=frozenset(done & own), skipped=frozenset(skipped & own)))
    of_others = {i for i in steps.keys() - asked if steps[i].maker.needs_all_inputs}
    outdated = frozenset(stored.keys() - done)
    lost = frozenset(skipped)
    notes = [*models.notes, *(rounds.notes if rounds else ())]
    return Plan(sweep, plans, outdated, frozenset(of_others), lost, notes)


def _extended(draft: CandidatePlan, sweep: Sweep, store: HaloflowStore) -> CandidatePlan:
    """Add the temperatures at which other sweeps have run MD of the same samples."""
    document = draft.document
    recorded = store.candidates.query_one({"candidate_id": document.candidate_id}, ["steps"])
    others = {
        name: identity
        for name, identity in (recorded["steps"] if recorded else {}).items()
        if (md := _MD_NAME.fullmatch(name))
        and name not in document.steps
        and f"diffusion{md['sample']}" in document.steps
    }
    done = finished(store, others.values()) if others else set()
    more: dict[str, list[float]] = {}
    for name, identity in others.items():
        if identity in done:
            sample, temperature_k = cast("re.Match[str]", _MD_NAME.fullmatch(name)).groups()
            more.setdefault(sample, []).append(float(temperature_k))
    if not more:
        return draft
    wider = _draft(draft.candidate, sweep, more)
    # a run by other code or weights is not that of this plan
    same = {name for name, i in others.items() if wider.document.steps.get(name) == i}
    kept = {
        sample: [t for t in temperatures if f"md{sample}-{t:g}K" in same]
        for sample, temperatures in more.items()
    }
    return wider if kept == more else _draft(draft.candidate, sweep, kept)


def _draft(candidate: Candidate, sweep: Sweep, more: MoreTemperatures = NO_MORE) -> CandidatePlan:
    notes = []
    size = sweep.size
    as_made: dict[str, Any] = {}
    if candidate.phase == "glass":
        target = {"target_n_atoms": size.glass_n_atoms} if size.glass_n_atoms else {}
        units = candidate.mixture.integer_units(
            **(target or {"target_n_mobile": size.glass_n_mobile}), mobile=candidate.mobile
        )
        made = candidate.variables_of(units)
        if units.max_deviation > 0:
            point = [f"{name} = {value:.2f}" for name, value in made.items()]
            notes.append("; ".join([units.statement, *point]))
        as_made = {
            "units": units.counts,
            "variables_made": made,
            "composition_deviation": units.max_deviation,
        }
        n_atoms, n_mobile = units.n_atoms, units.n_mobile
        steps = glass_steps(candidate, sweep, units, more).steps
    elif candidate.until is not None:
        steps = relaxation_alone(candidate, sweep).steps
        n_atoms = sum(step.cost.n_atoms for step in steps.values())
        document = _document(candidate, sweep, n_atoms, 0, steps)
        return CandidatePlan(document, candidate, list(steps.values()), frozenset(), notes)
    else:
        model = crystal_model(
            get_phase(str(candidate.phase_id)),
            min_mobile=size.crystal_n_mobile,
            mobile=candidate.mobile,
            max_atoms=size.crystal_max_atoms,
        )
        n_atoms, n_mobile = len(model), round(model.composition[candidate.mobile])
        notes += [candidate.phase_note] if candidate.phase_note else []
        steps = crystal_steps(candidate, sweep, model, more).steps
    if n_mobile < DEFAULT_N_MOBILE:
        notes.append(
            f"{n_mobile} mobile ions are fewer than {DEFAULT_N_MOBILE}: "
            "its transport will count as unconverged"
        )
    notes += library_gaps({e.symbol for e in candidate.mixture.composition.elements})
    document = _document(candidate, sweep, n_atoms, n_mobile, steps)
    document = document.model_copy(update=as_made)
    return CandidatePlan(document, candidate, list(steps.values()), frozenset(), notes)


def _document(
    candidate: Candidate, sweep: Sweep, n_atoms: int, n_mobile: int, steps: dict[str, PlannedStep]
) -> CandidateDocument:
    return CandidateDocument(
        candidate_id=_candidate_id(candidate, sweep, n_atoms),
        label=candidate.label,
        family=candidate.family,
        formula=candidate.mixture.formula,
        phase=candidate.phase,
        phase_id=candidate.phase_id,
        phase_note=candidate.phase_note,
        variables=candidate.variables,
        components={part.formula: n for part, n in candidate.mixture.amounts.items()},
        levels=_levels(sweep),
        sweeps=[sweep.name],
        n_atoms=n_atoms,
        n_mobile=n_mobile,
        steps={name: step.identity for name, step in steps.items()},
        screen=sweep.screen.model_dump(exclude_none=True),
        literature=[row.as_document() for row in candidate.literature],
    )


def _levels(sweep: Sweep) -> dict[str, str]:
    found = {stage: level_of(name) for stage, name in sweep.stages.model_dump().items()}
    if sweep.student is not None and sweep.student.learn:
        found["md"] = JOINED.join([found["md"], LEARNED])
    return found


def _hull(sweep: Sweep) -> dict[str, Any]:
    """Return what defines a hull: of a snapshot the content, wherever it lies."""
    known = sweep.hull.model_dump(exclude={"phases"})
    if sweep.hull.phases is not None:
        known["phases"] = read_snapshot(Path(sweep.hull.phases)).sha256
    return known


def _candidate_id(candidate: Candidate, sweep: Sweep, n_atoms: int) -> str:
    """Name a candidate by composition, phase, levels, size and protocol.

    Seeds and temperatures are left out: more of them extend the same candidate.
    """
    md = sweep.md.model_dump(exclude={"temperatures_k", "crystal_temperatures_k"})
    if sweep.md.tether:
        md["tether"]["species"] = sorted(sweep.md.tether.species)
    defining: dict[str, Any] = {
        "mixture": candidate.mixture.canonical(),
        "phase": candidate.phase,
        "phase_id": candidate.phase_id,
        "levels": _levels(sweep),
        "n_atoms": n_atoms,
        "relax": sweep.relax,
        "hull": _hull(sweep),
        "melt_quench": sweep.melt_quench.model_dump(exclude={"checkpoint_interval"})
        if candidate.phase == "glass"
        else None,
        "md": md,
    }
    if sweep.nmr is not None:
        defining["nmr"] = sweep.nmr
    if sweep.neb is not None:
        defining["neb"] = sweep.neb
    if sweep.ensemble is not None and candidate.phase == "glass":
        defining["ensemble"] = sweep.ensemble
    if candidate.until is not None:
        defining["until"] = candidate.until
    formula = candidate.mixture.formula.replace(" ", "").replace("+", "-")
    return f"{formula}-{candidate.phase}-{content_hash(defining)[:_ID_DIGITS]}"
