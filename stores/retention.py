"""Which trajectories need not be kept, by the rules of sweeps; nothing is changed here.

Only runs are looked at whose candidates are all complete: every step that could read the
trajectory has a result, or will never run.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..identity import step_uuid
from ..quantity import Status
from .file_paths import ROLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from .connection import HaloflowStore

THINNED: Final = "-thinned"
RULES_MARK: Final = "retention-"
_PRODUCTION: Final = "production"
_KINDS: Final = ("md", "melt_quench")
_BYTES_PER_GB: Final = 1e9
_BATCH: Final = 500
Choice = Literal["keep", "release"]


class Retention(BaseModel):
    """Which trajectories are kept once all that reads them is done; without rules, all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failed: Choice = Field("keep", description="Those of runs that broke down.")
    superseded: Choice = Field("keep", description="Those of runs that no candidate has any more.")
    preparation: Choice = Field(
        "keep", description="Equilibrations, melts and quenches: what comes before production."
    )
    keep_every: int | None = Field(
        None, ge=2, description="Keep every so many frames of productions, for looking at."
    )
    after_days: float = Field(0.0, ge=0, description="Only of runs that ended so long ago.")
    max_gb: float | None = Field(
        None,
        gt=0,
        description="Release the oldest productions of the store above this size; "
        "what other rules keep stays, and so do runs that broke down or are superseded.",
    )

    @property
    def keeps_all(self) -> bool:
        """Whether there is nothing to do."""
        return self == Retention(after_days=self.after_days)

    def with_(self, other: Retention) -> Retention:
        """Return rules that release only what both do."""
        both = {
            name: "release" if getattr(self, name) == getattr(other, name) == "release" else "keep"
            for name in ("failed", "superseded", "preparation")
        }
        return Retention.model_validate(
            {
                **both,
                "keep_every": _both(self.keep_every, other.keep_every, min),
                "after_days": max(self.after_days, other.after_days),
                "max_gb": _both(self.max_gb, other.max_gb, max),
            }
        )


def _both(one: float | None, other: float | None, choose: Any) -> float | None:
    return None if one is None or other is None else choose(one, other)


@dataclass(frozen=True)
class Release:
    """A part of a run that is not to be kept.

    Attributes
    ----------
    rule
        As the document will say.
    keep_every
        Keep so many frames in a thinned copy; ``None`` to keep nothing.
    """

    identity: str
    part: str
    rule: str
    n_files: int
    n_bytes: int
    keep_every: int | None = None


@dataclass
class RetentionPlan:
    """What rules would release.

    Attributes
    ----------
    n_bytes_kept
        Size of all trajectories that stay.
    n_unfinished
        Runs that rules are not asked of, since what reads them is not done.
    """

    releases: list[Release] = field(default_factory=list)
    n_bytes_kept: int = 0
    n_unfinished: int = 0

    @property
    def n_bytes(self) -> int:
        """Size of what would be released."""
        return sum(one.n_bytes for one in self.releases)


@dataclass
class _Run:
    identity: str
    kind: str
    status: Status
    parts: dict[str, tuple[int, int]]
    sweeps: set[str] = field(default_factory=set)
    is_settled: bool = True
    is_superseded: bool = False
    ended_at: datetime | None = None


def record_rules(store: HaloflowStore, sweep: str, rules: Retention | None) -> None:
    """Note the rules of a sweep; ``None``, which keeps everything, forgets earlier ones."""
    mark = {"_id": f"{RULES_MARK}{sweep}"}
    if rules is None:
        store.meta.remove_docs(mark)
    else:
        row = {**mark, "sweep": sweep, "rules": rules.model_dump()}
        store.meta._collection.replace_one(mark, row, upsert=True)


def recorded_rules(store: HaloflowStore) -> dict[str, Retention]:
    """Return the rules of the sweeps that have some."""
    rows = store.meta.query({"_id": {"$regex": f"^{RULES_MARK}"}})
    return {row["sweep"]: Retention.model_validate(row["rules"]) for row in rows}


