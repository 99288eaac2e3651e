"""Files of steps, wherever they are: in the folder of this machine, its cache, or a place for all.

Documents name files by path, sha256 and size, never by where they lie. Who reads asks
:class:`StepFiles`, which finds them, checks them, and keeps what it fetched.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from ..errors import StoreError, TrajectoryError
from ..identity import file_sha256
from ..settings import cache_folder, get_settings
from .blobs import ResultT, persistent
from .file_paths import outside, require_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .blobs import Blobs
    from .documents import FileReference

_log = logging.getLogger(__name__)
_LOOK_AGAIN_S = 30.0
_TRIM_INTERVAL_S = 60.0
_IN_USE_S = 600.0
"""How long a fetched file is surely left in the cache."""
_AWAY_S = 60.0
"""How long a place that did not answer is asked after the others."""
_BYTES_PER_GB = 1e9
_PART = ".part"


class StepFiles:
    """Finds, checks, fetches and stores the files that documents refer to.

    Parameters
    ----------
    folder
        The store's folder of files on this machine.
    places
        Gives the places for all machines, the one that is written to first; asked again when
        something is not found.

    Attributes
    ----------
    folder
        As given.
    patience_s
        How long a place that does not answer is waited for; ``None`` for what the settings say.
    """

    def __init__(self, folder: Path, places: Callable[[], Sequence[Blobs]] = tuple) -> None:
        self.folder = folder
        self._ask = places
        self._places: Sequence[Blobs] | None = None
        self._asked_at = self._trimmed_at = 0.0
        self._guard = threading.Lock()
        self._whole: set[str] = set()
        self._dropped: list[Blobs] = []
        self._away_until: dict[str, float] = {}
        self.patience_s: float | None = None

    @property
    def places(self) -> Sequence[Blobs]:
        """Places for all machines, the one that is written to first."""
        if self._places is None:
            self._look_again()
        return self._places or ()

    @property
    def target(self) -> Blobs | None:
        """The place that new files go to; ``None`` where they stay in the folder."""
        return next(iter(self.places), None)

    @property
    def limit_s(self) -> float:
        """How long a place that does not answer is waited for."""
        return get_settings().patience_s if self.patience_s is None else self.patience_s

    def _look_again(self) -> None:
        with self._guard:
            now = time.monotonic()
            if self._places is None or now - self._asked_at >= _LOOK_AGAIN_S:
                open_by_name = {place.name: place for place in self._places or ()}
                asked = [open_by_name.pop(place.name, place) for place in self._ask()]
                self._dropped += open_by_name.values()  # another thread may be reading there
                self._places, self._asked_at = asked, now

    def close(self) -> None:
        """Close the places."""
        for place in (*(self._places or ()), *self._dropped):
            place.close()
        self._places, self._dropped = None, []

    # -- reading ----------------------------------------------------------------------------

    def here(self, file: FileReference) -> Path | None:
        """Return where a file lies in the folder of this machine, whatever its content.

        Raises
        ------
        TrajectoryError
            Its path leads out of the folder.
        """
        require_inside(file)
        root = self.folder.resolve()
        path = (root / file.path).resolve()
        if not path.is_relative_to(root):
            raise outside(file)
        return path if path.is_file() else None

    def size(self, file: FileReference) -> int | None:
        """Return the size of a file where it is found first, or ``None``; content is not read."""
        path = self.here(file)
        if path is not None:
            return path.stat().st_size
        return self._search(lambda place: place.size(file.sha256))

    def local(self, file: FileReference) -> Path:
        """Return a path on this machine with the content of a file.

        Where there are places for all machines, the content has been checked; else readers
        of trajectories do.

        Raises
        ------
        TrajectoryError
            It was released, is nowhere, or is damaged everywhere.
        StoreError
            A place does not answer.
        """
        require_kept(file)
        path = self.here(file)
        if not self.places:
            if path is None:
                raise _nowhere(file, [])
            return path
        if path is not None and self._is_whole(path, file):
            return path
        cached = cache_folder() / file.sha256[:2] / file.sha256
        if cached.is_file() and self._is_whole(cached, file):
            with suppress(OSError):  # a cache that may only be read
                os.utime(cached)
            return cached
        if path is not None:
            _log.warning("%s is damaged; taking it from elsewhere", path)
        return self.fetch(file, cached)

    def fetch(self, file: FileReference, target: Path, key: str | None = None) -> Path:
        """Bring a file from a place for all machines to `target`, whole or not at all.

        Parameters
        ----------
        key
            What the place knows it by; default: its sha256.

        Raises
        ------
        TrajectoryError
            It is nowhere, or damaged everywhere.
        StoreError
            A place does not answer, or `target` cannot be written.
        """
        damaged: list[str] = []
        path = self.here(file)
        if path is not None and not self._is_whole(path, file):
            damaged.append(f"{file_sha256(path)[:12]} in the folder of files")

        def fetched(place: Blobs) -> Path | None:
            found = self._fetched(place, file, target, key or file.sha256)
            if found == file.sha256:
                if place is self.target:
                    self._whole.add(key or file.sha256)
                return target
            if found is not None:
                damaged.append(f"{found[:12]} in {place.name}")
            return None

        for attempt in range(2):
            if self._search(fetched) is not None:
                self._trim()
                return target
            if damaged or attempt:
                break
            self._look_again()
        if damaged:
            raise TrajectoryError(
                "the checksum of a trajectory file does not match its content",
                given=f"{file.path}: sha256 {'; '.join(damaged)}",
                allowed=f"sha256 {file.sha256[:12]} and {file.n_bytes} bytes",
                remedy="restore it from a backup, or run its step again: haloflow run --force",
            )
        raise _nowhere(file, [place.name for place in self.places])

    def _search(self, ask: Callable[[Blobs], ResultT | None]) -> ResultT | None:
        """Return the first answer of the places; those away are waited for when no other has one.

        Raises
        ------
        StoreError
            A place does not answer, and the others know nothing.
        """
        away = []
        for place in sorted(self.places, key=self._is_away):
            try:
                found = ask(place)
            except StoreError:
                self._away_until[place.name] = time.monotonic() + _AWAY_S
                away.append(place)
                continue
            if found is not None:
                return found
        for place in away:
            found = persistent(partial(ask, place), self.limit_s)
            self._away_until.pop(place.name, None)
            if found is not None:
                return found
        return None

    def _is_away(self, place: Blobs) -> bool:
        return self._away_until.get(place.name, 0.0) > time.monotonic()

    def _fetched(self, place: Blobs, file: FileReference, target: Path, key: str) -> str | None:
        """Write what `place` has to `target` if it is right; return its sha256."""
        if place.size(key) is None:
            return None
        hashed = hashlib.sha256()
        part = target.with_name(f".{target.name}-{secrets.token_hex(4)}{_PART}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as written:
                try:
                    for block in place.read(key):
                        hashed.update(block)
                        written.write(block)
                except StoreError as error:
                    if type(error) is not StoreError:  # it may pass
                        raise
                    return f"unreadable ({error.problem})"
            if hashed.hexdigest() == file.sha256:
                part.replace(target)
        except OSError as error:
            raise StoreError(
                f"a fetched file cannot be written: {error.strerror}",
                given=str(target),
                remedy="make room, or name another folder for the cache in HALOFLOW_CACHE_DIR",
            ) from error
        finally:
            part.unlink(missing_ok=True)
        return hashed.hexdigest()

    def _is_whole(self, path: Path, file: FileReference) -> bool:
        return path.stat().st_size == file.n_bytes and file_sha256(path) == file.sha256

    def _trim(self) -> None:
        """Delete what was longest unused where the cache is too large; now and then."""
        now = time.monotonic()
        if now - self._trimmed_at < _TRIM_INTERVAL_S:
            return
        self._trimmed_at = now
        trim_cache(cache_folder(), get_settings().cache_gb * _BYTES_PER_GB)

    # -- writing ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Take nothing for granted of what was found in the place before now.

        Between the steps of a process another one may prune the store.
        """
        self._whole.clear()

    def remove(self, place: Blobs, key: str) -> None:
        """Delete a file from one of the places."""
        self._whole.discard(key)
        place.remove(key)

    def put(
        self,
        path: Path,
        sha256: str,
        *,
        key: str | None = None,
        patience_s: float | None = None,
    ) -> None:
        """Store a file in the place for all machines; nothing where there is none.

        What the place has already is read again once, and replaced where it is damaged.

        Parameters
        ----------
        key
            What the place shall know it by; default: its sha256, by which all share it.

        Raises
        ------
        TrajectoryError
            The file has another checksum.
        StoreError
            The place does not answer within `patience_s` (default: the setting), or refuses.
        """
        place, key = self.target, key or sha256
        if place is None or key in self._whole:
            return
        limit_s = self.limit_s if patience_s is None else patience_s
        persistent(lambda: self._put(place, path, sha256, key), limit_s)
        self._whole.add(key)

    @staticmethod
    def _put(place: Blobs, path: Path, sha256: str, key: str) -> None:
        is_there = place.size(key) is not None
        if not is_there or not _reads_back(place, sha256, key):
            place.write(key, path, sha256, again=is_there)


