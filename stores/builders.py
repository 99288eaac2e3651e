"""Keeping one summary per candidate up to date."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from bson import ObjectId
from maggma.core import Builder

from ..errors import DocumentError, InputError
from ..identity import step_uuid
from .claims import Claims
from .records import candidate_of, summary_record
from .summary import summarize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maggma.core import Store

    from .connection import HaloflowStore

_WATERMARK = "summary_builder"
_BUILT_FROM = "_candidate_updated"
_DAMAGED = (DocumentError, InputError, ValueError, TypeError, LookupError)
"""What a damaged record raises when it is read: ValueError by pymatgen, on a formula."""
_MARGIN = timedelta(minutes=10)
"""How far the clocks of hosts may differ. Ids carry the time (UTC) when they were made."""


class SummaryBuilder(Builder):
    """Summarize the candidates that have changed; a second run changes nothing.

    A candidate is looked at when it was changed after its summary, or has a step that was
    stored since the last build, or that runs, has failed, or did when last looked at.

    Parameters
    ----------
    outputs, candidates, claims, failures
        Source stores, as in :class:`~haloflow.stores.connection.HaloflowStore`.
    summaries, meta
        Target stores.
    candidate_ids
        Look at these candidates only, and at all of them.
    chunk_size
        Candidates per write.

    Attributes
    ----------
    unreadable
        Candidates whose record or documents cannot be read, and why; their summaries stay as
        they were, and they are looked at again at the next run.
    """

    def __init__(  # noqa: PLR0917  (maggma builders are made of their stores)
        self,
        outputs: Store,
        candidates: Store,
        claims: Store,
        failures: Store,
        summaries: Store,
        meta: Store,
        candidate_ids: Sequence[str] | None = None,
        chunk_size: int = 100,
    ) -> None:
        self.outputs = outputs
        self.candidates = candidates
        self.claims = claims
        self.failures = failures
        self.summaries = summaries
        self.meta = meta
        self.candidate_ids = None if candidate_ids is None else list(candidate_ids)
        self.unreadable: dict[str, str] = {}
        self._seen: ObjectId | None = None
        super().__init__([outputs, candidates, claims, failures], [summaries, meta], chunk_size)

    @classmethod
    def of(cls, store: HaloflowStore, candidate_ids: Sequence[str] | None = None) -> Self:
        """Build the builder of an open store."""
        return cls(
            store.outputs,
            store.candidates,
            store.claims,
            store.failures,
            store.summaries,
            store.meta,
            candidate_ids,
        )

    def run(self, log_level: int | None = None) -> None:
        """Update the summaries; the stores stay open and logging as it is."""
        self.connect()
        self.unreadable = {}
        chunk: list[dict[str, Any]] = []
        for item in self.get_items():
            with self._noting(item["candidate"].candidate_id):
                chunk.append(self.process_item(item))
            if len(chunk) == self.chunk_size:
                self.update_targets(chunk)
                chunk = []
        self.update_targets(chunk)
        self._remember()

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield each candidate to look at, with the documents of its steps."""
        for record in self._stale():
            candidate = None
            with self._noting(str(record["candidate_id"])):
                candidate = candidate_of(record)
            if candidate is None:
                continue
            identities = list(candidate.steps.values())
            yield {
                "candidate": candidate,
                "candidate_updated": record.get("last_updated"),
                "steps": self._documents(identities),
                "running": set(Claims(self.claims).live(identities)),
                "failures": {
                    row["identity"]: row["error"]
                    for row in self.failures.query({"identity": {"$in": identities}})
                },
            }

    @contextmanager
    def _noting(self, candidate_id: str) -> Iterator[None]:
        """Note what is wrong with the candidate that is read inside, so that others go on."""
        try:
            yield
        except _DAMAGED as error:
            self.unreadable[candidate_id] = str(error)

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """Summarize one candidate."""
        updated = item.pop("candidate_updated")
        return {**summary_record(summarize(**item)), _BUILT_FROM: updated}

    def update_targets(self, items: list[dict[str, Any]]) -> None:
        """Write the summaries that differ from those in the store."""
        ids = [item["candidate_id"] for item in items]
        known = {
            row["candidate_id"]: _contents(row)
            for row in self.summaries.query({"candidate_id": {"$in": ids}})
        }
        changed = [item for item in items if known.get(item["candidate_id"]) != _contents(item)]
        if changed:
            self.summaries.update(changed, key="candidate_id")

    def _stale(self) -> Iterator[dict[str, Any]]:
        if self.candidate_ids is not None:
            yield from self.candidates.query({"candidate_id": {"$in": self.candidate_ids}})
            return
        moving = self._fresh() | set(Claims(self.claims).live())
        moving |= {row["identity"] for row in self.failures.query({}, ["identity"])}
        unsettled = {"steps.state": {"$in": ["running", "failed"]}}
        moved = set(self.summaries.distinct("candidate_id", unsettled)) | self._were_unreadable()
        built = {
            row["candidate_id"]: row.get(_BUILT_FROM)
            for row in self.summaries.query({}, ["candidate_id", _BUILT_FROM])
        }
        for record in self.candidates.query({}):
            name = record["candidate_id"]
            if (
                built.get(name) != record.get("last_updated")
                or name in moved
                or not moving.isdisjoint(_identities(record))
            ):
                yield record

    def _fresh(self) -> set[str]:
        """Return the steps stored since the last build, and note how far this one sees."""
        mark = self.meta.query_one({"_id": _WATERMARK})
        self._seen = mark["seen"] if mark else None
        criteria: dict[str, Any] = {}
        if self._seen:
            since = self._seen.generation_time - _MARGIN
            criteria = {"_id": {"$gte": ObjectId.from_datetime(since)}}
        rows = list(self.outputs.query(criteria, ["_id", "output.identity"]))
        self._seen = max((row["_id"] for row in rows), default=self._seen)
        outputs = [row.get("output") for row in rows]  # other jobs may return anything
        return {one["identity"] for one in outputs if isinstance(one, dict) and "identity" in one}

    def _were_unreadable(self) -> set[str]:
        mark = self.meta.query_one({"_id": _WATERMARK}) or {}
        return set(mark.get("unreadable") or ())

    def _remember(self) -> None:
        """Keep how far this build saw; what it could not read, a newer haloflow may."""
        known = self._were_unreadable()
        lost = known | self.unreadable.keys() if self.candidate_ids else self.unreadable.keys()
        if self._seen:
            mark = {"_id": _WATERMARK, "seen": self._seen, "unreadable": sorted(lost)}
            self.meta.update(mark, key="_id")

    def _documents(self, identities: list[str]) -> dict[str, dict[str, Any]]:
        by_uuid = {step_uuid(identity): identity for identity in identities}
        fields = ["uuid", "index", "output"]
        rows = self.outputs.query({"uuid": {"$in": list(by_uuid)}}, fields, sort={"index": 1})
        return {by_uuid[row["uuid"]]: row["output"] for row in rows}


def _identities(record: dict[str, Any]) -> list[Any]:
    steps = record.get("steps")
    return (
        [one for one in steps.values() if isinstance(one, str)] if isinstance(steps, dict) else []
    )


def _contents(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in {"_id", "last_updated"}}
