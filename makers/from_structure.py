"""Steps that start from one structure: one that is given, or that of the step before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .step import LevelMaker, StepContext, parents_of, start_structure, step_job

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ..stores.documents import StepDocument


@dataclass
class StructureMaker(LevelMaker, ABC):
    """Base of the Makers of such steps, which say what they make of a structure."""

    @step_job()
    def make(
        self, start: Structure | StepDocument, parents: dict[str, str] | None = None
    ) -> StepDocument | dict[str, Any]:
        """Do the step on `start`, a structure or the document of the step that made one.

        Raises
        ------
        CoverageError
            If the level does not know an element.
        InputError
            If the step before broke down.
        EngineError
            If what evaluates the level failed; names the cause.
        """
        structure = start_structure(start)
        return self.run_step(
            lambda context: self.work(structure, context), parents or parents_of(start)
        )

    @abstractmethod
    def work(self, structure: Structure, context: StepContext) -> StepDocument:
        """Make the document, in the folder of `context`."""
