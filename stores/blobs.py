"""Files kept by their sha256, wherever that is: what all places do, and how often it is tried."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from ..errors import StoreError, StoreTimeoutError, TrajectoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ResultT = TypeVar("ResultT")
BLOCK = 2**20
ABANDONED_S: Final = 86_400.0
"""Age at which the rest of a write is nobody's any more."""
_DIGITS: Final = 64
_HEX: Final = frozenset("0123456789abcdef")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 8.0


class Blobs(Protocol):
    """A place of files by their checksum.

    Every method raises StoreTimeoutError for what may pass (the network, a server that is
    away), and StoreError for what will not.

    Attributes
    ----------
    name
        For messages; without credentials.
    """

    name: str

    def prepare(self, owner: str) -> None:
        """Make what must be there before the first write, and note whose it is.

        Raises
        ------
        StoreError
            It belongs to another store, or is not to be had.
        """

    def belongs_to(self, owner: str) -> bool:
        """Tell whether `prepare` noted that it is this owner's."""

    def size(self, sha256: str) -> int | None:
        """Return the size of a file that is here whole, or ``None``."""

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield key and size of all files; nothing that others left here is among them."""

    def written_at(self, key: str) -> float | None:
        """Return when something was last written for a file, in s since 1970, or ``None``."""

    def write(
        self, key: str, path: Path, sha256: str | None = None, *, again: bool = False
    ) -> None:
        """Store a file, a block in memory at a time; one that is here already stays.

        Parameters
        ----------
        key
            What it is known by: its sha256, or another where it is not to be shared.
        path, sha256
            The file, and the sha256 that it must have; default: `key`.
        again
            Store it even if it is here: what is here is damaged.

        Raises
        ------
        TrajectoryError
            The file has another checksum.
        """

    def read(self, sha256: str) -> Iterator[bytes]:
        """Yield the blocks of a file as they are; whoever reads checks them."""

    def remove(self, sha256: str) -> None:
        """Delete a file if it is there, and what a killed write left of it."""

    def clear_up(self) -> None:
        """Delete what killed writes left of files a day ago and longer."""

    def close(self) -> None:
        """Let go of connections."""


MARKER: Final = "haloflow-trajectories"
"""Name of what says whose a place is."""


def is_key(name: str) -> bool:
    """Tell whether files can have this name here."""
    return len(name) == _DIGITS and _HEX.issuperset(name)


def belongs_to_another(name: str, owner: str) -> StoreError:
    """Return the error that a place is another store's, which alone knows what is needed there."""
    return StoreError(
        "the place for trajectories belongs to another store",
        given=f"{name}, of the store {owner}",
        remedy="give each store a folder or prefix of its own",
    )


def persistent(action: Callable[[], ResultT], limit_s: float) -> ResultT:
    """Return what `action` returns; done again, ever more slowly, where it may pass.

    Parameters
    ----------
    limit_s
        Longest time after the first failure; 0 for one attempt.

    Raises
    ------
    StoreError
        It did not pass in time, or never will.
    """
    deadline, pause_s, attempts = None, _FIRST_PAUSE_S, 0
    while True:
        attempts += 1
        try:
            return action()
        except StoreTimeoutError as error:
            now = time.monotonic()
            deadline = now + limit_s if deadline is None else deadline
            if now >= deadline:
                tried = f", tried {attempts} times in {limit_s:g} s" if attempts > 1 else ""
                raise StoreTimeoutError(
                    error.problem, given=f"{error.given}{tried}", remedy=error.remedy
                ) from error
            time.sleep(min(pause_s, deadline - now))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class Checked:
    """Blocks of a file on their way, hashed as they pass.

    Parameters
    ----------
    path
        The file.
    sha256
        What it must have.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        self._path, self._sha256 = path, sha256

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """Yield the file; at its end, raise TrajectoryError if it was another one."""
        hashed = hashlib.sha256()
        try:
            with self._path.open("rb") as file:
                while block := file.read(size):
                    hashed.update(block)
                    yield block
        except OSError as error:
            raise StoreError(
                "a file of a step cannot be read to be stored",
                given=f"{self._path}: {error.strerror}",
                remedy="run the step again",
            ) from error
        if hashed.hexdigest() != self._sha256:
            raise TrajectoryError(
                "a file is not what its step wrote, and is not stored",
                given=f"{self._path} with sha256 {hashed.hexdigest()}",
                allowed=f"sha256 {self._sha256}",
                remedy="check the disk, delete the folder of the step and run it again",
            )
