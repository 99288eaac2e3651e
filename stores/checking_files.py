"""Looking at the files that documents name, in the folder of this machine and elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from ..errors import StoreError
from ..identity import file_sha256
from ..settings import get_settings
from .blobs import persistent
from .file_paths import is_inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .blobs import Blobs
    from .step_files import StepFiles

MISSING: Final = "file missing"
SIZE: Final = "file of another size"
CONTENT: Final = "file of other content"
OUTSIDE: Final = "file outside the folder"


@dataclass(frozen=True)
class FileLook:
    """What there is to look at, listed once.

    Attributes
    ----------
    folder
        Of this machine.
    elsewhere
        Places for all machines, each with checksum and size of what is there.
    fast
        Leave the content out.
    """

    folder: Path
    elsewhere: tuple[tuple[Blobs, Mapping[str, int]], ...]
    fast: bool

    @classmethod
    def at(cls, files: StepFiles, *, fast: bool) -> Self:
        """List what is in the places of a store."""
        patience_s = get_settings().patience_s
        listed = [(place, persistent(partial(_sizes, place), patience_s)) for place in files.places]
        return cls(files.folder, tuple(listed), fast)

    def faults_of(self, path: str, sha256: str, n_bytes: int) -> tuple[list[tuple[str, str]], bool]:
        """Return kinds and messages of what is wrong with a file, and whether it is elsewhere."""
        whole = self.folder.resolve()
        if not is_inside(path) or not (whole / path).resolve().is_relative_to(whole):
            return [(OUTSIDE, f"it leads out of {self.folder}")], False
        is_here = (self.folder / path).is_file()
        faults = list(self._faults_here(self.folder / path, sha256, n_bytes)) if is_here else []
        holding = [(place, sizes[sha256]) for place, sizes in self.elsewhere if sha256 in sizes]
        for place, size in holding:
            faults += self._faults_there(place, size, sha256, n_bytes)
        if not is_here and not holding:
            places = [str(self.folder), *(place.name for place, _ in self.elsewhere)]
            faults.append((MISSING, f"not in {', nor in '.join(places)}"))
        return faults, bool(holding)

    def _faults_here(self, place: Path, sha256: str, n_bytes: int) -> Iterator[tuple[str, str]]:
        if (size := place.stat().st_size) != n_bytes:
            yield SIZE, f"{size} bytes instead of {n_bytes}"
        elif not self.fast and (hashed := file_sha256(place)) != sha256:
            yield CONTENT, f"sha256 {hashed[:12]} instead of {sha256[:12]}"

    def _faults_there(
        self, place: Blobs, size: int, sha256: str, n_bytes: int
    ) -> Iterator[tuple[str, str]]:
        if size != n_bytes:
            kept = "the rest of a write" if size < 0 else f"{size} bytes"
            yield SIZE, f"{kept} instead of {n_bytes} bytes in {place.name}"
        elif not self.fast:
            found = persistent(lambda: _hashed(place, sha256), get_settings().patience_s)
            if found != sha256:
                yield CONTENT, f"sha256 {found[:12]} instead of {sha256[:12]} in {place.name}"


def _sizes(place: Blobs) -> dict[str, int]:
    return dict(place.sizes())


def _hashed(place: Blobs, sha256: str) -> str:
    hashed = hashlib.sha256()
    try:
        for block in place.read(sha256):
            hashed.update(block)
    except StoreError as error:
        if type(error) is not StoreError:  # it may pass
            raise
        return f"unreadable: {error.problem}"
    return hashed.hexdigest()
