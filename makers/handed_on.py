"""What steps do with inputs that come about anew, or that leave nothing to do."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Final, TypeVar

from ..engines.durable import write_durably

if TYPE_CHECKING:
    from ..stores.documents import StepDocument
    from .step import StepContext

DocumentT = TypeVar("DocumentT", bound="StepDocument")
FOLDERS: Final = ("equilibration", "production", "teacher")
"""Of an MD run: its parts, and the labels that its teacher gave."""
_MADE_OF: Final = "model.sha256"


def handed_on(document: DocumentT, context: StepContext) -> DocumentT:
    """Return the document of a step before as that of this one; its files are the same ones."""
    provenance = document.provenance.model_copy(
        update={
            "parents": sorted(context.parents.values()),
            "wall_s": round(time.time() - context.started, 3),
            "n_resumes": 0,
        }
    )
    return document.model_copy(update={"identity": context.identity, "provenance": provenance})


def start_anew_for(sha256: str, context: StepContext, *folders: str) -> None:
    """Delete what the step had made of another input in its `folders`: it is no part of this.

    Parameters
    ----------
    sha256
        Of the input: the weights that drive a run, with the state that it goes on from; the frames
        that are learned.
    folders
        Of the step, as patterns.
    """
    context.directory.mkdir(parents=True, exist_ok=True)
    note = context.directory / _MADE_OF
    if note.exists() and note.read_text() != sha256:
        for pattern in folders:
            for folder in context.directory.glob(pattern):
                shutil.rmtree(folder)
    write_durably(note, sha256.encode())
