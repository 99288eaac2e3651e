"""Where trajectories can be kept for all machines: a folder, GridFS, S3; as a sweep names it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, urlsplit

from pymongo.errors import DuplicateKeyError

from ..errors import (
    HaloflowError,
    InputError,
    MissingDependencyError,
    StoreError,
    UnknownNameError,
)
from ..settings import get_settings
from .blobs import belongs_to_another, persistent
from .homes import (
    files_owner,
    home_of,
    note_home,
    own_id,
    refuse_copy,
    refuse_originals_files,
)
from .mongodb import redacted, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .blobs import Blobs
    from .connection import HaloflowStore

GRIDFS = "gridfs"
PLACES_MARK = "trajectory_stores"
ALLOWED = (
    "an absolute path of a folder that all machines see, gridfs (in the database of the store), "
    "or s3://bucket/prefix?endpoint=https://host&region=...&profile=..."
)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[\w!.*'()/-]*")
_OPTIONS = ("endpoint", "region", "profile")


@dataclass(frozen=True)
class Place:
    """A place for trajectories, without any secret.

    Attributes
    ----------
    text
        As it is written in sweep files.
    folder
        Of kind ``folder``.
    bucket, prefix, endpoint, region, profile
        Of kind ``s3``; the profile is one of the AWS configuration of who uses it.
    """

    kind: Literal["folder", "gridfs", "s3"]
    text: str
    folder: Path | None = None
    bucket: str = ""
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None

    def opened(self, store: HaloflowStore) -> Blobs:
        """Return what reads and writes there; nothing is connected before it is used.

        Raises
        ------
        StoreError
            GridFS is asked of an embedded store.
        MissingDependencyError
            S3 without boto3.
        """
        if self.kind == "folder":
            from .blobs_folder import FolderBlobs  # noqa: PLC0415  (one of three is used)

            return FolderBlobs(self.folder or Path())
        if self.kind == "gridfs":
            from .blobs_gridfs import GridFSBlobs  # noqa: PLC0415  (the same)

            return GridFSBlobs.of(store)
        from .blobs_s3 import S3Blobs  # noqa: PLC0415  (an extra)

        return S3Blobs(self)


def parse_place(text: str) -> Place:
    """Read the ``trajectory_store`` of a sweep or of the settings.

    Raises
    ------
    InputError
        It is none of what is allowed, or holds a secret.
    """
    given = text.strip()
    if given == GRIDFS:
        return Place("gridfs", GRIDFS)
    if given.startswith("s3://"):
        return _s3(given)
    if given.startswith(("mongodb://", "mongodb+srv://")):
        raise _wrong(
            "GridFS for trajectories is that of the store's own database",
            given,
            "write trajectory_store: gridfs; the URI, with its password, stays in --store",
        )
    path = given.removeprefix("file://")
    if "://" in path or not path:
        raise _wrong("a place for trajectories is of no known kind", given)
    folder = Path(path).expanduser()
    if not folder.is_absolute():
        raise _wrong(
            "the folder of trajectories must be the same wherever a job runs",
            given,
            "write the path from / on",
        )
    return Place("folder", str(folder), folder=folder)


def _s3(given: str) -> Place:
    parts = urlsplit(given)
    if parts.username or parts.password or "@" in parts.netloc:
        raise _secret(given)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if secret := [name for name in options if "key" in name.lower() or "secret" in name.lower()]:
        raise _secret(f"s3://{parts.netloc}{parts.path}?{secret[0]}=***")
    if unknown := sorted(options.keys() - set(_OPTIONS)):
        raise InputError(
            "an S3 place has no such option", given=", ".join(unknown), allowed=_OPTIONS
        )
    if not _BUCKET.fullmatch(parts.netloc):
        raise _wrong("this is no name of an S3 bucket", given)
    if not _PREFIX.fullmatch(parts.path):
        raise _wrong("this is no prefix of an S3 bucket", given)
    endpoint = options.get("endpoint")
    if endpoint is not None:
        host = urlsplit(endpoint)
        if "@" in host.netloc:
            raise _secret(f"s3://{parts.netloc}{parts.path}?endpoint={redacted(endpoint)}")
        if host.scheme not in {"http", "https"} or not host.netloc:
            raise _wrong("an S3 endpoint is a URL", given, "write endpoint=https://host[:port]")
    return Place(
        "s3",
        given,
        bucket=parts.netloc,
        prefix=parts.path.strip("/"),
        endpoint=endpoint,
        region=options.get("region") or None,
        profile=options.get("profile") or None,
    )


def _wrong(problem: str, given: str, remedy: str | None = None) -> InputError:
    return InputError(problem, given=redacted(given), allowed=ALLOWED, remedy=remedy)


def _secret(given: str) -> InputError:
    return InputError(
        "a place for trajectories must not hold a secret",
        given=redacted(given),
        allowed="s3://bucket/prefix?endpoint=...",
        remedy="keep the key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or in "
        "~/.aws/credentials of whoever runs jobs and reads, and name a profile=... if need be",
    )


def use_place(store: HaloflowStore, text: str) -> None:
    """Let new trajectories of `store` go to a place; those in earlier ones are still found there.

    Raises
    ------
    InputError
        It is no such place, or holds a secret.
    StoreError, MissingDependencyError
        It cannot be used from here.
    """
    place = parse_place(text)
    _prepare(place, store)
    _record(store, lambda known: [place.text, *(one for one in known if one != place.text)])


def remember_place(store: HaloflowStore) -> None:
    """Let others know of the place that the settings of this process name.

    Raises
    ------
    StoreError
        The store is a copy, or the place that it would write to is another store's.
    """
    if store.read_only:
        return
    note_home(store)
    refuse_originals_files(store)
    text = get_settings().trajectory_store
    known = _recorded(store)
    place = None if text is None else parse_place(text)
    if place is None:
        require_own(store, known)
    elif place.text in known:
        require_own(store, [place.text])
    else:
        _prepare(place, store)
        _record(store, lambda known: [*(one for one in known if one != place.text), place.text])


def require_own(store: HaloflowStore, texts: Sequence[str] | None = None) -> None:
    """Raise StoreError where what is stored or deleted in places would be another store's.

    Parameters
    ----------
    texts
        Places, the one that is written to first; default: those that the store knows.
    """
    if texts is None and files_owner(store):
        refuse_copy(store)
    places = _recorded(store) if texts is None else texts
    if all(text == GRIDFS for text in places):
        return  # it is in the store itself, and copied with it
    refuse_copy(store)
    home = home_of(store)
    if texts is None or home is None or not home.copied_from:
        return
    first = parse_place(places[0])
    opened = first.opened(store)
    try:
        is_own = persistent(partial(opened.belongs_to, home.id), store.files.limit_s)
    finally:
        opened.close()
    if not is_own:
        raise belongs_to_another(first.text, home.copied_from)


def forget_place(store: HaloflowStore, text: str) -> None:
    """Look in a place no more, e.g. one that is gone for good; nothing is deleted there.

    Raises
    ------
    UnknownNameError
        The store has no such place.
    """
    recorded = _recorded(store)
    if text not in recorded:
        raise UnknownNameError.of("place for trajectories", text, recorded)
    _record(store, lambda known: [one for one in known if one != text])


def known_places(store: HaloflowStore) -> list[Blobs]:
    """Return the places of a store, that of this process' settings first."""
    named = get_settings().trajectory_store
    texts = [] if named is None else [parse_place(named).text]
    with translated(store.uri):
        texts += _recorded(store)
    found: list[Blobs] = []
    for text in dict.fromkeys(texts):
        try:
            found.append(parse_place(text).opened(store))
        except (MissingDependencyError, StoreError) as error:
            found.append(OutOfReach(text, error))
    return found


