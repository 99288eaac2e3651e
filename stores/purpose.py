"""What a store is for: results, or tests, in which nothing has to be real."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import HaloflowStore

_ID = "purpose"
_TESTS = "tests"


def mark_for_tests(store: HaloflowStore) -> None:
    """Let `store` take what a stand-in for a program wrote; there is no way back."""
    store.meta.update([{"_id": _ID, "value": _TESTS}], key="_id")


def is_for_tests(store: HaloflowStore) -> bool:
    """Whether `store` takes what a stand-in for a program wrote."""
    found = store.meta.query_one({"_id": _ID})
    return found is not None and found.get("value") == _TESTS