def plan_retention(
    store: HaloflowStore,
    asked: Retention | None = None,
    now: datetime | None = None,
    unreadable: Collection[str] = (),
) -> RetentionPlan:
    """Return what is not to be kept.

    Parameters
    ----------
    store
        Open store, its summaries up to date.
    asked
        Rules for all runs; default: those of the sweeps. A run of several sweeps is released
        only as far as the rules of all of them agree.
    now
        Default: the present.
    unreadable
        Candidates whose summaries could not be brought up to date: their runs stay.
    """
    recorded = {} if asked is not None else recorded_rules(store)
    runs, settled = _runs(store)
    planned = _planned(store)
    sweeps = recorded.keys() | planned.sweeps
    for candidate_id, steps in planned.steps.items():
        if candidate_id in unreadable or settled.get(candidate_id) != hash(steps):
            for identity in steps & runs.keys():
                runs[identity].is_settled = False
    for run in _superseded(store, planned, set(runs)):
        run.sweeps.update(sweeps)  # whose it was is not known any more
        runs[run.identity] = run
    _date(store, runs)
    moment = now or datetime.now(UTC)
    found = RetentionPlan()
    rules_of = {run.identity: asked or _merged(run, recorded) for run in runs.values()}
    kept: list[_Run] = []
    for run in runs.values():
        rules = rules_of[run.identity]
        if not run.is_settled:
            found.n_unfinished += 1
        elif _is_old(run, rules, moment):
            found.releases += _released(run, rules)
            kept.append(run)
    _limit_size(runs.values(), kept, rules_of, found)
    released = {(one.identity, one.part) for one in found.releases}
    found.n_bytes_kept = sum(
        n_bytes
        for run in runs.values()
        for part, (_, n_bytes) in run.parts.items()
        if (run.identity, part) not in released
    )
    found.releases.sort(key=lambda one: (one.rule, one.identity, one.part))
    return found


def _runs(store: HaloflowStore) -> tuple[dict[str, _Run], dict[str, int]]:
    """Return the runs of all candidates, from their summaries, without the names of files.

    Besides, for each candidate that is complete, a hash of the steps that its summary knows.
    """
    runs: dict[str, _Run] = {}
    settled: dict[str, int] = {}
    fields = ["candidate_id", "sweeps", "complete", "steps"]
    for row in store.summaries.query({}, fields):
        if row.get("complete"):
            known = frozenset(step["identity"] for step in row.get("steps", ()))
            settled[row["candidate_id"]] = hash(known)
        for step in row.get("steps", ()):
            parts = _parts(step.get("files", ())) if step["kind"] in _KINDS else {}
            if not parts:
                continue
            status = Status(step.get("status") or Status.OK)
            run = runs.setdefault(
                step["identity"], _Run(step["identity"], step["kind"], status, parts)
            )
            run.sweeps.update(row.get("sweeps", ()))
            run.is_settled &= bool(row.get("complete"))
    return runs, settled


@dataclass
class _Planned:
    """What candidates say, read as it is stored: newer versions may have written it."""

    steps: dict[str, frozenset[str]] = field(default_factory=dict)
    sweeps: set[str] = field(default_factory=set)
    is_known: bool = True


def _planned(store: HaloflowStore) -> _Planned:
    found = _Planned()
    for row in store.candidates.query({}, ["candidate_id", "steps", "sweeps"]):
        if not isinstance(row.get("steps"), dict) or not isinstance(row.get("sweeps"), list):
            found.is_known = False
            continue
        found.steps[row["candidate_id"]] = frozenset(row["steps"].values())
        found.sweeps.update(row["sweeps"])
    return found


def _superseded(store: HaloflowStore, plans: _Planned, known: set[str]) -> Iterator[_Run]:
    """Yield the runs that no candidate has; none if one cannot be read, which may have any."""
    if not plans.is_known:
        return
    planned = known.union(*plans.steps.values())
    fields = ["output.identity", "output.kind", "output.status", "output.files"]
    for row in store.outputs.query({"output.kind": {"$in": list(_KINDS)}}, fields):
        output = row["output"]
        parts = _parts(output.get("files", ()))
        if parts and output["identity"] not in planned:
            status = Status(output.get("status", Status.OK))
            yield _Run(output["identity"], output["kind"], status, parts, is_superseded=True)