def own_places(store: HaloflowStore) -> tuple[list[Blobs], dict[str, str]]:
    """Return the recorded places where this store, and no other, may delete.

    What only the settings of this process name may be another store's.

    Returns
    -------
    places : list of Blobs
        To be closed by the caller.
    left : dict
        The other recorded places, and why nothing may be done there.
    """
    home = home_of(store)
    owner = "" if home is None else home.id
    found: list[Blobs] = []
    left: dict[str, str] = {}
    for text in _recorded(store):
        try:
            place = parse_place(text).opened(store)
            is_own = persistent(partial(place.belongs_to, owner), store.files.limit_s)
        except (MissingDependencyError, StoreError) as error:
            left[text] = str(error)
            continue
        if is_own:
            found.append(place)
        else:
            place.close()
            left[text] = "it does not say that it is this store's, which alone may delete there"
    return found, left


def _prepare(place: Place, store: HaloflowStore) -> None:
    opened = place.opened(store)
    try:
        opened.prepare(own_id(store))
    finally:
        opened.close()


def _recorded(store: HaloflowStore) -> list[str]:
    row = store.meta.query_one({"_id": PLACES_MARK})
    return [] if row is None else list(row["places"])


def _record(store: HaloflowStore, changed: Callable[[list[str]], list[str]]) -> None:
    """Change the recorded places, done anew where another process changes them meanwhile."""
    is_done = False
    while not is_done:
        with suppress(DuplicateKeyError):  # the row is there
            store.meta._collection.insert_one({"_id": PLACES_MARK, "places": []})
        known = _recorded(store)
        as_read = {"_id": PLACES_MARK, "places": known}
        row = {"_id": PLACES_MARK, "places": changed(known)}
        is_done = store.meta._collection.replace_one(as_read, row).matched_count == 1


class OutOfReach:
    """A place that this process cannot use: it says why when something is asked of it.

    Parameters
    ----------
    name, error
        Which, and why.
    """

    def __init__(self, name: str, error: HaloflowError) -> None:
        self.name = name
        self._error = error

    def prepare(self, owner: str) -> None:
        """Raise the reason."""
        raise self._error

    def belongs_to(self, owner: str) -> bool:
        """Raise the reason."""
        raise self._error

    def size(self, sha256: str) -> int | None:
        """Raise the reason."""
        raise self._error

    def written_at(self, key: str) -> float | None:
        """Raise the reason."""
        raise self._error

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Raise the reason."""
        raise self._error

    def write(
        self, key: str, path: Path, sha256: str | None = None, *, again: bool = False
    ) -> None:
        """Raise the reason."""
        raise self._error

    def read(self, sha256: str) -> Iterator[bytes]:
        """Raise the reason."""
        raise self._error

    def remove(self, sha256: str) -> None:
        """Raise the reason."""
        raise self._error

    def clear_up(self) -> None:
        """Raise the reason."""
        raise self._error

    def close(self) -> None:
        """Nothing is open."""
