"""How far a campaign is: steps by stage and state, what runs, what failed and why, what it cost."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ..errors import UnknownNameError
from ..identity import step_uuid
from ..makers.progress import read_progress
from ..makers.step import step_directory
from ..stores.claims import Claims
from ..stores.facets import count_facets
from ..units import SECONDS_PER_HOUR
from .campaign_steps import count_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..stores.claims import Claim
    from ..stores.connection import HaloflowStore
    from .campaign_steps import CountedSteps, KnownStep, Stage

STATES: Final = ("waiting", "running", "done", "failed", "skipped")
_STAGES: Final = (
    "relax",
    "static",
    "registries",
    "melt_quench",
    "hull",
    "md",
    "diffusion",
    "neb",
    "ensemble",
)
_TAIL_LINES = 20
_TEXT_LENGTH = 4000
_CAUSE_LENGTH = 160
_MOST_GROUPS = 50
_EXAMPLES = 3
_LEAST_SHARE = 0.01
_VARYING = re.compile(r"(?:/[\w.+-]+){2,}/?|\b[0-9a-f]{12,}\b|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class RunningStep:
    """A step at work.

    Attributes
    ----------
    share
        Fraction of its work that is done; ``None`` before its first report.
    seconds_left
        At the speed since it was claimed; ``None`` while unknown.
    """

    step: KnownStep
    identity: str
    process: str
    since: datetime
    stage: str
    share: float | None
    seconds_left: float | None


@dataclass(frozen=True)
class FailureGroup:
    """Steps that failed for one cause: equal messages, numbers and paths aside."""

    cause: str
    count: int
    stages: dict[str, int]
    last: datetime | None
    examples: list[dict[str, Any]]


@dataclass(frozen=True)
class Campaign:
    """What :func:`campaign` tells.

    Attributes
    ----------
    stages
        In the order of work.
    core_hours
        Wall time of ended steps times their threads.
    threads
        By stage, of a step of it.
    eta_s
        Seconds left; ``None`` where that is not known, and why in `eta_note`.
    note
        Says that numbers of steps are estimates; empty where they are not.
    """

    n_candidates: int
    n_complete: int
    stages: list[Stage]
    running: list[RunningStep]
    failures: list[FailureGroup]
    core_hours: float
    threads: dict[str, int]
    eta_s: float | None
    eta_note: str
    taken_at: datetime
    note: str = ""


def of_sweep(name: str | None) -> dict[str, Any]:
    """Return the filter of the candidates of a sweep; of all for ``None``."""
    return {} if name is None else {"sweeps": name}


def campaign(
    store: HaloflowStore, sweep_name: str | None = None, count: CountedSteps | None = None
) -> Campaign:
    """Say how far a sweep, or all that a store holds, has come.

    States are those of the summaries, which a run brings up to date after each step; what
    runs and what failed is read anew. Of very many candidates numbers of steps are estimates,
    see :func:`~haloflow.workflows.campaign_steps.count_steps`; `count` is what that gave of
    these candidates, if they were counted lately.

    Raises
    ------
    UnknownNameError
        If no candidate belongs to the sweep.
    """
    count = count_steps(store, of_sweep(sweep_name)) if count is None else count
    if sweep_name is not None and not count.n_candidates:
        raise UnknownNameError.of("sweep", sweep_name, [one["name"] for one in sweeps(store)])
    claims = {i: c for i, c in Claims(store.claims).live().items() if i in count.open}
    stages = sorted(count.stages_with(claims), key=_order)
    running = [_running(store, count.open[i], claim) for i, claim in claims.items()]
    threads = {one.stage: _threads(store, count.samples.get(one.stage)) for one in stages}
    eta_s, note = _eta(stages, running)
    return Campaign(
        n_candidates=count.n_candidates,
        n_complete=count.n_complete,
        stages=stages,
        running=sorted(running, key=lambda one: one.since),
        failures=_failure_groups(store, count.open),
        note=count.note,
        core_hours=sum(one.wall_s * threads[one.stage] for one in stages) / SECONDS_PER_HOUR,
        threads=threads,
        eta_s=eta_s,
        eta_note=note,
        taken_at=datetime.now(UTC),
    )


def sweeps(store: HaloflowStore) -> list[dict[str, Any]]:
    """Return each sweep of the store with the number of its candidates, and of complete ones."""
    known = count_facets(store.summaries, {})["sweep"]
    complete = count_facets(store.summaries, {"complete": True})["sweep"]
    return [
        {"name": name, "n_candidates": known[name], "n_complete": complete.get(name, 0)}
        for name in sorted(known)
    ]


def _order(stage: Stage) -> tuple[int, str]:
    known = stage.stage in _STAGES
    return (_STAGES.index(stage.stage) if known else len(_STAGES), stage.stage)


def _running(store: HaloflowStore, step: KnownStep, claim: Claim) -> RunningStep:
    progress = read_progress(step_directory(store.files_dir, claim.identity))
    since = claim.claimed_at.replace(tzinfo=UTC)
    share = left = None
    if progress is not None and progress.total:
        share = min(progress.done / progress.total, 1.0)
        elapsed = max(progress.updated_at - since.timestamp(), 0.0)
        if share >= _LEAST_SHARE and elapsed:
            left = max(elapsed * (1 - share) / share - (time.time() - progress.updated_at), 0.0)
    return RunningStep(
        step,
        claim.identity,
        str(claim.owner),
        since,
        progress.stage if progress else "starting",
        share,
        left,
    )


def _threads(store: HaloflowStore, identity: str | None) -> int:
    """Return the threads of a stage's steps, of one that has ended."""
    if identity is None:
        return 1
    field_name = "output.provenance.threads"
    found = store.outputs.query_one({"uuid": step_uuid(identity)}, [field_name]) or {}
    threads = ((found.get("output") or {}).get("provenance") or {}).get("threads")
    return threads if isinstance(threads, int) else 1