def _parts(files: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Return number and size of the files of each part that are still kept."""
    parts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for file in files:
        if file["role"].startswith(ROLE) and not file.get("released"):
            count, n_bytes = parts[file["role"].removeprefix(ROLE)]
            parts[file["role"].removeprefix(ROLE)] = count + 1, n_bytes + file["n_bytes"]
    return dict(parts)


def _date(store: HaloflowStore, runs: Mapping[str, _Run]) -> None:
    by_uuid = {step_uuid(identity): run for identity, run in runs.items()}
    uuids = list(by_uuid)
    for start in range(0, len(uuids), _BATCH):
        wanted = {"uuid": {"$in": uuids[start : start + _BATCH]}}
        for row in store.outputs.query(wanted, ["uuid", "completed_at"]):
            if row.get("completed_at"):
                ended = datetime.fromisoformat(str(row["completed_at"]))
                by_uuid[row["uuid"]].ended_at = ended if ended.tzinfo else ended.replace(tzinfo=UTC)


def _merged(run: _Run, recorded: Mapping[str, Retention]) -> Retention:
    if not run.sweeps or not run.sweeps <= recorded.keys():
        return Retention()
    first, *others = (recorded[sweep] for sweep in sorted(run.sweeps))
    for other in others:
        first = first.with_(other)
    return first


def _is_old(run: _Run, rules: Retention, now: datetime) -> bool:
    if not rules.after_days:
        return True
    return run.ended_at is not None and now - run.ended_at >= timedelta(days=rules.after_days)


def _released(run: _Run, rules: Retention) -> Iterator[Release]:
    for part, (n_files, n_bytes) in run.parts.items():
        one = Release(run.identity, part, "", n_files, n_bytes)
        is_thinned = part.endswith(THINNED)
        if run.is_superseded:
            if rules.superseded == "release":
                yield _by(one, "superseded: release")
        elif rules.failed == "release" and run.status.is_broken:
            yield _by(one, "failed: release")
        elif part != _PRODUCTION and not is_thinned:
            if rules.preparation == "release":
                yield _by(one, "preparation: release")
        elif rules.keep_every is not None and not is_thinned:
            yield _by(one, f"keep_every: {rules.keep_every}", rules.keep_every)


def _by(one: Release, rule: str, keep_every: int | None = None) -> Release:
    return Release(one.identity, one.part, rule, one.n_files, one.n_bytes, keep_every)


def _limit_size(
    runs: Iterable[_Run],
    open_to_rules: list[_Run],
    rules_of: Mapping[str, Retention],
    found: RetentionPlan,
) -> None:
    """Release the oldest productions, until what stays fits."""
    gone = {(one.identity, one.part) for one in found.releases}
    total = sum(
        n_bytes
        for run in runs
        for part, (_, n_bytes) in run.parts.items()
        if (run.identity, part) not in gone
    )
    for run in sorted(open_to_rules, key=_by_age):
        limit_gb = rules_of[run.identity].max_gb
        is_open = _PRODUCTION in run.parts and (run.identity, _PRODUCTION) not in gone
        if run.is_superseded or run.status.is_broken or not is_open or limit_gb is None:
            continue
        if total > limit_gb * _BYTES_PER_GB:
            n_files, n_bytes = run.parts[_PRODUCTION]
            rule = f"max_gb: {limit_gb:g}"
            found.releases.append(Release(run.identity, _PRODUCTION, rule, n_files, n_bytes))
            total -= n_bytes


def _by_age(run: _Run) -> tuple[bool, str, str]:
    ended = "" if run.ended_at is None else run.ended_at.isoformat()
    return run.ended_at is None, ended, run.identity
