"""What tells a store from its copies: an id, and where it is at home.

Whoever copies a folder (``cp -r``) or a database (``mongorestore``) copies its id. At home is
the file, by its inode and when it was made, or the collection, by its UUID, in which the id was
noted: these a copy has not. Only a store that is at home may write to places of trajectories
and delete there: a copy does not know what its original has stored since. A folder of files
outside of the store's own is such a place too: it belongs to the store that found it empty.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import DuplicateKeyError

from ..errors import StoreError
from .birth_times import born_ns
from .collection import SqliteCollection
from .embedded import DATABASE_FILE, SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from .connection import HaloflowStore

ID_MARK: Final = "store_id"
FILES_MARKER: Final = "haloflow-files"
"""Name of what says whose a folder of files is."""
_BORN: Final = " born "
_FIELDS: Final = ("home", "path", "copied_from", "moved")


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
    was_moved
        Whether someone said that it was moved or restored.
    """

    id: str
    noted: str
    here: str
    path: str
    here_path: str
    copied_from: str = ""
    was_moved: bool = False

    @property
    def is_here(self) -> bool:
        """Whether the store is where its id was noted, and not also where it was then."""
        if not self.noted:
            return True
        return self.noted in {self.here, self.here.partition(_BORN)[0]} and (
            self.path == self.here_path or not _is_also_at(self.path, self.id)
        )


def home_of(store: HaloflowStore) -> Home | None:
    """Return the id of a store and where it is at home; ``None`` where it needed no id yet."""
    mark = _mark(store)
    return None if mark is None else _home(store, mark)


def note_home(store: HaloflowStore) -> None:
    """Note where a store is at home that has an id, or needs one; a copy stays as it is.

    It needs one where its files lie outside of its own folder. That folder becomes its own
    if there is nothing in it yet.
    """
    outside = not _keeps_its_files(store)
    if not outside and _mark(store) is None:
        return
    own_id(store, refuse=False)
    if not outside:
        return
    home = home_of(store)
    with suppress(OSError):  # not to be written: it stays nobody's, and nothing is deleted there
        if home is not None and home.is_here and not any(store.files_dir.iterdir()):
            own_files(store)


def own_id(store: HaloflowStore, *, refuse: bool = True) -> str:
    """Return what tells this store from others; noted, with its home, where it is not yet.

    Raises
    ------
    StoreError
        It is a copy, unless that is not to be refused.
    """
    if refuse:
        refuse_copy(store)

    def renewed(home: Home | None) -> dict[str, Any]:
        if home is None:
            return {"value": _new_id()}
        return _row(home) if home.is_here else {}

    return _change(store, renewed).id


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


# -- the folder of files -------------------------------------------------------------------


def files_owner(store: HaloflowStore) -> str | None:
    """Return the id of the store whose the folder of files is, empty where nothing says it.

    ``None`` where it is in the store's own folder, and copied with it.
    """
    if _keeps_its_files(store):
        return None
    try:
        return (store.files_dir / FILES_MARKER).read_text().strip()
    except OSError:  # no one's that is known
        return ""


def require_own_files(store: HaloflowStore) -> None:
    """Raise StoreError where what is deleted in the folder of files may be another store's."""
    owner = files_owner(store)
    if owner is None:
        return
    refuse_copy(store)
    home = home_of(store)
    if home is None or owner != home.id:
        raise StoreError(
            "the folder of files does not say that it is this store's, "
            "which alone may delete there",
            given=f"{store.files_dir}, {f'of the store {owner}' if owner else 'of no store'}",
            remedy="give each store a folder of its own; if no other store, and no copy of this "
            "one, has its files there: haloflow db home --files",
        )


def refuse_originals_files(store: HaloflowStore) -> None:
    """Raise StoreError where a copy would write among the files of its original."""
    owner, home = files_owner(store), home_of(store)
    if not owner or home is None:
        return
    if owner == home.id:
        refuse_copy(store)
    elif owner == home.copied_from:
        require_own_files(store)


def own_files(store: HaloflowStore) -> None:
    """Say that the folder of files is this store's.

    Raises
    ------
    StoreError
        The store is a copy.
    """
    owner = own_id(store)
    (store.files_dir / FILES_MARKER).write_text(owner)


# -- what one says of a store --------------------------------------------------------------


