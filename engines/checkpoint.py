"""Rolling float64 checkpoints: whole or absent, checksummed, the last two kept."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import CheckpointError
from .durable import remove_leftovers, write_durably

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_log = logging.getLogger(__name__)
_MAGIC: Final = b"haloflow checkpoint 1\n"
_DIGEST_SIZE: Final = 64
_KEPT: Final = 2
_META: Final = "meta"


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after some step.

    Attributes
    ----------
    step
        Steps done.
    meta
        Everything that is no array, as JSON types.
    arrays
        Everything else, in full precision.
    """

    step: int
    meta: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    def to_bytes(self) -> bytes:
        """Return the file's content: a first line, the sha256, an npz archive."""
        text = json.dumps({"step": self.step, **self.meta})
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{_META: np.array(text)}, **self.arrays)
        payload = buffer.getvalue()
        return _MAGIC + hashlib.sha256(payload).hexdigest().encode() + payload

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """Read what :meth:`to_bytes` wrote.

        Raises
        ------
        CheckpointError
            If the content is cut short, changed or something else.
        """
        start = len(_MAGIC) + _DIGEST_SIZE
        digest, payload = data[len(_MAGIC) : start], data[start:]
        if not data.startswith(_MAGIC):
            raise CheckpointError("a file is no checkpoint", allowed="files that haloflow wrote")
        if hashlib.sha256(payload).hexdigest().encode() != digest:
            raise CheckpointError("the checksum of a checkpoint does not match its content")
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            meta = json.loads(str(archive[_META]))
            arrays = {name: archive[name] for name in archive.files if name != _META}
        return cls(meta.pop("step"), meta, arrays)


class CheckpointFolder:
    """The checkpoints of one run.

    Parameters
    ----------
    directory
        Made if it is not there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        remove_leftovers(directory)

    def paths(self) -> list[Path]:
        """Return the files, oldest first."""
        return sorted(self._directory.glob("step-*.ckpt"))

    def save(self, checkpoint: Checkpoint, keep: int | None = None) -> Path:
        """Write `checkpoint` and delete all but the newest two, and that of the step `keep`."""
        path = self.path(checkpoint.step)
        write_durably(path, checkpoint.to_bytes())
        for old in self.paths()[:-_KEPT]:
            if keep is None or old != self.path(keep):
                old.unlink()
        return path

    def path(self, step: int) -> Path:
        """Return where the checkpoint of a step lies, if it is there."""
        return self._directory / f"step-{step:012d}.ckpt"

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, or ``None`` if there is none at all.

        Newer, damaged ones are deleted, so that they never displace a whole one.

        Raises
        ------
        CheckpointError
            If there are checkpoints and all of them are damaged.
        """
        damaged: list[tuple[Path, str]] = []
        for path in reversed(self.paths()):
            try:
                checkpoint = Checkpoint.from_bytes(path.read_bytes())
            except CheckpointError as error:
                damaged.append((path, str(error)))
                continue
            for broken, reason in damaged:
                _log.warning("checkpoint %s is left out: %s", broken, reason)
                broken.unlink()
            return checkpoint
        if damaged:
            raise CheckpointError(
                "all checkpoints of a run are damaged",
                given=[f"{path.name} ({reason})" for path, reason in damaged],
                remedy=f"delete {self._directory.parent} to start the run over",
            )
        return None
