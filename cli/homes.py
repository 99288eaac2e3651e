"""What ``haloflow db home`` does and prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ..errors import InputError
from ..stores.connection import open_store
from ..stores.homes import home_of, part, settle
from .console import console
from .stores import store_uri

if TYPE_CHECKING:
    from ..stores.homes import Home


def show_home(store: str | None, *, moved: bool, copy: bool) -> bool:
    """Print the id of a store and where it is at home, changed if asked; return whether here."""
    if moved and copy:
        raise InputError(
            "a store was either moved or copied", given="--moved and --copy", allowed="one of them"
        )
    place = store_uri(store)
    if moved or copy:
        with open_store(place, must_exist=True) as opened:
            home: Home | None = settle(opened) if moved else part(opened)
    else:
        with open_store(place, read_only=True) as opened:
            home = home_of(opened)
    out = console()
    if home is None:
        out.print("No id: nothing of this store is kept in a place for trajectories.")
        return True
    word = Text("at home", "green") if home.is_here else Text("not at home", "red")
    out.print(Text(f"{home.id}: ") + word + Text(f" in {home.here_path}"), soft_wrap=True)
    if not home.is_here:
        out.print(f"It was noted in {home.path or home.noted}.", soft_wrap=True)
        out.print("Moved or restored: the same with --moved. A copy beside it: --copy.")
    if home.copied_from:
        out.print(
            f"A copy of {home.copied_from}: name a place of its own before it runs anything, "
            "in a sweep's trajectory_store or with haloflow db upload --to."
        )
    return home.is_here
