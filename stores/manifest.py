"""Lists of files with their sha256, as `sha256sum -c` reads them, and whether they hold."""

from __future__ import annotations

import hashlib
import re
import tarfile
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Final

from ..errors import InputError
from .blobs import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .streams import Report

MANIFEST: Final = "manifest-sha256.txt"
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")
_SHOWN_DIGITS: Final = 12


def write_manifest(folder: Path, report: Report | None = None) -> int:
    """List all files of a folder in its manifest; return how many there are."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    lines = []
    for done, path in enumerate(paths, start=1):
        with path.open("rb") as file:
            lines.append(f"{_sha256(file)}  {path.relative_to(folder).as_posix()}\n")
        if report is not None:
            report("checksums", done, len(paths))
    (folder / MANIFEST).write_text("".join(lines), encoding="utf-8")
    return len(paths)


def verify_manifest(place: Path, report: Report | None = None) -> list[str]:
    """Return what is wrong with a folder or a tar file that has a manifest.

    Raises
    ------
    InputError
        There is none, or it cannot be read.
    """
    with _contents(place) as (names, opened):
        if MANIFEST not in names:
            raise InputError(
                "there is no export here",
                given=str(place),
                allowed=f"a folder or tar file with a {MANIFEST}",
                remedy="name what `haloflow export --to` wrote",
            )
        with closing(opened(MANIFEST)) as file:
            wanted = _parsed(file.read().decode("utf-8", errors="replace"), place)
        wrong = [f"{name}: not in the manifest" for name in sorted(names - wanted.keys())]
        wrong.remove(f"{MANIFEST}: not in the manifest")
        for done, (name, sha256) in enumerate(wanted.items(), start=1):
            if name not in names:
                wrong.append(f"{name}: missing")
                continue
            with closing(opened(name)) as file:
                found = _sha256(file)
            if found != sha256:
                digits = slice(_SHOWN_DIGITS)
                wrong.append(f"{name}: sha256 {found[digits]} instead of {sha256[digits]}")
            if report is not None:
                report("verifying", done, len(wanted))
    return wrong


@contextmanager
def _contents(place: Path) -> Iterator[tuple[set[str], Callable[[str], IO[bytes]]]]:
    """Give the names of all files, without the folder that a tar file puts them in."""
    if place.is_dir():
        names = {p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()}
        yield names, lambda name: (place / name).open("rb")
        return
    try:
        with tarfile.open(place) as archive:
            members = {
                member.name.partition("/")[2]: member for member in archive if member.isfile()
            }

            def opened(name: str) -> IO[bytes]:
                file = archive.extractfile(members[name])
                assert file is not None
                return file

            yield set(members), opened
    except (OSError, tarfile.TarError, EOFError) as error:
        raise InputError(
            "an export cannot be read",
            given=f"{place}: {getattr(error, 'strerror', None) or error}",
            allowed="a folder, .tar or .tar.gz that `haloflow export` wrote",
        ) from error


def _parsed(text: str, place: Path) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError(
                "the manifest of an export cannot be read",
                given=f"{line[:80]!r} in {place}",
                allowed="lines of a sha256, two blanks and a path",
            )
        found[match[2]] = match[1]
    return found


def _sha256(file: IO[bytes]) -> str:
    hashed = hashlib.sha256()
    while block := file.read(BLOCK):
        hashed.update(block)
    return hashed.hexdigest()