def require_kept(file: FileReference) -> None:
    """Raise TrajectoryError where a file was released by a rule, and say by which and when."""
    gone = file.released
    if gone is not None:
        raise TrajectoryError(
            f"a file was released by the rule {gone.rule!r} on {gone.at:%Y-%m-%d}",
            given=f"{file.path}, by {gone.by}",
            remedy="nothing is lost by mistake; to have it again, run its step with --force",
        )


def trim_cache(folder: Path, most_bytes: float) -> None:
    """Delete the files that were longest unused until the rest fits; none that may be in use."""
    found = []
    may_be_in_use = time.time() - _IN_USE_S
    for path in folder.glob("??/*"):
        with suppress(OSError):  # deleted meanwhile
            state = path.stat()
            found.append((state.st_mtime, state.st_size, path))
    total = sum(size for _, size, _ in found)
    for used_at, size, path in sorted(found):
        if total <= most_bytes or used_at > may_be_in_use:
            return
        with suppress(OSError):  # another's, or deleted meanwhile: a cache may be too large
            path.unlink()
        total -= size


def _reads_back(place: Blobs, sha256: str, key: str) -> bool:
    hashed = hashlib.sha256()
    try:
        for block in place.read(key):
            hashed.update(block)
    except StoreError as error:
        if type(error) is not StoreError:
            raise
        return False
    return hashed.hexdigest() == sha256


def _nowhere(file: FileReference, places: Sequence[str]) -> TrajectoryError:
    return TrajectoryError(
        "a trajectory file is missing",
        given="; nor in ".join([file.path, *places]),
        remedy="restore it from a backup, or delete the run's directory and run again",
    )
