"""Upgrades of documents from one version of the schema to the next, as pure functions.

A change of a document's fields raises ``SCHEMA_VERSION`` and comes with functions that turn
old documents into new ones::

    @migration(1, 2, kind="relax")
    def _forces_in_pairs(document):
        return {**document, "forces": ...}

Old documents are read through them; ``haloflow db migrate`` writes what they give.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DocumentError
from .documents import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Document = dict[str, Any]
    Upgrade = Callable[[Document], Document]

FIRST_VERSION = 1
"""Of documents that do not say their version."""
COLLECTIONS = ("outputs", "candidates", "summaries")
"""Those whose documents have a version; in ``outputs`` it is that of the step's document."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One registered upgrade.

    Attributes
    ----------
    kind
        Kind of step documents it is for; ``None`` for all of the collection.
    """

    from_version: int
    collection: str
    kind: str | None
    upgrade: Upgrade


class Migrations:
    """Registered upgrades, up to a version.

    Parameters
    ----------
    version
        Version of the documents that this code reads and writes.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self._known: list[Migration] = []

    def migration(
        self,
        from_version: int,
        to_version: int,
        *,
        collection: str = "outputs",
        kind: str | None = None,
    ) -> Callable[[Upgrade], Upgrade]:
        """Register a function that returns the new document for an old one.

        Several for the same step are applied in the order in which they were registered.
        Documents that none is for keep their fields and get the new version.

        Parameters
        ----------
        from_version, to_version
            Neighbours.
        collection
            ``outputs`` (the function gets the step's document), ``candidates``, ``summaries``.
        kind
            Of step documents; default: all.

        Raises
        ------
        ValueError
            The versions are no neighbours, or the collection has no versions.
        """
        if to_version != from_version + 1 or from_version < FIRST_VERSION:
            raise ValueError(f"a migration goes one version up, not {from_version} to {to_version}")
        if collection not in COLLECTIONS:
            raise ValueError(f"documents of {collection} have no version")

        def register(upgrade: Upgrade) -> Upgrade:
            self._known.append(Migration(from_version, collection, kind, upgrade))
            return upgrade

        return register

    def upgraded(self, collection: str, document: Mapping[str, Any]) -> Document:
        """Return a document as this version writes it; the one given stays as it is.

        Raises
        ------
        DocumentError
            Nothing is registered for a version on the way.
        """
        new = dict(document)
        for version in range(version_of(document), self.version):
            if not any(one.from_version == version for one in self._known):
                raise DocumentError(
                    f"documents of schema {version} can no longer be read",
                    given=f"schema {version} in {collection}",
                    allowed=f"schema {self._oldest()} to {self.version}",
                    remedy=f"upgrade the store with a haloflow that writes schema {version + 1}",
                )
            for one in self._known:
                wanted = one.kind in {None, new.get("kind")}
                if one.from_version == version and one.collection == collection and wanted:
                    new = one.upgrade(deepcopy(new))
            new = {**new, "schema_version": version + 1}
        return new

    def _oldest(self) -> int:
        known = {one.from_version for one in self._known}
        oldest = self.version
        while oldest - 1 in known:
            oldest -= 1
        return oldest


def version_of(document: Mapping[str, Any]) -> int:
    """Return the version of the schema that a document was written with."""
    return int(document.get("schema_version", FIRST_VERSION))


MIGRATIONS = Migrations(SCHEMA_VERSION)
"""Those of this haloflow."""
migration = MIGRATIONS.migration
