"""The steps of many candidates by stage and state: all of them, or of very many a sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from ..stores.fields import get_field
from ..stores.paging import find_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..stores.connection import HaloflowStore
    from ..stores.fields import Field

MOST_READ: Final = 4000
"""Candidates whose steps are read; of more, as many from all over."""
_N_BLOCKS: Final = 5
_N_NEWEST: Final = 200
_PROPERTIES: Final = (
    "candidate_id",
    "label",
    *(f"steps.{name}" for name in ("name", "kind", "identity", "state", "status", "wall_s")),
)
_ENDED: Final = frozenset({"done", "skipped"})
_EVERYWHERE: Final = -1


@dataclass
class Stage:
    """Steps of one kind: how many in which state, and the wall time of those that ended."""

    stage: str
    states: Counter[str] = field(default_factory=Counter)
    not_ok: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0

    @property
    def mean_s(self) -> float | None:
        """Mean wall time of a step that is done, s."""
        return self.wall_s / self.states["done"] if self.states["done"] else None

    @property
    def left(self) -> int:
        """Steps that have not ended."""
        return self.states["waiting"] + self.states["running"]


@dataclass(frozen=True)
class KnownStep:
    """A step that has not ended well, and a candidate that it belongs to."""

    candidate_id: str
    label: str
    name: str
    kind: str


@dataclass(frozen=True)
class CountedSteps:
    """Steps by stage, those that candidates share once.

    Attributes
    ----------
    open
        Steps that have not ended well, by identity.
    states
        Their states.
    samples
        By stage, one that is done.
    note
        Says that this is an estimate; empty where all were counted.
    """

    n_candidates: int
    n_complete: int
    stages: dict[str, Stage]
    open: dict[str, KnownStep]
    states: dict[str, str]
    samples: dict[str, str]
    note: str = ""

    def stages_with(self, running: Iterable[str]) -> list[Stage]:
        """Return the stages, with steps as running that the summaries may not know to run yet."""
        stages = {
            name: replace(one, states=Counter(one.states)) for name, one in self.stages.items()
        }
        for identity in running:
            states = stages[self.open[identity].kind].states
            states[self.states[identity]] -= 1
            states["running"] += 1
        return list(stages.values())


def count_steps(
    store: HaloflowStore, criteria: Mapping[str, Any], most: int = MOST_READ
) -> CountedSteps:
    """Count the steps of the candidates whose summaries meet `criteria`.

    Of more than `most` candidates blocks of neighbouring ids at equal distances are read, and
    those that changed last, which tell what runs and fails. A step found in several blocks is
    one that very many share, and counts once; others stand for as many as were not read.
    """
    total = _count(store, criteria)
    seen = _Seen()
    if total <= most:
        for row in store.summaries.query(dict(criteria), list(_PROPERTIES)):
            seen.add(row, 0)
        return seen.counted(seen.n_candidates, seen.n_complete)
    size = max(most // _N_BLOCKS, 1)
    for block in range(_N_BLOCKS):
        skip = total * block // _N_BLOCKS
        for row in _rows(store, criteria, size, skip=skip):
            seen.add(row, block)
    newest = _rows(store, criteria, _N_NEWEST, sort=[(get_field("updated"), True)])
    found = seen.counted(total, _count(store, criteria, complete=True))
    for row in newest:
        for step in row.get("steps") or []:
            if step["state"] not in _ENDED and step["kind"] in found.stages:
                found.open.setdefault(step["identity"], _known(row, step))
                found.states.setdefault(step["identity"], step["state"])
    return found


def _count(store: HaloflowStore, criteria: Mapping[str, Any], **more: object) -> int:
    wanted = {"$and": [dict(criteria), more]} if criteria and more else {**criteria, **more}
    return find_page(store.summaries, wanted, limit=1, properties=("candidate_id",)).total


def _rows(
    store: HaloflowStore,
    criteria: Mapping[str, Any],
    limit: int,
    *,
    skip: int = 0,
    sort: Sequence[tuple[Field, bool]] = (),
) -> list[dict[str, Any]]:
    return find_page(
        store.summaries, criteria, sort=sort, skip=skip, limit=limit, properties=_PROPERTIES
    ).rows


def _known(row: Mapping[str, Any], step: Mapping[str, Any]) -> KnownStep:
    return KnownStep(row["candidate_id"], row["label"], step["name"], step["kind"])


class _Seen:
    """The steps that were read, each once, and where."""

    def __init__(self) -> None:
        self.n_candidates = 0
        self.n_complete = 0
        self._steps: dict[str, Mapping[str, Any]] = {}
        self._blocks: dict[str, int] = {}
        self._open: dict[str, KnownStep] = {}

    def add(self, row: Mapping[str, Any], block: int) -> None:
        """Take the steps of one summary."""
        self.n_candidates += 1
        steps = row.get("steps") or []
        self.n_complete += all(step["state"] in _ENDED for step in steps)
        for step in steps:
            identity = step["identity"]
            if identity in self._steps:
                if self._blocks[identity] != block:
                    self._blocks[identity] = _EVERYWHERE
                continue
            self._steps[identity] = step
            self._blocks[identity] = block
            if step["state"] != "done":
                self._open[identity] = _known(row, step)

    def counted(self, n_candidates: int, n_complete: int) -> CountedSteps:
        """Count them, and let them stand for those of `n_candidates`."""
        factor = n_candidates / self.n_candidates if self.n_candidates else 1.0
        weights: dict[tuple[str, str, str | None], float] = {}
        wall_s: dict[str, float] = {}
        samples: dict[str, str] = {}
        for identity, step in self._steps.items():
            weight = 1.0 if self._blocks[identity] == _EVERYWHERE else factor
            kind, state = step["kind"], step["state"]
            key = (kind, state, step.get("status"))
            weights[key] = weights.get(key, 0.0) + weight
            wall_s[kind] = wall_s.get(kind, 0.0) + weight * (step.get("wall_s") or 0.0)
            if state == "done":
                samples.setdefault(kind, identity)
        stages = {kind: Stage(kind, wall_s=spent) for kind, spent in wall_s.items()}
        for (kind, state, status), weight in weights.items():
            n = round(weight)
            stages[kind].states[state] += n
            if state == "done" and status not in {None, "ok"}:
                stages[kind].not_ok[str(status)] += n
        states = {identity: self._steps[identity]["state"] for identity in self._open}
        return CountedSteps(
            n_candidates, n_complete, stages, self._open, states, samples, self._note(n_candidates)
        )

    def _note(self, n_candidates: int) -> str:
        if self.n_candidates == n_candidates:
            return ""
        return (
            f"Steps, cost and time are estimated from {self.n_candidates:,} of {n_candidates:,} "
            "candidates."
        )
