"""Removing documents of steps so that the summaries of their candidates notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .changes import IDENTITY_PATHS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maggma.core import Store

    from .changes import Changes

_PREFIX: Final = "removed "
_ALL: Final = {"_id": {"$gte": _PREFIX, "$lt": "removed!"}}
"""The next character after the blank."""


def remove(store: Store, meta: Store, name: str, identities: Mapping[Any, str]) -> None:
    """Remove documents, and leave a note of each that stays until candidates were told.

    The note comes first: whoever is killed here leaves one too many, or none too few.

    Parameters
    ----------
    store, meta
        The collection, and that of the notes.
    name
        Of the collection: ``outputs`` or ``failures``.
    identities
        ``_id`` of documents to the step that each is of.
    """
    if not identities:
        return
    notes = [
        {"_id": f"{_PREFIX}{name} {one}", "collection": name, "document": one, "identity": identity}
        for one, identity in identities.items()
    ]
    meta.update(notes, key="_id")
    store.remove_docs({"_id": {"$in": list(identities)}})


def pass_on_removals(meta: Store, sources: Mapping[str, Store], changes: Changes) -> None:
    """Let candidates count as changed of whose steps documents were removed.

    A note stays as long as its document is there, and nothing has changed: who wrote it may be
    about to remove it, or was killed.

    Parameters
    ----------
    sources
        The collections by name.
    """
    notes = list(meta.query(_ALL))
    if not notes:
        return
    there = set()
    for name in IDENTITY_PATHS:
        wanted = [note["document"] for note in notes if note["collection"] == name]
        rows = sources[name].query({"_id": {"$in": wanted}}, ["_id"]) if wanted else ()
        there |= {(name, row["_id"]) for row in rows}
    gone = [note for note in notes if (note["collection"], note["document"]) not in there]
    changes.touch({note["identity"] for note in gone})
    meta.remove_docs({"_id": {"$in": [note["_id"] for note in gone]}})
