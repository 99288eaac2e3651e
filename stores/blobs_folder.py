"""Files by their sha256 in a folder that all machines see."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..errors import StoreError, StoreTimeoutError
from .blobs import ABANDONED_S, BLOCK, MARKER, Checked, belongs_to_another, is_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUFFIX = ".part"
_MAY_PASS = frozenset(
    (errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EAGAIN)
)


class FolderBlobs:
    """A folder ``ab/abcd...``; each file is there whole or not at all.

    Parameters
    ----------
    folder
        Used only where it holds the file that :meth:`prepare` leaves: a mount that is missing
        is told from an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(folder)

    def prepare(self, owner: str) -> None:
        """Make the folder, and mark it as what it is, and whose."""
        marker = self.folder / MARKER
        with self._translated():
            self.folder.mkdir(parents=True, exist_ok=True)
            known = marker.read_text() if marker.exists() else ""
            if not known:
                marker.write_text(owner)
        if known and known != owner:
            raise belongs_to_another(self.name, known)

    def belongs_to(self, owner: str) -> bool:
        """Tell whether the marker says so."""
        self._require_mounted()
        with self._translated():
            return bool(owner) and (self.folder / MARKER).read_text() == owner

    def size(self, sha256: str) -> int | None:
        """Return the size of a file, or ``None``."""
        self._require_mounted()
        with self._translated():
            try:
                return self._path(sha256).stat().st_size
            except FileNotFoundError:  # that is the answer
                return None

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield key and size of all files."""
        self._require_mounted()
        with self._translated():
            for folder in sorted(self.folder.glob("??")):
                for path in sorted(folder.iterdir()):
                    if is_key(path.name) and path.name.startswith(folder.name):
                        with suppress(FileNotFoundError):  # pruned meanwhile
                            yield path.name, path.stat().st_size

    def written_at(self, key: str) -> float | None:
        """Return when a file came."""
        with self._translated():
            try:
                return self._path(key).stat().st_mtime
            except FileNotFoundError:  # that is the answer
                return None

    def write(
        self, key: str, path: Path, sha256: str | None = None, *, again: bool = False
    ) -> None:
        """Store a file."""
        self._require_mounted()
        if not again and self.size(key) is not None:
            return
        target = self._path(key)
        beside = target.with_name(f".{key[:16]}-{secrets.token_hex(8)}{_SUFFIX}")
        with self._translated():
            target.parent.mkdir(exist_ok=True)
            try:
                with beside.open("wb") as file:
                    for block in Checked(path, sha256 or key).blocks():
                        file.write(block)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(target)
            finally:
                beside.unlink(missing_ok=True)
            _sync(target.parent)

    def read(self, sha256: str) -> Iterator[bytes]:
        """Yield the blocks of a file."""
        with self._translated(), self._path(sha256).open("rb") as file:
            while block := file.read(BLOCK):
                yield block

    def remove(self, sha256: str) -> None:
        """Delete a file."""
        self._require_mounted()
        with self._translated():
            self._path(sha256).unlink(missing_ok=True)

    def clear_up(self) -> None:
        """Delete the rests of writes."""
        self._require_mounted()
        with self._translated():
            for path in self.folder.glob(f"??/.*{_SUFFIX}"):
                with suppress(FileNotFoundError):  # another was faster
                    if time.time() - path.stat().st_mtime > ABANDONED_S:
                        path.unlink()

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def _require_mounted(self) -> None:
        if not (self.folder / MARKER).exists():
            raise StoreError(
                "the folder of trajectories is not here",
                given=f"{self.folder} without the file {MARKER}",
                remedy="mount it at the same path as on the other machines, or name it anew in a "
                "sweep's trajectory_store; if it is gone for good: haloflow db forget-place",
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = StoreTimeoutError if error.errno in _MAY_PASS else StoreError
            free = f", {_free_mb(self.folder)} MB free" if error.errno == errno.ENOSPC else ""
            raise kind(
                f"the folder of trajectories cannot be used: {error.strerror or error}",
                given=f"{self.folder}{free}",
                remedy="make room, or mend what stops it; what was stored stays",
            ) from error


def _free_mb(folder: Path) -> int:
    return shutil.disk_usage(folder).free // 10**6


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