def settle(store: HaloflowStore) -> Home:
    """Let a store be at home where it is now, with the id that it has: there is no other."""

    def settled(home: Home | None) -> dict[str, Any]:
        if home is None:
            return {"value": _new_id()}
        return _row(home) | ({} if home.is_here else {"moved": True})

    return _change(store, settled)


def part(store: HaloflowStore) -> Home:
    """Give a copy an id of its own; what its original stored elsewhere it can still read.

    Raises
    ------
    StoreError
        It is at home, and no one ever said that it was moved there.
    """

    def parted(home: Home | None) -> dict[str, Any]:
        if home is None or (home.is_here and not home.was_moved):
            raise StoreError(
                "this store is at home, and no copy",
                given=f"{store.name}{f' with the id {home.id}' if home else ''}",
                remedy="name the copy in --store",
            )
        return {"value": _new_id(), "copied_from": home.id}

    return _change(store, parted)


def take_back(store: HaloflowStore) -> Home:
    """Give a store the id again that it had before `part`: it was the original.

    Raises
    ------
    StoreError
        It is a copy of no other.
    """

    def original(home: Home | None) -> dict[str, Any]:
        if home is None or not home.copied_from:
            raise StoreError(
                "no one said of this store that it is a copy",
                given=store.name,
                remedy="see what is known of it: haloflow db home",
            )
        refuse_copy(store)
        return {"value": home.copied_from, "moved": True}

    return _change(store, original)


def _new_id() -> str:
    return secrets.token_hex(8)


def _mark(store: HaloflowStore) -> dict[str, Any] | None:
    mark: dict[str, Any] | None = store.meta.query_one({"_id": ID_MARK})
    return mark


def _home(store: HaloflowStore, mark: dict[str, Any]) -> Home:
    here, here_path = _here(store)
    return Home(
        str(mark["value"]),
        str(mark.get("home", "")),
        here,
        str(mark.get("path", "")),
        here_path,
        str(mark.get("copied_from", "")),
        bool(mark.get("moved")),
    )


def _row(home: Home) -> dict[str, Any]:
    row: dict[str, Any] = {"value": home.id}
    if home.copied_from:
        row["copied_from"] = home.copied_from
    if home.was_moved:
        row["moved"] = True
    return row


def _change(store: HaloflowStore, changed: Callable[[Home | None], dict[str, Any]]) -> Home:
    """Note what is `changed`, and that it is here; anew where another process is faster."""
    collection: Any = store.meta._collection
    while True:
        known = _mark(store)
        home = None if known is None else _home(store, known)
        what = changed(home)
        if home is not None and not what:
            return home
        here, path = _here(store)
        row = {"_id": ID_MARK, "home": here, "path": path, **what}
        if known is None:
            with suppress(DuplicateKeyError):  # looked at again
                collection.insert_one(row)
                return _home(store, row)
            continue
        as_read = dict.fromkeys(_FIELDS) | known
        if row == known or collection.replace_one(as_read, row).matched_count == 1:
            return _home(store, row)


def _here(store: HaloflowStore) -> tuple[str, str]:
    """Return what no copy of a store has, and its path or name."""
    collection: Any = store.meta._collection
    if isinstance(collection, SqliteCollection):
        path = collection.sqlite.path.resolve()
        return f"inode {path.stat().st_ino}{_BORN}{born_ns(path)}", str(path.parent)
    asked = {"listCollections": 1, "filter": {"name": collection.name}}
    (found,) = collection.database.command(asked)["cursor"]["firstBatch"]
    return f"collection {found['info']['uuid'].hex()}", store.name


def _keeps_its_files(store: HaloflowStore) -> bool:
    """Tell whether the folder of files is in that of the store."""
    collection: Any = store.meta._collection
    if not isinstance(collection, SqliteCollection):
        return False
    return store.files_dir.resolve().is_relative_to(collection.sqlite.path.resolve().parent)


def _is_also_at(path: str, value: str) -> bool:
    """Tell whether the store of an id is at `path` too, e.g. of which this is a snapshot.

    A folder that may not be looked into is none.
    """
    try:
        if not (Path(path) / DATABASE_FILE).exists():
            return False
    except OSError:  # that is the answer
        return False
    there = SqliteStore(path, "meta", key="_id", read_only=True)
    try:
        there.connect()
        mark = there.query_one({"_id": ID_MARK})
    except StoreError:  # there is one, which cannot be judged
        return True
    finally:
        there.close()
    return mark is not None and mark["value"] == value
