"""A sweep before it runs: its candidates, their steps, what they cost, what is there already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..engines.potentials import identify, require_coverage
from ..errors import InputError, SweepError
from ..identity import content_hash
from ..stores.documents import CandidateDocument
from ..stores.results import heads, used_all
from ..systems.crystals import crystal_model
from ..systems.mixture import DEFAULT_N_MOBILE
from ..systems.phases import get_phase
from .candidates import Candidate, expand
from .references import library_gaps
from .steps import PlannedStep, crystal_steps, glass_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..stores.connection import HaloflowStore
    from .sweep import Sweep

_ID_DIGITS = 8


@dataclass(frozen=True)
class CandidatePlan:
    """A candidate with its steps, in an order that can be run."""

    document: CandidateDocument
    candidate: Candidate
    steps: list[PlannedStep]
    done: frozenset[str]
    notes: list[str] = field(default_factory=list)

    @property
    def to_run(self) -> list[PlannedStep]:
        """Steps without a stored result."""
        return [step for step in self.steps if step.identity not in self.done]

    @property
    def n_reused(self) -> int:
        """Steps with a stored result."""
        return len(self.steps) - len(self.to_run)

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
    """

    sweep: Sweep
    candidates: list[CandidatePlan]
    outdated: frozenset[str] = frozenset()

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
        """Steps without a stored result, by identity."""
        done = self.done
        return {identity: step for identity, step in self.steps.items() if identity not in done}

    @property
    def n_steps(self) -> int:
        """Number of different steps."""
        return len(self.steps)

    @property
    def n_reused(self) -> int:
        """Number of different steps with a stored result."""
        return len(self.steps) - len(self.to_run)

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
        return list(dict.fromkeys(notes))

    def require_budget(self) -> None:
        """Refuse a plan above the sweep's budget.

        Raises
        ------
        SweepError
            With the estimate and the limit.
        """
        budget = self.sweep.budget
        for name, estimate, limit in (
            ("core_hours", self.core_hours, budget.core_hours),
            ("disk_gb", self.disk_gb, budget.disk_gb),
        ):
            if limit is not None and estimate > limit:
                raise SweepError(
                    f"the sweep would exceed its budget.{name}",
                    given=f"an estimate of {estimate:.3g}",
                    allowed=f"{limit:g}",
                    remedy=f"shorten the sweep, or raise budget.{name}",
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
    _require_levels(sweep, candidates)
    drafts = [_draft(candidate, sweep) for candidate in candidates]
    steps = {step.identity: step for draft in drafts for step in draft.steps}
    stored = heads(store, steps) if store is not None else {}
    done = {identity for identity, head in stored.items() if _is_whole(steps[identity], head)}
    plans = [
        CandidatePlan(
            draft.document,
            draft.candidate,
            draft.steps,
            frozenset(done.intersection(step.identity for step in draft.steps)),
            draft.notes,
        )
        for draft in drafts
    ]
    return Plan(sweep, plans, frozenset(stored.keys() - done))


def _is_whole(step: PlannedStep, head: Mapping[str, Any]) -> bool:
    """Tell whether a stored result had all its inputs."""
    return step.maker.needs_all_inputs or used_all(head, step.after)


def _require_levels(sweep: Sweep, candidates: list[Candidate]) -> None:
    elements = {e.symbol for c in candidates for e in c.mixture.composition.elements}
    for stage, level in sweep.stages.model_dump().items():
        try:
            require_coverage(identify(level), elements)
        except InputError as error:
            error.problem = f"stages.{stage}: {error.problem}"
            raise


def _draft(candidate: Candidate, sweep: Sweep) -> CandidatePlan:
    notes = []
    size = sweep.size
    if candidate.phase == "glass":
        target = {"target_n_atoms": size.glass_n_atoms} if size.glass_n_atoms else {}
        units = candidate.mixture.integer_units(
            **(target or {"target_n_mobile": size.glass_n_mobile}), mobile=candidate.mobile
        )
        if units.max_deviation > 0:
            notes.append(units.statement)
        n_atoms, n_mobile = units.n_atoms, units.n_mobile
        steps = glass_steps(candidate, sweep, units).steps
    else:
        model = crystal_model(
            get_phase(str(candidate.phase_id)),
            min_mobile=size.crystal_n_mobile,
            mobile=candidate.mobile,
            max_atoms=size.crystal_max_atoms,
        )
        n_atoms, n_mobile = len(model), round(model.composition[candidate.mobile])
        notes += [candidate.phase_note] if candidate.phase_note else []
        steps = crystal_steps(candidate, sweep, model).steps
    if n_mobile < DEFAULT_N_MOBILE:
        notes.append(
            f"{n_mobile} mobile ions are fewer than {DEFAULT_N_MOBILE}: "
            "its transport will count as unconverged"
        )
    notes += library_gaps({e.symbol for e in candidate.mixture.composition.elements})
    document = _document(candidate, sweep, n_atoms, n_mobile, steps)
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
        levels=sweep.stages.model_dump(),
        sweeps=[sweep.name],
        n_atoms=n_atoms,
        n_mobile=n_mobile,
        steps={name: step.identity for name, step in steps.items()},
        screen=sweep.screen.model_dump(exclude_none=True),
        literature=[row.as_document() for row in candidate.literature],
    )


def _candidate_id(candidate: Candidate, sweep: Sweep, n_atoms: int) -> str:
    """Name a candidate by composition, phase, levels, size and protocol.

    Seeds and temperatures are left out: more of them extend the same candidate.
    """
    defining = {
        "mixture": candidate.mixture.canonical(),
        "phase": candidate.phase,
        "phase_id": candidate.phase_id,
        "levels": sweep.stages,
        "n_atoms": n_atoms,
        "relax": sweep.relax,
        "hull": sweep.hull,
        "melt_quench": sweep.melt_quench if candidate.phase == "glass" else None,
        "md": sweep.md.model_dump(exclude={"temperatures_k", "crystal_temperatures_k"}),
    }
    formula = candidate.mixture.formula.replace(" ", "").replace("+", "-")
    return f"{formula}-{candidate.phase}-{content_hash(defining)[:_ID_DIGITS]}"
