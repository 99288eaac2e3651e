"""From a teacher's labels to a student: train, try in MD, label what was new, train again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ..engines.domain import SELECT_GRADE, STOP_GRADE
from ..engines.nep_settings import nep_settings
from ..errors import InputError
from .learning import Learning
from .step import LevelMaker, StepContext, step_job

if TYPE_CHECKING:
    from ..stores.models import TrainedModelDocument
    from ..stores.training import TrainingSetDocument


@dataclass
class DistillMaker(LevelMaker):
    """Train a NEP student of a teacher, and go on until its own MD stays inside its domain.

    Attributes
    ----------
    level
        The teacher; the labels of the training set must be its own.
    nep
        Settings of the student, fields of :class:`~haloflow.engines.nep_settings.NepSettings`.
    refine_epochs, refine_learning_rate, refine_weight_energy
        Of the trainings after the first, which start from the student before. Squared errors of
        energies per atom are some hundred times smaller than those of forces: once the forces
        are learned, this weight brings the energies of the compositions together.
    temperatures_k
        Of the student's trial runs, as hot and as cold as it will be used.
    density_scales
        Of trial runs at constant volume, over the start's density.
    trial_steps, timestep_fs
        Length of each trial run.
    max_rounds
        Trainings at most.
    most_new
        Frames that are labelled after a round, at most.
    accepted_share
        The student is done when no run has a larger share of frames above `select_grade`,
        and no run was ended by a guard.
    select_grade, stop_grade
        Extrapolation grades above which a frame is worth a label, and a run ends.
    n_checked
        Frames of each trial run, evenly spread, that the teacher checks whatever their grades;
        the next training learns these too.
    least_distance
        As in the training set's Maker.
    max_force_ev_a
        Frames in which the teacher's forces are larger are not learned.
    seed
        Of trial runs.
    """

    name: str = "distill"
    level: str = "chgnet-r2scan-d3"
    nep: dict[str, Any] = field(default_factory=dict)
    refine_epochs: int = 60
    refine_learning_rate: float = 0.003
    refine_weight_energy: float = 20.0
    temperatures_k: tuple[float, ...] = (500.0, 1000.0, 1500.0)
    density_scales: tuple[float, ...] = (0.85, 1.15)
    trial_steps: int = 10_000
    timestep_fs: float = 2.0
    max_rounds: int = 6
    most_new: int = 60
    accepted_share: float = 0.01
    select_grade: float = SELECT_GRADE
    stop_grade: float = STOP_GRADE
    n_checked: int = 5
    least_distance: float = 0.2
    max_force_ev_a: float = 25.0
    seed: int = 1

    kind: ClassVar[str] = "trained_model"
    code_version: ClassVar[int] = 3
    not_physics: ClassVar[tuple[str, ...]] = ("name", "checkpoint_interval")

    def physics(self) -> dict[str, Any]:
        """Return what decides the student."""
        return super().physics() | {"nep": nep_settings(self.nep).physics()}

    @step_job()
    def make(
        self,
        training_set: TrainingSetDocument,
        parent: TrainedModelDocument | None = None,
        parents: dict[str, str] | None = None,
    ) -> TrainedModelDocument | dict[str, Any]:
        """Train a student on `training_set`.

        Parameters
        ----------
        training_set
            The teacher's labels; of a student that goes on, with its parent's set among them.
        parent
            Student to go on with: from its weights, with the frames that its runs had added.

        Raises
        ------
        InputError
            If the labels are not the teacher's, or the parent is of other elements, of another
            architecture, of another teacher or of frames that are not in the set.
        MissingDependencyError
            If torchnep or calorine is not installed.
        """
        known = parents or {
            "training_set": training_set.identity,
            **({"parent": parent.identity} if parent is not None else {}),
        }
        return self.run_step(lambda context: self._distill(training_set, parent, context), known)

    def _distill(
        self,
        training_set: TrainingSetDocument,
        parent: TrainedModelDocument | None,
        context: StepContext,
    ) -> TrainedModelDocument:
        teacher = context.load(self.level)
        own = (teacher.identity.level, teacher.identity.weights_sha256)
        if (training_set.level, training_set.level_sha256) != own:
            raise InputError(
                "the labels of a training set are not those of the teacher",
                given=f"labels of {training_set.level}, teacher {self.level}",
                allowed="one level, with the same weights",
                remedy="label the frames by the teacher, or take that level as the teacher",
            )
        if parent is not None:
            self._require_kin(parent, training_set)
        return Learning(self, training_set, teacher, context, parent).run()

    def _require_kin(self, parent: TrainedModelDocument, training_set: TrainingSetDocument) -> None:
        """Refuse a parent whose weights cannot be gone on with."""
        before = nep_settings(parent.provenance.parameters.get("nep", {})).architecture()
        own = nep_settings(self.nep).architecture()
        differing = [f"{name} {before[name]}" for name in own if before[name] != own[name]]
        if set(parent.domain.elements) != set(training_set.domain.elements):
            differing.append(f"elements {', '.join(parent.domain.elements)}")
        if parent.teacher_sha256 != training_set.level_sha256:
            differing.append(f"teacher {parent.teacher}")
        sets = {training_set.identity, *training_set.provenance.parents}
        if parent.data_hash != training_set.content_hash and not sets & {
            *parent.provenance.parents
        }:
            differing.append("a training set that is not among these frames")
        if parent.architecture != "nep":
            differing.append(f"architecture {parent.architecture}")
        if differing:
            raise InputError(
                "a student cannot go on with the weights of this one",
                given=f"{parent.level} with {'; '.join(differing)}",
                allowed="the same elements, teacher and architecture, and frames that its own "
                "are among (`earlier` of a training set), so that none changes its split",
                remedy="name another parent, or train a student of its own",
            )
