"""What tests do to files, and to disks."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def flip(path: Path) -> None:
    """Change one byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@contextmanager
def small_disk(folder: Path, size_kb: int) -> Iterator[Callable[[int], None]]:
    """Mount a disk of this size at `folder`; give what changes the size. Skip where not allowed."""
    folder.mkdir(parents=True, exist_ok=True)

    def mount(*options: str) -> int:
        command = ("mount", "-t", "tmpfs", *options, "tmpfs", str(folder))
        return subprocess.run(command, check=False, capture_output=True).returncode

    if os.geteuid() or mount("-o", f"size={size_kb}k"):
        pytest.skip("disks can be mounted by root only")
    try:
        yield lambda larger_kb: assert_done(mount("-o", f"remount,size={larger_kb}k"))
    finally:
        assert_done(subprocess.run(["umount", str(folder)], check=False).returncode)


def assert_done(code: int) -> None:
    assert code == 0, code
