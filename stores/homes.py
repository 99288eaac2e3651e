"""What tells a store from its copies: an id, and where it is at home.

Whoever copies a folder (``cp -r``) or a database (``mongorestore``) copies its id. At home is
the file, by its inode, or the collection, by its UUID, in which the id was noted: these a copy
has not. Only a store that is at home may write to places of trajectories and delete there:
a copy does not know what its original has stored since.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import DuplicateKeyError

from ..errors import StoreError
from .collection import SqliteCollection
from .embedded import DATABASE_FILE

if TYPE_CHECKING:
    from .connection import HaloflowStore

ID_MARK: Final = "store_id"


@dataclass(frozen=True)
class Home:
    """What is known of a store.

    Attributes
    ----------
    id
        What tells it from other stores.
    noted
        Where that was noted; empty where an earlier haloflow did not say so.
    here
        Where the store is.
    path, here_path
        The same, for people; of a folder, which can be renamed.
    copied_from
        The id of the store that it was a copy of.
    """

    id: str
    noted: str
    here: str
    path: str
    here_path: str
    copied_from: str = ""

    @property
    def is_here(self) -> bool:
        """Whether the store is where its id was noted, and not also where it was then."""
        if not self.noted:
            return True
        return self.noted == self.here and (
            self.path == self.here_path or not _is_another(self.path, self.here_path)
        )


def home_of(store: HaloflowStore) -> Home | None:
    """Return the id of a store and where it is at home; ``None`` where it needed no id yet."""
    mark = store.meta.query_one({"_id": ID_MARK})
    if mark is None:
        return None
    here, here_path = _here(store)
    return Home(
        str(mark["value"]),
        str(mark.get("home", "")),
        here,
        str(mark.get("path", "")),
        here_path,
        str(mark.get("copied_from", "")),
    )


def own_id(store: HaloflowStore) -> str:
    """Return what tells this store from others; noted, with its home, where it is not yet.

    Raises
    ------
    StoreError
        It is a copy.
    """
    with suppress(DuplicateKeyError):  # known, or another process was faster
        store.meta._collection.insert_one(_mark(store, secrets.token_hex(8)))
    refuse_copy(store)
    home = home_of(store)
    assert home is not None
    if (home.noted, home.path) != (home.here, home.here_path):  # renamed, or noted by no one
        _note(store, home.id, home.copied_from)
    return home.id


def refuse_copy(store: HaloflowStore) -> None:
    """Raise StoreError where a store is a copy of another one."""
    home = home_of(store)
    if home is None or home.is_here:
        return
    raise StoreError(
        "this store is a copy, or was moved or restored, and its trajectories are its original's",
        given=f"{store.name} with the id {home.id}, which {home.path or home.noted} has as well",
        remedy="if the original goes on: haloflow db home --copy; if this is all there is of it, "
        "moved or restored from a backup: haloflow db home --moved",
    )


def settle(store: HaloflowStore) -> Home:
    """Let a store be at home where it is now, with the id that it has: there is no other."""
    home = home_of(store)
    _note(store, _new_id() if home is None else home.id, "" if home is None else home.copied_from)
    return _known(store)


def part(store: HaloflowStore) -> Home:
    """Give a copy an id of its own; what its original stored elsewhere it can still read."""
    home = home_of(store)
    _note(store, _new_id(), "" if home is None else home.id)
    return _known(store)


def _known(store: HaloflowStore) -> Home:
    home = home_of(store)
    assert home is not None
    return home


def _new_id() -> str:
    return secrets.token_hex(8)


def _note(store: HaloflowStore, value: str, copied_from: str) -> None:
    row = _mark(store, value) | ({"copied_from": copied_from} if copied_from else {})
    store.meta._collection.replace_one({"_id": ID_MARK}, row, upsert=True)


def _mark(store: HaloflowStore, value: str) -> dict[str, Any]:
    here, path = _here(store)
    return {"_id": ID_MARK, "value": value, "home": here, "path": path}


def _here(store: HaloflowStore) -> tuple[str, str]:
    """Return what no copy of a store has, and its path or name."""
    collection: Any = store.meta._collection
    if isinstance(collection, SqliteCollection):
        path = collection.sqlite.path.resolve()
        return f"inode {path.stat().st_ino}", str(path.parent)
    asked = {"listCollections": 1, "filter": {"name": collection.name}}
    (found,) = collection.database.command(asked)["cursor"]["firstBatch"]
    return f"collection {found['info']['uuid'].hex()}", store.name


def _is_another(path: str, here: str) -> bool:
    """Tell whether there is a store at `path` too, e.g. of which this is a snapshot."""
    then, now = Path(path) / DATABASE_FILE, Path(here) / DATABASE_FILE
    return then.exists() and now.exists() and not then.samefile(now)
