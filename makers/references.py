"""How documents refer to files of their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..identity import file_sha256
from ..stores.documents import FileReference

if TYPE_CHECKING:
    from pathlib import Path

    from .step import StepContext


def reference_to(file: Path, role: str, context: StepContext) -> FileReference:
    """Refer to a file in the folder of a step, by its checksum."""
    return FileReference(
        path=file.relative_to(context.files_dir).as_posix(),
        sha256=file_sha256(file),
        n_bytes=file.stat().st_size,
        role=role,
    )
