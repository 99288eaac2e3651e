"""Checksums of documents that do not depend on their order, nor on the order of their fields."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bson

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_BITS = 256


def digest(document: Mapping[str, Any], without: Collection[str] = ()) -> bytes:
    """Return the sha256 of the BSON of `document`, its fields in the order of their names."""
    kept = {key: value for key, value in document.items() if key not in without}
    return hashlib.sha256(bson.encode(_in_order(kept))).digest()


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return [_in_order(item) for item in value]
    return value


@dataclass
class Checksum:
    """Count and checksum of a collection: the sum of the digests of its documents."""

    count: int = 0
    _sum: int = 0

    def add(self, digest_of_document: bytes) -> None:
        """Take in a document."""
        self.count += 1
        self._sum = (self._sum + int.from_bytes(digest_of_document, "big")) % 2**_BITS

    def hexdigest(self) -> str:
        """Return the checksum of what was taken in."""
        return f"{self._sum:064x}"
