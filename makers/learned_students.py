"""Training sets and students of a sweep that learns; where nothing left, those there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import InputError
from ..quantity import Status
from .distill import DistillMaker
from .domain_check import left_domain
from .handed_on import handed_on, start_anew_for
from .training_set import TrainingSetMaker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pymatgen.core import Structure

    from ..stores.documents import StepDocument
    from ..stores.models import TrainedModelDocument
    from ..stores.step_files import StepFiles
    from ..stores.training import TrainingSetDocument
    from .frames import Group
    from .step import StepContext


@dataclass
class LearnedSetMaker(TrainingSetMaker):
    """Add frames of the runs that left the domain of their student to the set before.

    Where none did, or all of their frames are known, it is the set before.
    """

    essential: ClassVar[tuple[str, ...]] = ("set0",)

    def physics(self) -> dict[str, Any]:
        """Return what decides the frames."""
        return super().physics() | {"runs": Status.OUT_OF_DOMAIN.value}

    def groups(
        self,
        runs: Sequence[StepDocument],
        files: StepFiles,
        crystals: Mapping[str, Structure],
        mixtures: Sequence[Mapping[str, Any]],
    ) -> Iterable[Group]:
        """Yield the frames of the runs that left, the last ones among them."""
        left = [
            run.model_copy(update={"status": Status.OUT_OF_DOMAIN})
            for run in runs
            if left_domain(run.status, getattr(run, "domain", None))
        ]
        return super().groups(left, files, crystals, mixtures)

    def _collect(
        self, groups: list[Group], earlier: Sequence[TrainingSetDocument], context: StepContext
    ) -> TrainingSetDocument:
        if len(earlier) != 1:
            raise InputError(
                "a round of learning adds frames to the set of its student",
                given=f"{len(earlier)} sets before",
                allowed="one, in this store",
                remedy="plan in the store that trained the student, or copy that one "
                "(`haloflow db copy`)",
            )
        if not groups:
            return _same(earlier[0], context)
        found = super()._collect(groups, earlier, context)
        if sum(found.n_frames.values()) == sum(earlier[0].n_frames.values()):
            return _same(earlier[0], context)
        return found


@dataclass
class LearnedStudentMaker(DistillMaker):
    """Go on with a student where its training set has grown; else it is the student before."""

    def physics(self) -> dict[str, Any]:
        """Return what decides the student."""
        return super().physics() | {"where": "the set has grown"}

    def _distill(
        self,
        training_set: TrainingSetDocument,
        parent: TrainedModelDocument | None,
        context: StepContext,
    ) -> TrainedModelDocument:
        if parent is not None and training_set.content_hash == parent.data_hash:
            before = parent.handed_from or parent.identity
            return handed_on(parent, context).model_copy(update={"handed_from": before})
        start_anew_for(training_set.content_hash, context, "round-*")
        found = super()._distill(training_set, parent, context)
        return found.model_copy(update={"of_round": True})


def _same(earlier: TrainingSetDocument, context: StepContext) -> TrainingSetDocument:
    before = earlier.handed_from or earlier.identity
    return handed_on(earlier, context).model_copy(update={"handed_from": before})
