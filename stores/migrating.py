"""Upgrading the documents of a store to the schema of this haloflow: tried first, then written."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymongo import ReplaceOne

from ..errors import DocumentError, StoreError
from .exclusive import alone
from .migrations import COLLECTIONS, MIGRATIONS, version_of
from .mongodb import SEEN, translated
from .records import candidate_of, step_of, summary_of
from .streams import BATCH, batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .connection import HaloflowStore
    from .streams import Report

MIGRATION_MARK = "migration"
_READERS: dict[str, Callable[[Mapping[str, Any]], object]] = {
    "outputs": step_of,
    "candidates": candidate_of,
    "summaries": summary_of,
}
_MOST_NAMED = 3
_MOST_LINES = 40


@dataclass
class MigrationPlan:
    """What a migration changes.

    Attributes
    ----------
    version
        Of the schema after it.
    store_version
        That the store says to have.
    pending
        Number of documents by collection, kind (empty but for steps) and version, of those
        below `version`.
    n_current
        Number of those that need no change.
    examples
        The first changed document of each collection and kind as a unified diff of its JSON.
    newer, invalid
        Documents of a newer haloflow, and those that would not be valid afterwards, by name
        with the reason.
    """

    version: int
    store_version: int | None
    pending: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    n_current: int = 0
    examples: dict[tuple[str, str], str] = field(default_factory=dict)
    newer: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)

    @property
    def n_pending(self) -> int:
        """Number of documents that change."""
        return self.pending.total()

    @property
    def is_needed(self) -> bool:
        """Whether there is something to write."""
        return self.n_pending > 0 or self.store_version != self.version


def plan_migration(store: HaloflowStore, report: Report | None = None) -> MigrationPlan:
    """Upgrade every old document in memory and validate it; nothing is written.

    Parameters
    ----------
    store
        Open store, perhaps for reading only.
    report
        Told how far it is.
    """
    with translated(store.uri):
        known = store.meta.query_one({"_id": "schema"})
        plan = MigrationPlan(MIGRATIONS.version, known["version"] if known else None)
        total = _total(store)
        done = 0
        for name in COLLECTIONS:
            for batch in batches(store.collections[name]):
                for row in batch.documents:
                    _look_at(plan, name, row)
                done += len(batch.documents)
                if report is not None:
                    report("looking at documents", done, total)
        return plan


def migrate(store: HaloflowStore, report: Report | None = None) -> MigrationPlan:
    """Upgrade the old documents of a store where they stand.

    They are written in batches, each with a note how far it came: killed at any moment and
    called again, it goes on. Until the end, and after, all documents can be read.

    Parameters
    ----------
    store
        Open store.
    report
        Told how far it is.

    Returns
    -------
    MigrationPlan
        What was changed.

    Raises
    ------
    StoreError
        Steps are running; or a document is newer than this haloflow, or would not be valid.
        Nothing is changed then.
    ClaimError
        Another process migrates the store.
    """
    with translated(store.uri), alone(store, "migrating"):
        plan = plan_migration(store, report)
        _refuse(plan)
        if plan.n_pending:
            done = 0
            for n_written in _write_all(store):
                done += n_written
                if report is not None:
                    report("writing documents", done, plan.n_pending)
            _refuse_left(store)
        if plan.is_needed:
            schema = {"_id": "schema", "version": plan.version}
            store.meta._collection.replace_one({"_id": "schema"}, schema, upsert=True)
        store.meta.remove_docs({"_id": MIGRATION_MARK})
        return plan


def versioned(name: str, row: dict[str, Any]) -> dict[str, Any] | None:
    """Return the part of a record that has a version; ``None`` for outputs of other jobs."""
    if name != "outputs":
        return row
    output = row.get("output")
    return output if isinstance(output, dict) and "kind" in output else None


def name_of(name: str, row: Mapping[str, Any]) -> str:
    """Return how messages call a record."""
    output = row.get("output")
    if name == "outputs" and isinstance(output, dict) and "identity" in output:
        return f"{output.get('kind')} step {str(output['identity'])[:12]}"
    known = next((row[key] for key in ("candidate_id", "uuid") if key in row), row.get("_id"))
    return f"{name} {known}"


def read_record(name: str, document: Mapping[str, Any]) -> object:
    """Read the versioned part of a record by its model; DocumentError where it is not valid."""
    return _READERS[name](document)


def _total(store: HaloflowStore) -> int:
    """Count exactly: estimates are wrong after a crash of the server."""
    return sum(int(store.collections[name]._collection.count_documents({})) for name in COLLECTIONS)


def _look_at(plan: MigrationPlan, name: str, row: dict[str, Any]) -> None:
    document = versioned(name, row)
    if document is None:
        return
    version = version_of(document)
    if version > plan.version:
        plan.newer.append(f"{name_of(name, row)} (schema {version})")
    elif version == plan.version:
        plan.n_current += 1
    else:
        kind = str(document["kind"]) if name == "outputs" else ""
        plan.pending[name, kind, version] += 1
        try:
            new = MIGRATIONS.upgraded(name, document)
            read_record(name, new)
        except DocumentError as error:
            plan.invalid.append(f"{name_of(name, row)}: {error}")
            return
        if (name, kind) not in plan.examples:
            plan.examples[name, kind] = _difference(name_of(name, row), document, new)


def _difference(name: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    lines, new_lines = (
        json.dumps(document, indent=1, sort_keys=True, default=str).splitlines()
        for document in (old, new)
    )
    names = (f"{name}, now", f"{name}, then")
    found = list(difflib.unified_diff(lines, new_lines, *names, n=1, lineterm=""))
    if len(found) > _MOST_LINES:
        found[_MOST_LINES:] = [f"... and {len(found) - _MOST_LINES} lines more"]
    return "\n".join(found)


def _refuse(plan: MigrationPlan) -> None:
    if plan.newer:
        raise StoreError(
            f"{len(plan.newer)} documents were written by a newer haloflow",
            given=", ".join(plan.newer[:_MOST_NAMED]),
            allowed=f"up to schema {plan.version}",
            remedy="upgrade haloflow: pip install -U haloflow",
        )
    if plan.invalid:
        raise StoreError(
            f"{len(plan.invalid)} documents would not be valid after the migration",
            given="; ".join(plan.invalid[:_MOST_NAMED]),
            remedy="remove or mend them: haloflow db check names all; nothing was changed",
        )


def _refuse_left(store: HaloflowStore) -> None:
    left = plan_migration(store).n_pending
    if left:
        raise StoreError(
            f"{left} old documents came in while the store was migrated",
            given=store.name,
            remedy="stop what writes with an older haloflow, and migrate again",
        )


def _write_all(store: HaloflowStore) -> Iterator[int]:
    """Write from where an earlier call stopped; yield how many each batch changed."""
    mark = store.meta.query_one({"_id": MIGRATION_MARK}) or {}
    names = list(COLLECTIONS)
    if mark.get("version") == MIGRATIONS.version and mark.get("collection") in names:
        names = names[names.index(mark["collection"]) :]
    else:
        mark = {}
    for name in names:
        after = mark.get("after") if mark.get("collection") == name else None
        for batch in batches(store.collections[name], after, BATCH):
            requests = [one for row in batch.documents if (one := _replacement(name, row))]
            if requests:
                store.collections[name]._collection.bulk_write(requests)
            _remember(store, name, batch.mark)
            yield len(requests)
    store.meta.remove_docs({"_id": MIGRATION_MARK})  # what came in between is found from the start


def _replacement(name: str, row: dict[str, Any]) -> ReplaceOne[dict[str, Any]] | None:
    """Return the write that upgrades a record, if it is still the one that was read."""
    document = versioned(name, row)
    if document is None or version_of(document) >= MIGRATIONS.version:
        return None
    new = MIGRATIONS.upgraded(name, document)
    changed = {**row, "output": new} if name == "outputs" else new
    changed.pop(SEEN, None)  # summaries are made of it anew
    path = "output.schema_version" if name == "outputs" else "schema_version"
    seen = {"_id": row["_id"], path: document.get("schema_version")}
    return ReplaceOne(seen, changed)


def _remember(store: HaloflowStore, name: str, after: Any) -> None:
    mark = {
        "_id": MIGRATION_MARK,
        "version": MIGRATIONS.version,
        "collection": name,
        "after": after,
    }
    store.meta._collection.replace_one({"_id": MIGRATION_MARK}, mark, upsert=True)
