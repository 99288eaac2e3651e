"""What ``haloflow db home`` does and prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from ..errors import InputError
from ..stores.connection import open_store
from ..stores.homes import files_owner, home_of, own_files, part, settle, take_back
from .console import console
from .stores import store_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..stores.connection import HaloflowStore


_SAID: Final[dict[str, Callable[[HaloflowStore], object]]] = {
    "moved": settle,
    "copy": part,
    "original": take_back,
    "files": own_files,
}


def show_home(store: str | None, said: Sequence[str]) -> bool:
    """Print the id of a store and where it is at home, changed if asked; return whether here."""
    if len(said) > 1:
        raise InputError(
            "a store was either moved or copied",
            given=" and ".join(f"--{one}" for one in said),
            allowed="one of them",
        )
    place = store_uri(store)
    for one in said:
        with open_store(place, must_exist=True) as opened:
            _SAID[one](opened)
    with open_store(place, read_only=True) as opened:
        home, owner, folder = home_of(opened), files_owner(opened), opened.files_dir
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
            "in a sweep's trajectory_store or with haloflow db upload --to. "
            "If it is the original after all: --original."
        )
    if owner not in {None, home.id}:
        whose = f"of the store {owner}" if owner else "not known as any store's"
        out.print(
            f"Its files are in {folder}, which is {whose}: nothing is deleted there. "
            "If no other store and no copy has files there: --files.",
            soft_wrap=True,
        )
    return home.is_here
