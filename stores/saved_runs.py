"""Running steps kept beside their worker: what a machine that is lost had done goes on elsewhere.

The folder of a step can be gone on from at any moment. Now and then its files go to the place
for all machines, and then a record in the collection ``saved`` names them: a worker without
the folder makes it anew from that.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ..errors import ClaimError, StoreError, TrajectoryError
from ..identity import file_sha256
from .claims import Claims
from .documents import FileReference
from .mongodb import translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .claims import Owner
    from .connection import HaloflowStore

_log = logging.getLogger(__name__)
MARKER: Final = "saved.json"
_OF_VASP = frozenset(
    ("process.json", "WAVECAR", "CHGCAR", "CHG", "TAUCAR", "POTCAR", "POTCAR.orig")
)
"""A process, what is large and can be computed again, and what must not be passed on."""
_OF_THIS_MACHINE = frozenset(("lock", "progress.json", MARKER)) | _OF_VASP
_TEMPORARY = ".tmp"
PRUNING: Final = "pruning this store"
_LONGEST_PRUNING_S, _LOOK_S = 3600.0, 0.5
_SHARED_KIND = "chunk-"
"""Chunks of trajectories are those of the document to come; they lie in the place under their
sha256, as all that documents name. Everything else is kept under a key of the step's own, and
only that is ever deleted here: no other step or document can mean it."""
_HURRY_S: Final = 20.0
"""Longest time after a signal or a walltime: the queue kills soon."""


class RunSaver:
    """Saves the folder of one running step, and brings it back.

    Does nothing where the store has no place for all machines.

    Parameters
    ----------
    store
        Open store; the step is claimed there.
    identity, directory
        Of the step.
    interval_s
        Least time from one saving to the next.
    owner
        Who claimed the step: without the claim nothing is saved, over what its new owner saved.
    """

    def __init__(
        self,
        store: HaloflowStore,
        identity: str,
        directory: Path,
        interval_s: float,
        *,
        owner: Owner | None = None,
    ) -> None:
        self._store, self._identity, self._directory = store, identity, directory
        self._owner = owner
        self._interval_s = interval_s
        self._next = time.monotonic() + interval_s
        self._known: dict[str, tuple[tuple[int, int], str]] = {}

    @property
    def is_needed(self) -> bool:
        """Whether there is a place for all machines."""
        return self._store.files.target is not None

    def restore(self) -> bool:
        """Bring the folder back from the last saving, unless this machine is as far or further.

        Returns
        -------
        bool
            Whether it was brought back.

        Raises
        ------
        StoreError
            The place does not answer.
        """
        if not self.is_needed:
            return False
        self._wait_for_pruning()
        self._store.files.begin()
        record = self._record()
        if record is None or saving_of(self._directory) == record["token"]:
            return False
        fresh = self._directory.with_name(f"{self._directory.name}.saved")
        try:
            files = [_reference(row) for row in record["files"]]
            for file, row in zip(files, record["files"], strict=True):
                self._bring(file, fresh, row.get("key"))
        except TrajectoryError as error:
            _log.warning("step %s cannot go on from elsewhere: %s", self._identity[:12], error)
            shutil.rmtree(fresh, ignore_errors=True)
            return False
        _write(fresh / MARKER, str(record["token"]))
        old = self._directory.with_name(f"{self._directory.name}.{secrets.token_hex(4)}.old")
        if self._directory.exists():
            self._directory.replace(old)
        fresh.replace(self._directory)
        shutil.rmtree(old, ignore_errors=True)
        _log.info("step %s goes on from %s", self._identity[:12], record["host"])
        return True

    def _wait_for_pruning(self) -> None:
        """Let who prunes the store finish: it must know of no file what a step is about to say.

        Whoever prunes looks for claims of steps after it has made its own, and a step looks
        for that after its own: one of them sees the other.
        """
        claims, deadline = Claims(self._store.claims), time.monotonic() + _LONGEST_PRUNING_S
        while claims.live([PRUNING]):
            if time.monotonic() > deadline:
                raise StoreError(
                    "the store has been pruned for too long for a step to wait",
                    given=f"{claims.holder(PRUNING)} for {_LONGEST_PRUNING_S:g} s",
                    remedy="end that process, and run the step again",
                )
            time.sleep(_LOOK_S)

    def offer(self) -> None:
        """Save if it is time; where that fails, the run goes on and it is tried again later.

        Raises
        ------
        ClaimError
            Another process has taken the step over.
        """
        if time.monotonic() < self._next or not self.is_needed:
            return
        self._try_to_save(0.0)
        self._next = time.monotonic() + self._interval_s

    def save_now(self) -> None:
        """Save before the process ends, in the time that queues leave for it."""
        if self.is_needed:
            with suppress(ClaimError):  # it ends anyhow
                self._try_to_save(_HURRY_S, in_a_hurry=True)

    def _try_to_save(self, patience_s: float, *, in_a_hurry: bool = False) -> None:
        try:
            self.save(patience_s, in_a_hurry=in_a_hurry)
        except ClaimError:
            raise
        except (StoreError, TrajectoryError, OSError) as error:
            _log.warning("step %s could not be saved elsewhere: %s", self._identity[:12], error)

    def save(self, patience_s: float, *, in_a_hurry: bool = False) -> None:
        """Store the files of the folder, then the record that names them.

        In a hurry, what the last record names is not read again.

        Raises
        ------
        StoreError
            The place does not answer within `patience_s`, or refuses.
        ClaimError
            Another process has taken the step over.
        """
        self._require_claim()
        before = self._record()
        known = _names(before) if in_a_hurry and before is not None else set()
        rows: list[dict[str, Any]] = []
        for path in self._paths():
            sha256, n_bytes = self._hashed(path)
            name = path.relative_to(self._directory).as_posix()
            row: dict[str, Any] = {
                "path": name,
                "sha256": sha256,
                "n_bytes": n_bytes,
                "role": "saved",
            }
            if not path.name.startswith(_SHARED_KIND):
                row["key"] = self._key(sha256)
            if row.get("key", sha256) not in known:
                self._store.files.put(path, sha256, key=row.get("key"), patience_s=patience_s)
            rows.append(row)
        if not rows:
            return
        self._require_claim()  # to store files takes its time
        token = secrets.token_hex(8)
        record = {
            "identity": self._identity,
            "token": token,
            "files": rows,
            "host": socket.gethostname(),
            "saved_at": datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        }
        with translated(self._store.uri):
            self._store.saved.update([record])
        _write(self._directory / MARKER, token)
        if before is not None:
            self._clear(_own(before["files"]) - _own(rows))

    def secure(self, files: Iterable[FileReference]) -> None:
        """Store the files that a document is about to refer to.

        Raises
        ------
        StoreError
            The place does not answer, for as long as the settings are patient.
        TrajectoryError
            A file is not what the document says.
        ClaimError
            Another process has taken the step over.
        """
        if not self.is_needed:
            return
        self._require_claim()
        for file in files:
            path = self._store.files.here(file)
            if path is None and self._is_of_another(file):
                continue
            if path is None:
                raise TrajectoryError(
                    "a file that a step wrote is gone before it was stored",
                    given=file.path,
                    remedy="run the step again",
                )
            self._store.files.put(path, file.sha256)

    def _is_of_another(self, file: FileReference) -> bool:
        """Tell whether another step wrote a file, and has stored it."""
        return self._identity not in file.path and self._store.files.size(file) is not None

    def forget(self) -> None:
        """Remove the record and what lies under its keys, once the step's document is there."""
        if self.is_needed and (record := self._record()) is not None:
            with translated(self._store.uri):
                self._store.saved.remove_docs({"identity": self._identity})
            self._clear(_own(record["files"]))

    def _require_claim(self) -> None:
        if self._owner is not None:
            with translated(self._store.uri):
                Claims(self._store.claims).require(self._identity, self._owner)

    def _clear(self, keys: set[str]) -> None:
        place = self._store.files.target
        try:
            for key in keys:
                if place is not None:
                    self._store.files.remove(place, key)
        except StoreError as error:  # no more than room is lost
            _log.info("old checkpoints stay: %s", error)

    def _key(self, sha256: str) -> str:
        return hashlib.sha256(f"saved {self._identity} {sha256}".encode()).hexdigest()

    def _record(self) -> dict[str, Any] | None:
        return last_saving(self._store, self._identity)

    def _paths(self) -> Iterator[Path]:
        for where, folders, names in os.walk(self._directory):
            folders.sort()
            for name in sorted(names):
                if name not in _OF_THIS_MACHINE and not name.endswith(_TEMPORARY):
                    yield type(self._directory)(where) / name

    def _hashed(self, path: Path) -> tuple[str, int]:
        state = path.stat()
        key = (state.st_size, state.st_mtime_ns)
        known = self._known.get(str(path))
        if known is None or known[0] != key:
            known = key, file_sha256(path)
            self._known[str(path)] = known
        return known[1], state.st_size

    def _bring(self, file: FileReference, fresh: Path, key: str | None) -> None:
        target = fresh / file.path
        if not target.resolve().is_relative_to(fresh.resolve()):
            raise TrajectoryError("a saved file leads out of its folder", given=file.path)
        for path in (target, self._directory / file.path):
            if path.is_file() and path.stat().st_size == file.n_bytes:
                if file_sha256(path) != file.sha256:
                    continue
                if path != target:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
                return
        self._store.files.fetch(file, target, key)


