"""Opening the store that a command was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..settings import get_settings
from ..stores.connection import open_store

if TYPE_CHECKING:
    from ..stores.connection import HaloflowStore


def store_uri(given: str | None) -> str:
    """Return the store meant: as given, else from the settings."""
    return given if given is not None else get_settings().store


def existing_store(given: str | None, *, read_only: bool = False) -> HaloflowStore:
    """Open a store that must be there; commands that run nothing use this."""
    return open_store(store_uri(given), must_exist=True, read_only=read_only)
