"""Where the files that define a potential lie, found without executing any package."""

from __future__ import annotations

import os
import shutil
import urllib.request
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit

from ..errors import MissingDependencyError, PotentialError
from ..identity import file_sha256

_TIMEOUT_S = 30.0


class WeightsSource(Protocol):
    """One file whose contents define a potential."""

    def present(self) -> bool:
        """Say whether the file is on this machine; touches no network."""

    def obtain(self) -> Path:
        """Return the file, fetching it if need be.

        Raises
        ------
        MissingDependencyError, PotentialError
            If it cannot be had.
        """


@dataclass(frozen=True)
class WheelFile:
    """A file inside an installed package."""

    module: str
    relative: str
    extra: str

    def _path(self) -> Path | None:
        root = package_root(self.module)
        return None if root is None else root / self.relative

    def present(self) -> bool:
        """Say whether the package is installed and holds the file."""
        path = self._path()
        return path is not None and path.is_file()

    def obtain(self) -> Path:
        """Return the file's path."""
        path = self._path()
        if path is None:
            raise MissingDependencyError.of(self.module, self.extra, "this potential")
        if not path.is_file():
            raise PotentialError(
                f"the installed {self.module} does not hold the weights that are asked for",
                given=str(path),
                remedy=f"pip install --force-reinstall -c constraints.txt 'haloflow[{self.extra}]'",
            )
        return path


@dataclass(frozen=True)
class LocalFile:
    """A file named by the user."""

    path: Path

    def present(self) -> bool:
        """Say whether the file exists."""
        return self.path.is_file()

    def obtain(self) -> Path:
        """Return the file's path."""
        if not self.present():
            raise PotentialError(
                "the file of the potential does not exist",
                given=str(self.path),
                remedy="correct the path",
            )
        return self.path


@dataclass(frozen=True)
class CachedDownload:
    """A file that is downloaded once into the cache that mace-torch uses as well."""

    url: str

    @property
    def path(self) -> Path:
        """Where the file lies, or will lie."""
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        name = Path(urlsplit(self.url).path).name
        return cache / "mace" / "".join(c for c in name if c.isalnum() or c == "_")

    def present(self) -> bool:
        """Say whether the file was downloaded before."""
        return self.path.is_file()

    def obtain(self) -> Path:
        """Return the file's path, after a download if it is not there.

        mace-torch publishes no checksums: a download is held against the length that the server
        announces, and the hash of what came is part of every step's identity.
        """
        if self.present():
            return self.path
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _download(self.url, partial)
            partial.replace(self.path)
        except (OSError, HTTPException) as error:
            partial.unlink(missing_ok=True)
            if isinstance(error, HTTPError):
                error.close()
            raise PotentialError(
                "the weights are not on this machine and cannot be downloaded",
                given=f"{self.url} ({error})",
                remedy=f"download them elsewhere and save them as {self.path}, "
                "or give any local file as mace:PATH",
            ) from error
        return self.path


def _download(url: str, path: Path) -> None:
    """Write the file behind `url` to `path` and onto the disk; an incomplete one is an OSError."""
    with (
        urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response,  # noqa: S310  (https, from our table)
        path.open("wb") as file,
    ):
        shutil.copyfileobj(response, file)
        file.flush()
        os.fsync(file.fileno())
        announced, written = response.headers.get("Content-Length"), file.tell()
    if announced is None or int(announced) != written:
        raise OSError(f"{written} bytes came, {announced or 'an unknown number'} were announced")


@dataclass(frozen=True)
class ModuleSource:
    """The source file of a Python module."""

    module: str

    def _path(self) -> Path | None:
        top, *rest = self.module.split(".")
        root = package_root(top)
        if root is None:
            return None
        stem = root.joinpath(*rest)
        candidates = [root] if root.is_file() and not rest else []
        candidates += [stem / "__init__.py", stem.with_name(stem.name + ".py")]
        candidates += sorted(stem.parent.glob(f"{stem.name}.*.so"))
        return next((path for path in candidates if path.is_file()), None)

    def present(self) -> bool:
        """Say whether the module can be found."""
        return self._path() is not None

    def obtain(self) -> Path:
        """Return the path of the module's file."""
        path = self._path()
        if path is None:
            raise PotentialError(
                "the Python module of the potential is not there",
                given=self.module,
                remedy="install the package that holds it, or put it on PYTHONPATH",
            )
        return path


def package_root(module: str) -> Path | None:
    """Return the folder (or the file) of a top-level module; ``None`` if it is not installed."""
    try:
        return _package_root(module)
    except ModuleNotFoundError:  # that is the answer
        return None


@lru_cache(maxsize=64)
def _package_root(module: str) -> Path:
    spec = find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(module)
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    if not spec.origin:
        raise ModuleNotFoundError(module)
    return Path(spec.origin)


@lru_cache(maxsize=64)
def package_version(package: str, extra: str) -> str:
    """Return the version of an installed distribution.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        raise MissingDependencyError.of(package, extra, "this potential") from None


def cached_sha256(path: Path) -> str:
    """Return the sha256 of `path`; read again only when its size or time has changed."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    return file_sha256(path)
