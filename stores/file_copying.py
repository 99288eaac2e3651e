"""Copying the files of a store: never over another, and each read again where it came to."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StoreError, TrajectoryError
from ..identity import file_sha256
from .documents import FileReference
from .homes import FILES_MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .step_files import StepFiles
    from .streams import Report

_SUFFIX = ".haloflow-copy"
_BLOCK = 2**20


@dataclass(frozen=True)
class FileCopies:
    """What a copy does, or did, with the files.

    Attributes
    ----------
    new
        Paths, relative to the folder, of what the target lacks, with sizes and, where a
        document names the file, its sha256.
    elsewhere
        Likewise what is in a place for all machines and not in the source's folder.
    there
        Files that the target has, with the sha256 where a document names them.
    missing
        Files that documents name and that the source lacks.
    differing
        Files that documents name and that the target has with other contents.
    """

    new: tuple[tuple[str, int, str | None], ...] = ()
    elsewhere: tuple[FileReference, ...] = ()
    there: tuple[tuple[str, str | None], ...] = ()
    missing: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()

    @property
    def n_bytes(self) -> int:
        """Size of what the target lacks."""
        fetched = sum(file.n_bytes for file in self.elsewhere)
        return sum(size for _, size, _ in self.new) + fetched

    @property
    def n_new(self) -> int:
        """Number of files that the target lacks."""
        return len(self.new) + len(self.elsewhere)

    @property
    def n_there(self) -> int:
        """Number of files that the target has."""
        return len(self.there)

    def copy(
        self, source: StepFiles, target: StepFiles, report: Report | None = None
    ) -> tuple[str, ...]:
        """Copy what the target lacks; a file is there whole or not at all.

        Where the target has a place for all machines, files that documents name go there too.

        Returns
        -------
        tuple of str
            Files that are not what their documents say, and were left out.

        Raises
        ------
        StoreError
            A file cannot be written.
        """
        done, damaged = 0, []
        for path, size, sha256 in self.new:
            try:
                if not _copy(source.folder / path, target.folder / path, sha256):
                    damaged.append(path)
            except OSError as error:
                raise StoreError(
                    f"a file cannot be copied: {error.strerror or error}",
                    given=str(source.folder / path),
                    remedy="make room or mend what stops it, and copy again: it goes on",
                ) from error
            done += size
            if report is not None:
                report("copying files", done, self.n_bytes)
        for file in self.elsewhere:
            try:
                source.fetch(file, target.folder / file.path)
            except TrajectoryError:
                damaged.append(file.path)
            done += file.n_bytes
            if report is not None:
                report("copying files", done, self.n_bytes)
        self._share(target, damaged)
        return tuple(damaged)

    def _share(self, target: StepFiles, damaged: list[str]) -> None:
        """Store what documents name in the target's place for all machines, if it has one."""
        if target.target is None:
            return
        named = [(path, sha256) for path, _, sha256 in self.new] + list(self.there)
        named += [(file.path, file.sha256) for file in self.elsewhere]
        for path, sha256 in named:
            if sha256 is not None and path not in damaged:
                target.put(target.folder / path, sha256)


def survey_files(
    source: StepFiles,
    target: Path | None,
    references: Mapping[str, tuple[str, int]],
    report: Report | None = None,
) -> FileCopies:
    """Compare two folders of files.

    Parameters
    ----------
    references
        Path to sha256 and size of the files that documents name. Others, such as checkpoints
        of unfinished steps, are copied where the target has none of the name.
    """
    new, differing, there_already = [], [], []
    folder = source.folder
    present = list(_files(folder))
    for done, path in enumerate(present, start=1):
        known = references.get(path)
        there = None if target is None else target / path
        if there is None or not there.exists():
            new.append((path, (folder / path).stat().st_size, known[0] if known else None))
        elif known is not None and not _is(there, folder / path, *known):
            differing.append(path)
        else:
            there_already.append((path, known[0] if known else None))
        if report is not None:
            report("comparing files", done, len(present))
    missing, elsewhere = [], []
    for path in sorted(references.keys() - set(present)):
        sha256, n_bytes = references[path]
        there = None if target is None else target / path
        file = FileReference(path=path, sha256=sha256, n_bytes=n_bytes, role="")
        if _size(source, file) is None:
            missing.append(path)
        elif there is None or not there.exists():
            elsewhere.append(file)
        elif there.stat().st_size == n_bytes and file_sha256(there) == sha256:
            there_already.append((path, sha256))
        else:
            differing.append(path)
    return FileCopies(
        tuple(new), tuple(elsewhere), tuple(there_already), tuple(missing), tuple(differing)
    )


def _size(source: StepFiles, file: FileReference) -> int | None:
    """Return the size of a file that the source has; what leads out of its folder, it has not."""
    try:
        return source.size(file)
    except TrajectoryError:  # it is nowhere
        return None


def _files(folder: Path) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if not name.endswith(_SUFFIX) and name != FILES_MARKER:
                yield (Path(where) / name).relative_to(folder).as_posix()


def _is(path: Path, original: Path, sha256: str, n_bytes: int) -> bool:
    """Tell whether a file is what its document says; one copied from `original` is."""
    found, theirs = path.stat(), original.stat()
    if found.st_size != n_bytes:
        return False
    if (found.st_size, found.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns):
        return True
    return file_sha256(path) == sha256


def _copy(source: Path, target: Path, sha256: str | None) -> bool:
    """Copy a file, unless it is not the one with the `sha256` that is wanted."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + _SUFFIX)
    hashed = hashlib.sha256()
    with source.open("rb") as read, temporary.open("wb") as written:
        while block := read.read(_BLOCK):
            hashed.update(block)
            written.write(block)
        written.flush()
        os.fsync(written.fileno())
    found = hashed.hexdigest()
    if sha256 not in {None, found}:
        temporary.unlink()
        return False
    if file_sha256(temporary) != found:
        raise OSError(None, "what was written reads back differently")
    shutil.copystat(source, temporary)
    temporary.replace(target)
    return True
