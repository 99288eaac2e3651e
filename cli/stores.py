"""Opening the store that a command was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ..settings import get_settings
from ..stores.connection import open_store
from ..stores.mongodb import translated
from ..workflows.status import update_summaries
from .console import console

if TYPE_CHECKING:
    from ..stores.connection import HaloflowStore


def store_uri(given: str | None) -> str:
    """Return the store meant: as given, else from the settings."""
    return given if given is not None else get_settings().store


def existing_store(given: str | None, *, read_only: bool = False) -> HaloflowStore:
    """Open a store that must be there; commands that run nothing use this."""
    return open_store(store_uri(given), must_exist=True, read_only=read_only)


def bring_up_to_date(opened: HaloflowStore, told: set[str] | None = None) -> None:
    """Update the summaries; on stderr, name the candidates that cannot be read.

    Those in `told` were named before, and what is said is added to it.

    Raises
    ------
    StoreError
        The store cannot be read or written.
    """
    with translated(opened.uri):
        unreadable = update_summaries(opened)
    for name, problem in unreadable.items():
        words = f"{name} cannot be read, its summary stays as it was: {problem}"
        if told is None or words not in told:
            console(stderr=True).print(Text(words, style="yellow"))
        if told is not None:
            told.add(words)