def _eta(stages: Iterable[Stage], running: list[RunningStep]) -> tuple[float | None, str]:
    """Return the time left: the mean time of each stage, shared by as many as run now."""
    left = [stage for stage in stages if stage.left]
    if not left:
        return 0.0, "all steps have ended"
    if not running:
        return None, "nothing runs"
    blind = {one.step.kind for one in running if one.seconds_left is None}
    unknown = [
        stage.stage
        for stage in left
        if stage.mean_s is None and (stage.states["waiting"] or stage.stage in blind)
    ]
    work = sum((stage.mean_s or 0.0) * stage.states["waiting"] for stage in left)
    means = {stage.stage: stage.mean_s for stage in left}
    for one in running:
        mean = means.get(one.step.kind)
        own = one.seconds_left if one.seconds_left is not None else mean
        work += own or 0.0
    if unknown:
        return None, f"no step of {', '.join(unknown)} has ended yet"
    return work / len(running), f"at the mean time of each stage, {len(running)} at a time"


def _failure_groups(store: HaloflowStore, known: Mapping[str, KnownStep]) -> list[FailureGroup]:
    groups: dict[str, list[tuple[KnownStep, Mapping[str, Any]]]] = {}
    for row in store.failures.query({}):
        step = known.get(row["identity"])
        if step is not None:
            key = _VARYING.sub("#", _first_line(str(row.get("error") or "")))
            groups.setdefault(key, []).append((step, row))
    made = [_failure_group(members) for members in groups.values()]
    return sorted(made, key=lambda group: -group.count)[:_MOST_GROUPS]


def _failure_group(members: list[tuple[KnownStep, Mapping[str, Any]]]) -> FailureGroup:
    times = [row["failed_at"] for _, row in members if isinstance(row.get("failed_at"), datetime)]
    return FailureGroup(
        cause=_first_line(str(members[0][1].get("error") or ""))[:_CAUSE_LENGTH],
        count=len(members),
        stages=dict(Counter(step.kind for step, _ in members)),
        last=max(times).replace(tzinfo=UTC) if times else None,
        examples=[_example(step, row) for step, row in members[:_EXAMPLES]],
    )


def _example(step: KnownStep, row: Mapping[str, Any]) -> dict[str, Any]:
    lines = str(row.get("error") or "")[-_TEXT_LENGTH:].splitlines()
    return {
        "candidate_id": step.candidate_id,
        "label": step.label,
        "step": step.name,
        "identity": row["identity"],
        "tail": "\n".join(lines[-_TAIL_LINES:]),
    }


def _first_line(error: str) -> str:
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return lines[0] if lines else "no message"
