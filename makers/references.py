"""How documents refer to files of their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..identity import file_sha256
from ..stores.documents import FileReference
from ..stores.file_paths import ROLE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..engines.trajectory_files import TrajectoryFile
    from .step import StepContext


def reference_to(file: Path, role: str, context: StepContext) -> FileReference:
    """Refer to a file in the folder of a step, by its checksum."""
    return FileReference(
        path=file.relative_to(context.files_dir).as_posix(),
        sha256=file_sha256(file),
        n_bytes=file.stat().st_size,
        role=role,
    )


def references_to(
    chunks: Iterable[TrajectoryFile], part: str, files_dir: Path
) -> list[FileReference]:
    """Refer to the chunks of the trajectory of a part of a run; their checksums are known."""
    return [
        FileReference(
            path=chunk.path.relative_to(files_dir).as_posix(),
            sha256=chunk.sha256,
            n_bytes=chunk.n_bytes,
            role=f"{ROLE}{part}",
            n_frames=chunk.n_frames,
        )
        for chunk in chunks
    ]
