"""Files that are either whole or absent, whatever kills the process."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TEMPORARY = ".tmp"
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""Of the disk, of the user's share of it, of a single file."""


def write_durably(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step: after a crash the old file or the new one is there.

    Raises
    ------
    EngineError
        There is no room for it; what was there is kept.
    """
    temporary = path.with_name(path.name + _TEMPORARY)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno not in _NO_ROOM:
            raise
        raise EngineError(
            f"there is no room for a file: {os.strerror(error.errno).lower()}",
            given=f"{path} with {len(data)} bytes",
            remedy="make room on that disk, or raise the limit; run the same again, it goes on "
            "from the last checkpoint",
        ) from error
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames and deletions in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(directory: Path) -> None:
    """Delete the temporary files of writes that were cut short in `directory`."""
    for path in directory.glob(f"*{_TEMPORARY}"):
        path.unlink()


@contextmanager
def sole_use(directory: Path) -> Iterator[None]:
    """Hold `directory` for this process; the operating system frees it when the process dies.

    Raises
    ------
    EngineError
        If another run works in the same directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EngineError(
                "another run works in this directory",
                given=str(directory),
                remedy="wait until it has ended, or give this run a directory of its own",
            ) from None
        yield
