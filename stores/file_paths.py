"""Paths of files as documents give them: they stay in the folder that they are put in."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from ..errors import TrajectoryError

if TYPE_CHECKING:
    from .documents import FileReference

ROLE: Final = "trajectory-"
"""Of files of trajectories; the part of the run follows, e.g. ``trajectory-production``."""
_HEX = frozenset("0123456789abcdef")


def require_inside(file: FileReference) -> None:
    """Raise TrajectoryError where a file's path or checksum leads out of a folder."""
    if not is_inside(file.path) or not _HEX.issuperset(file.sha256):
        raise outside(file)


def is_inside(path: str) -> bool:
    """Tell whether a relative path stays in its folder all the way, whatever that is called."""
    depths = accumulate({"..": -1, "": 0, ".": 0}.get(part, 1) for part in path.split("/"))
    return not path.startswith("/") and min(depths) >= 0


def outside(file: FileReference) -> TrajectoryError:
    """Return the error that a file is not in the folder where it must be."""
    return TrajectoryError(
        "a trajectory file lies outside of the store's files",
        given=f"{file.path}, sha256 {file.sha256}",
        allowed="files below the store's folder of files",
        remedy="put the files back where the store keeps them",
    )
