"""Keeping one summary per candidate up to date."""

from __future__ import annotations

import random
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from maggma.core import Builder
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from ..errors import DocumentError, InputError
from ..identity import step_uuid
from .claims import Claims
from .collection import SqliteCollection
from .embedded_changes import EmbeddedChanges
from .records import candidate_of, summary_record
from .removals import pass_on_removals
from .server_changes import ServerChanges
from .summary import summarize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maggma.core import Store

    from .changes import Changes, Taken
    from .connection import HaloflowStore

_WRITING = "_writing"
"""Of a summary's record: which writing it is from. Who read another one does not replace it."""
_DAMAGED = (DocumentError, InputError, ValueError, TypeError, LookupError)
"""What a damaged record raises when it is read: ValueError by pymatgen, on a formula."""
_MOST_TRIES = 5
"""How often a candidate is looked at that others change, or build, at the same time."""


class SummaryBuilder(Builder):
    """Summarize the candidates that have changed; a second run changes nothing.

    A candidate is looked at when it was written, or one of its steps was stored, failed or
    was removed since it was last looked at, and as long as one runs; see
    :mod:`~haloflow.stores.changes`. What that costs depends on how many these are, not on how
    many candidates there are.

    Parameters
    ----------
    outputs, candidates, claims, failures
        Source stores, as in :class:`~haloflow.stores.connection.HaloflowStore`.
    summaries, meta
        Target stores.
    candidate_ids
        Look at these candidates only, and at all of them.
    chunk_size
        Candidates per reading and write.

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
        chunk_size: int = 50,
    ) -> None:
        self.outputs = outputs
        self.candidates = candidates
        self.claims = claims
        self.failures = failures
        self.summaries = summaries
        self.meta = meta
        self.candidate_ids = None if candidate_ids is None else list(candidate_ids)
        self.unreadable: dict[str, str] = {}
        self._taken: dict[str, Taken] = {}
        self._before: dict[str, dict[str, Any] | None] = {}
        self._again: list[Any] = []
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

    @property
    def changes(self) -> Changes:
        """What has changed in the connected stores."""
        return changes_of(self.outputs, self.failures, self.candidates)

    def run(self, log_level: int | None = None) -> None:
        """Update the summaries; the stores stay open and logging as it is."""
        self.connect()
        self.unreadable, self._taken, self._again = {}, {}, []
        for keys in self._batches(self._keys()):
            self._build(keys)
        for _ in range(_MOST_TRIES - 1):
            again, self._again = self._again, []
            random.shuffle(again)  # whoever is in the way may be working in the same order
            for keys in self._batches(again):
                self._build(keys)

    def _build(self, keys: Sequence[Any]) -> None:
        chunk = []
        for item in self._items(keys):
            with self._noting(item["candidate"].candidate_id):
                chunk.append(self.process_item(item))
        self.update_targets(chunk)

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield each candidate to look at, with the documents of its steps."""
        for keys in self._batches(self._keys()):
            yield from self._items(keys)

    def _keys(self) -> list[Any]:
        """Return what the candidates to look at are known by."""
        changes = self.changes
        changes.pass_on()
        if self.candidate_ids is not None:
            return changes.keys_of(self.candidate_ids)
        sources = {"outputs": self.outputs, "failures": self.failures}
        pass_on_removals(self.meta, sources, changes)
        changes.touch(Claims(self.claims).live())
        return changes.changed()

    def _batches(self, keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
        for start in range(0, len(keys), self.chunk_size):
            yield keys[start : start + self.chunk_size]

    def _items(self, keys: Sequence[Any]) -> Iterator[dict[str, Any]]:
        found = []
        for taken in self.changes.take(keys):
            with self._noting(str(taken.record.get("candidate_id"))):
                candidate = candidate_of(taken.record)
                self._taken[candidate.candidate_id] = taken
                found.append(candidate)
        self._note_written([candidate.candidate_id for candidate in found])
        identities = sorted({one for candidate in found for one in candidate.steps.values()})
        documents = self._documents(identities)
        running = Claims(self.claims).live(identities).keys()
        failed = self.failures.query({"identity": {"$in": identities}}, ["identity", "error"])
        errors = {row["identity"]: row["error"] for row in failed}
        for candidate in found:
            own = set(candidate.steps.values())
            yield {
                "candidate": candidate,
                "steps": {one: documents[one] for one in own & documents.keys()},
                "running": own & running,
                "failures": {one: errors[one] for one in own & errors.keys()},
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
        return summary_record(summarize(**item))

    def update_targets(self, items: list[dict[str, Any]]) -> None:
        """Write the summaries, but none that somebody wrote since its documents were read.

        So an old summary never replaces a newer one, even if whoever brings it is killed
        before it could look again.
        """
        by_id = {item["candidate_id"]: item for item in items}
        written = self._write(by_id)
        taken = {name: one for name in by_id if (one := self._taken.pop(name, None)) is not None}
        at_rest = [one for name, one in taken.items() if name in written and not _runs(by_id[name])]
        self._again += [one.key for name, one in taken.items() if name not in written]
        self._again += self.changes.settle(at_rest)

    def _note_written(self, names: Sequence[str]) -> None:
        """Note which summaries there are, before the documents of their steps are read."""
        rows = self.summaries.query({"candidate_id": {"$in": list(names)}})
        found = {row["candidate_id"]: row for row in rows}
        self._before.update({name: found.get(name) for name in names})

    def _write(self, by_id: dict[str, dict[str, Any]]) -> set[str]:
        """Return the candidates whose summary was written."""
        collection, writing = self.summaries._collection, secrets.token_hex(8)
        new, known = [], []
        for name, item in by_id.items():
            before = self._before.pop(name, None)
            if before is None:
                new.append({**item, "_id": name, _WRITING: writing})
                continue
            same = {"_id": before["_id"], _WRITING: before.get(_WRITING, {"$exists": False})}
            record = before if _contents(before) == _contents(item) else {**item, **same}
            known.append(ReplaceOne(same, {**record, _WRITING: writing}))
        n_written = collection.bulk_write(known, ordered=False).matched_count if known else 0
        if _insert(collection, new) and n_written == len(known):
            return set(by_id)
        mine = {"candidate_id": {"$in": list(by_id)}, _WRITING: writing}
        return {row["candidate_id"] for row in self.summaries.query(mine, ["candidate_id"])}

    def _documents(self, identities: list[str]) -> dict[str, dict[str, Any]]:
        by_uuid = {step_uuid(identity): identity for identity in identities}
        fields = ["uuid", "index", "output"]
        rows = self.outputs.query({"uuid": {"$in": list(by_uuid)}}, fields, sort={"index": 1})
        return {by_uuid[row["uuid"]]: row["output"] for row in rows}


def changes_of(outputs: Store, failures: Store, candidates: Store) -> Changes:
    """Return the changes of connected stores."""
    stores = {"outputs": outputs, "failures": failures, "candidates": candidates}
    collections = {name: store._collection for name, store in stores.items()}
    if isinstance(collections["candidates"], SqliteCollection):
        return EmbeddedChanges(collections["candidates"])
    return ServerChanges(collections)


def _insert(collection: Any, records: list[dict[str, Any]]) -> bool:
    """Insert what is not there; tell whether all was, as no other builder was faster."""
    if not records:
        return True
    try:
        collection.insert_many(records)
    except (BulkWriteError, DuplicateKeyError):
        for record in records:
            with suppress(DuplicateKeyError):  # the other builder's stays: it is built again
                collection.insert_one(record)
        return False
    return True


def _runs(summary: dict[str, Any]) -> bool:
    """Tell whether a step runs: that it ends leaves no trace, so it is looked at again."""
    return any(step["state"] == "running" for step in summary["steps"])


def _contents(record: dict[str, Any]) -> dict[str, Any]:
    left_out = {"_id", "last_updated", _WRITING}
    return {key: value for key, value in record.items() if key not in left_out}
