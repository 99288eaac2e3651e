"""Molecular dynamics by a model that an earlier step of the same sweep has trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..quantity import Status, worst
from .handed_on import FOLDERS, start_anew_for
from .md import MDMaker
from .step import parents_of, require_sound, start_structure, step_job
from .trained_models import bring_model

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ..stores.documents import MDDocument, StepDocument
    from ..stores.models import TrainedModelDocument
    from .step import StepContext


@dataclass
class TunedMDMaker(MDMaker):
    """Run MD by the model of an earlier step.

    The fields are those of :class:`~haloflow.makers.md.MDMaker`; the level is the model's, which
    is not known before it is trained, and so the step is known by what that training is.
    """

    level: str = ""

    @property
    def levels(self) -> tuple[str, ...]:
        """None that is known before it runs."""
        return ()

    @property
    def runs_beside_others(self) -> bool:
        """Each by itself: what drives it comes with its own document."""
        return False

    def physics(self) -> dict[str, Any]:
        """Return what decides the result."""
        found = super().physics()
        del found["level"]
        return found | {"level_of": "a trained model"}

    @step_job()
    def make(
        self,
        start: Structure | StepDocument,
        model: TrainedModelDocument,
        parents: dict[str, str] | None = None,
    ) -> MDDocument | dict[str, Any]:
        """Run MD from `start` by `model`.

        Raises
        ------
        InputError
            If the step before broke down.
        PotentialError, StoreError
            The files of the model cannot be had.
        """
        require_sound(model)
        structure = start_structure(start)

        def work(context: StepContext) -> MDDocument:
            start_anew_for(model.weights_sha256, context, *FOLDERS)
            named = replace(self, level=bring_model(model, context.files).name)
            document = named.simulate(structure, context)
            if model.status is Status.OK:
                return document
            doubt = f"its model is {model.status.value}: {model.note}"
            return document.model_copy(
                update={
                    "status": worst(document.status, model.status),
                    "note": "; ".join(filter(None, [document.note, doubt])),
                }
            )

        own = parents_of(start) | {"model": model.identity}
        return self.run_step(work, parents or own)
