"""Results of steps in a store, found by the step's identity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..identity import step_uuid
from .removals import remove

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .connection import HaloflowStore

_BATCH = 500


def stored_output(store: HaloflowStore, identity: str) -> dict[str, Any] | None:
    """Return the document of the step, or ``None`` if it has not been computed."""
    found = store.outputs.query_one({"uuid": step_uuid(identity)}, properties=["output"])
    return None if found is None else found["output"]


def stored_outputs(store: HaloflowStore, identities: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the documents of those steps that have been computed, by identity."""
    found: dict[str, dict[str, Any]] = {}
    for some in _batches(identities):
        uuids = [step_uuid(identity) for identity in some]
        for row in store.outputs.query({"uuid": {"$in": uuids}}, properties=["output"]):
            found[row["output"]["identity"]] = row["output"]
    return found


def finished(store: HaloflowStore, identities: Iterable[str]) -> set[str]:
    """Return those of `identities` that have a stored document."""
    return set(heads(store, identities))


def heads(store: HaloflowStore, identities: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return status, note and parents of those steps that have a stored document."""
    found: dict[str, dict[str, Any]] = {}
    fields = ["uuid", "output.status", "output.note", "output.provenance.parents"]
    for some in _batches(identities):
        by_uuid = {step_uuid(identity): identity for identity in some}
        for row in store.outputs.query({"uuid": {"$in": list(by_uuid)}}, properties=fields):
            found[by_uuid[row["uuid"]]] = row.get("output") or {}
    return found


def used_all(document: Mapping[str, Any], parents: Iterable[str]) -> bool:
    """Tell whether a stored document was made from all of `parents`."""
    return set(document.get("provenance", {}).get("parents", ())).issuperset(parents)


def forget(store: HaloflowStore, identities: Collection[str]) -> None:
    """Remove the documents of steps, so that they run again; their files are kept."""
    for some in _batches(identities):
        by_uuid = {step_uuid(identity): identity for identity in some}
        rows = store.outputs.query({"uuid": {"$in": list(by_uuid)}}, ["_id", "uuid"])
        found = {row["_id"]: by_uuid[row["uuid"]] for row in rows}
        remove(store.outputs, store.meta, "outputs", found)
    clear_failures(store, identities)


def record_failure(store: HaloflowStore, identity: str, step: str, error: str) -> None:
    """Note why a step gave no document."""
    failed_at = datetime.now(UTC).replace(tzinfo=None)
    store.failures.update(
        [{"identity": identity, "step": step, "error": error, "failed_at": failed_at}]
    )


def clear_failures(store: HaloflowStore, identities: Iterable[str]) -> None:
    """Drop the notes of earlier failures."""
    for some in _batches(identities):
        rows = store.failures.query({"identity": {"$in": some}}, ["_id", "identity"])
        found = {row["_id"]: row["identity"] for row in rows}
        remove(store.failures, store.meta, "failures", found)


def failures(store: HaloflowStore, identities: Iterable[str]) -> dict[str, str]:
    """Return the error of each step of `identities` that failed."""
    return {
        row["identity"]: row["error"]
        for some in _batches(identities)
        for row in store.failures.query({"identity": {"$in": some}})
    }


def _batches(identities: Iterable[str]) -> Iterable[list[str]]:
    wanted = sorted(set(identities))
    return (wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH))
