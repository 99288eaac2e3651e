"""Progress of a running step, published as a small file beside its data."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE_NAME = "progress.json"
_INTERVAL_S = 0.5


@dataclass(frozen=True)
class Progress:
    """How far a step has come."""

    stage: str
    done: int
    total: int
    updated_at: float


class ProgressReporter:
    """Writes the progress of one step, at most twice a second.

    Parameters
    ----------
    directory
        Folder of the step.
    total
        Units of work in all stages together (MD steps, relaxation steps).
    also
        Called at every publication, while the folder can be gone on from.
    """

    def __init__(self, directory: Path, total: int, also: Callable[[], None] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / FILE_NAME
        self._total = total
        self._also = also
        self._starts: dict[str, int] = {}
        self._before = 0
        self._last_write = 0.0

    def stage(self, name: str, length: int) -> _StageProgress:
        """Start the stage `name` of `length` units, or make it longer; return its callback."""
        start = self._starts.setdefault(name, self._before)
        self._before = start + length
        stage = _StageProgress(self, name, start)
        stage(0, length)
        return stage

    def write(self, stage: str, done: int) -> None:
        """Publish, unless the last publication is too recent, or the disk takes nothing."""
        now = time.time()
        if now - self._last_write < _INTERVAL_S:
            return
        self._last_write = now
        progress = Progress(stage, done, max(self._total, done), now)
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        with suppress(OSError):  # a full disk is told by what must be written
            temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")
            temporary.replace(self._path)
        if self._also is not None:
            self._also()


class _StageProgress:
    def __init__(self, reporter: ProgressReporter, name: str, before: int) -> None:
        self._reporter = reporter
        self._name = name
        self._before = before

    def __call__(self, done: int, _total: int) -> None:
        self._reporter.write(self._name, self._before + done)


def read_progress(directory: Path) -> Progress | None:
    """Return the last published progress of the step in `directory`, if any."""
    try:
        data = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
        return Progress(**data)
    except (OSError, ValueError, TypeError):  # none was written, or by another version
        return None
