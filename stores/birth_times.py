"""When a file was made: what a file that took its place, even with its inode, has not."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_HERE: Final = -100
_BIRTH: Final = 0x800
_SIZE: Final = 256
_SECONDS_AT: Final = 80


def born_ns(path: Path) -> int:
    """Return when a file was made, in ns since 1970; 0 where the system does not say.

    Copying and restoring make a file anew, renaming and writing do not. This is `statx` of
    Linux, which Python has not: the file is not opened, since closing it would let go of
    SQLite's locks.
    """
    ask = getattr(ctypes.CDLL(None), "statx", None)
    if ask is None:
        return 0
    found = ctypes.create_string_buffer(_SIZE)
    if ask(_HERE, os.fsencode(path), 0, _BIRTH, found) != 0:
        return 0
    (known,) = struct.unpack_from("=I", found)
    seconds, nanoseconds = struct.unpack_from("=qI", found, _SECONDS_AT)
    return int(seconds * 10**9 + nanoseconds) if known & _BIRTH else 0
