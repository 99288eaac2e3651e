"""Which candidates have to be looked at again, told without a clock.

A document counts as changed until it was dealt with, and again from the moment it is written:
on a MongoDB server by a field that a replacement has not, in the embedded store by a table
that triggers fill. Who deals with one takes it first, and settles it when it is done; where
somebody wrote or took it in between, it still counts as changed. So nothing is missed whoever
writes, or is killed, when; and whatever is asked for is found by an index.

A document that was removed leaves no trace by itself: see
:func:`~haloflow.stores.results.forget`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

IDENTITY_PATHS: Final = {"outputs": "output.identity", "failures": "identity"}
"""Where the documents of a collection name the step that they are of."""
WATCHED: Final = (*IDENTITY_PATHS, "candidates")


@dataclass(frozen=True, slots=True)
class Taken:
    """A candidate that is being dealt with.

    Attributes
    ----------
    key, token
        For :meth:`Changes.settle`.
    record
        As the store keeps it.
    """

    key: Any
    token: Any
    record: dict[str, Any]


class Changes(Protocol):
    """The changed documents of a store."""

    def pass_on(self) -> None:
        """Let candidates count as changed of whose steps an output or failure has changed."""

    def touch(self, identities: Collection[str]) -> None:
        """Let candidates that have one of these steps count as changed."""

    def changed(self) -> list[Any]:
        """Return the keys of the candidates that count as changed."""

    def keys_of(self, candidate_ids: Sequence[str]) -> list[Any]:
        """Return the keys of these candidates, changed or not."""

    def take(self, keys: Sequence[Any]) -> list[Taken]:
        """Return candidates to deal with, as they are now."""

    def settle(self, taken: Sequence[Taken]) -> list[Any]:
        """Let candidates count as dealt with; return the keys of those that changed meanwhile."""

    def settle_all(self, but: Iterable[tuple[str, Any]] = ()) -> None:
        """Let all documents count as dealt with but some, by collection and ``_id``."""

    def pending(self) -> list[tuple[str, Any]] | None:
        """Return collection and ``_id`` of all changed documents; ``None`` where all are."""


def identity_in(document: Mapping[str, Any], path: str) -> str | None:
    """Return the identity at `path`, ``None`` where there is no such text."""
    found: Any = document
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None