def last_saving(store: HaloflowStore, identity: str) -> dict[str, Any] | None:
    """Return the record of what is saved of a running step, or ``None``."""
    with translated(store.uri):
        found: dict[str, Any] | None = store.saved.query_one({"identity": identity})
    return found


def saving_of(directory: Path) -> str:
    """Return the token of the saving that a step's folder is, or comes after; else nothing."""
    try:
        return str(json.loads((directory / MARKER).read_text())["token"])
    except (OSError, ValueError, KeyError):  # no mark, or not a whole one: no saving
        return ""


def forget_saved(store: HaloflowStore, identities: Iterable[str]) -> None:
    """Remove the records of steps that shall begin anew; what they name is pruned some day."""
    store.saved.remove_docs({"identity": {"$in": list(identities)}})


def _own(rows: Iterable[dict[str, Any]]) -> set[str]:
    return {row["key"] for row in rows if "key" in row}


def _names(record: dict[str, Any]) -> set[str]:
    """Return what the place knows the files of a record by."""
    return {row.get("key", row["sha256"]) for row in record["files"]}


def _reference(row: dict[str, Any]) -> FileReference:
    return FileReference(**{name: value for name, value in row.items() if name != "key"})


def _write(path: Path, token: str) -> None:
    beside = path.with_name(f"{path.name}{_TEMPORARY}")
    beside.write_text(json.dumps({"token": token}))
    beside.replace(path)
