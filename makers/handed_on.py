"""Steps that find nothing to do, and whose result is that of the step before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ..stores.documents import StepDocument
    from .step import StepContext

DocumentT = TypeVar("DocumentT", bound="StepDocument")


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
