"""From a teacher's labels to a student: train, try in MD, label what was new, train again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..engines.assessment import errors_of, us_per_atom_step, weakest_repulsion_ev_a
from ..engines.domain import SELECT_GRADE, STOP_GRADE, NepDomain
from ..engines.durable import write_durably
from ..engines.labels import label_frames, write_labelled
from ..engines.nep_settings import NepSettings, nep_settings
from ..engines.nep_training import TrainedNep, train_nep
from ..engines.potentials import load_potential
from ..errors import InputError
from ..identity import file_sha256
from ..quantity import Status
from ..settings import get_settings
from ..stores.documents import FileReference
from ..stores.domain_report import ErrorTable
from ..stores.models import LearningRound, TrainedModelDocument, TrialRun
from ..stores.training import SPLITS
from .step import LevelMaker, StepContext, step_job
from .training_set import domain_of, read_set
from .trials import Tried, plan_trials, run_trial, select_new

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from ase import Atoms

    from ..engines.potentials import Potential
    from ..stores.training import TrainingSetDocument

_PARTS = 1000
_TRAIN_SHARE, _TRIAL_SHARE = 0.6, 0.3
WEIGHTS_ROLE, DOMAIN_ROLE = "weights", "domain"


@dataclass
class DistillMaker(LevelMaker):
    """Train a NEP student of a teacher, and go on until its own MD stays inside its domain.

    Attributes
    ----------
    level
        The teacher; the labels of the training set must be its own.
    nep
        Settings of the student, fields of :class:`~haloflow.engines.nep_settings.NepSettings`.
    refine_epochs, refine_learning_rate
        Of the trainings after the first, which start from the student before.
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
        Frames of each trial run whose forces the teacher checks.
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
    code_version: ClassVar[int] = 1
    not_physics: ClassVar[tuple[str, ...]] = ("name", "checkpoint_interval")

    def physics(self) -> dict[str, Any]:
        """Return what decides the student."""
        return super().physics() | {"nep": nep_settings(self.nep).physics()}

    @step_job()
    def make(
        self, training_set: TrainingSetDocument, parents: dict[str, str] | None = None
    ) -> TrainedModelDocument | dict[str, Any]:
        """Train a student on `training_set`.

        Raises
        ------
        InputError
            If the labels are not the teacher's.
        MissingDependencyError
            If torchnep or calorine is not installed.
        """
        known = parents or {"training_set": training_set.identity}
        return self.run_step(lambda context: self._distill(training_set, context), known)

    def _distill(
        self, training_set: TrainingSetDocument, context: StepContext
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
        learning = _Learning(self, training_set, teacher, context)
        return learning.run()


class _Learning:
    """The rounds of one student; everything in them goes on from its own folder."""

    def __init__(
        self,
        maker: DistillMaker,
        training_set: TrainingSetDocument,
        teacher: Potential,
        context: StepContext,
    ) -> None:
        self._maker, self._set, self._teacher = maker, training_set, teacher
        self._context = context
        self._frames: dict[str, list[Atoms]] = {
            split: read_set(training_set, context.files, split) for split in SPLITS
        }
        self._elements = tuple(training_set.domain.elements)
        self._progress = context.progress(_PARTS * maker.max_rounds)
        self._rounds: list[LearningRound] = []

    def run(self) -> TrainedModelDocument:
        """Train until the student's runs stay inside, and describe it."""
        student = None
        status, note = Status.OK, ""
        for number in range(self._maker.max_rounds):
            folder = self._context.directory / f"round-{number}"
            student = self._train(folder, number, student)
            domain = NepDomain.of_frames(student.path, self._frames["train"])
            tried = self._try(folder, number, student, domain)
            outside = self._outside(tried)
            last = number == self._maker.max_rounds - 1
            chosen = [[] for _ in tried] if not outside or last else self._choose(tried)
            new = self._label([f for some in chosen for f in some], folder / "new", number)
            self._note(student, tried, [len(some) for some in chosen], folder, len(new))
            if not outside:
                break
            if last or not new:
                status, note = Status.OUT_OF_DOMAIN, "; ".join(outside)
                break
            self._frames["train"] += new
        assert student is not None
        return self._document(student, domain, status, note)

    def _train(self, folder: Path, number: int, before: TrainedNep | None) -> TrainedNep:
        maker = self._maker
        settings: NepSettings = nep_settings(maker.nep)
        if before is not None:
            settings = replace(
                settings, epochs=maker.refine_epochs, learning_rate=maker.refine_learning_rate
            )
        files = {split: folder / f"{split}.xyz" for split in ("train", "validation")}
        for split, file in files.items():
            if not file.exists():
                write_labelled(file, self._frames[split])
        own = get_settings()
        return train_nep(
            self._elements,
            files["train"],
            files["validation"],
            folder / "training",
            settings,
            signature=f"{self._context.identity}/{number}",
            start_from=None if before is None else before.path,
            device=own.device,
            threads=own.threads_per_worker,
            on_progress=self._part(number, "train", 0.0, _TRAIN_SHARE),
            walltime_s=self._context.walltime_s,
        )

    def _try(
        self, folder: Path, number: int, student: TrainedNep, domain: NepDomain
    ) -> list[Tried]:
        maker = self._maker
        trials = plan_trials(
            *self._starts(),
            temperatures_k=maker.temperatures_k,
            density_scales=maker.density_scales,
            n_steps=maker.trial_steps,
            timestep_fs=maker.timestep_fs,
            seed=maker.seed + _PARTS * number,
        )
        calculator = load_potential(f"nep:{student.path}").calculator
        share = _TRIAL_SHARE / max(len(trials), 1)
        return [
            run_trial(
                trial,
                calculator,
                domain,
                folder / trial.name,
                signature=f"{self._context.identity}/{number}/{trial.name}",
                stop_grade=maker.stop_grade,
                on_progress=self._part(
                    number, f"round {number}: {trial.name}", _TRAIN_SHARE + index * share, share
                ),
                walltime_s=self._context.walltime_s,
            )
            for index, trial in enumerate(trials)
        ]

    def _starts(self) -> tuple[list[Atoms], list[Atoms], list[Atoms]]:
        """Return what trials start from.

        The coldest frame of a run of each formula, each crystal, and for each formula the two
        packings of middle density.
        """
        origin = {group.name: group.origin for group in self._set.groups}
        runs: dict[str, Atoms] = {}
        crystals: dict[str, Atoms] = {}
        packings: dict[str, list[Atoms]] = {}
        for frame in self._frames["train"]:
            name = frame.info["trajectory"]
            formula = domain_of([frame]).formulas[0]
            match origin.get(name):
                case "packing":
                    packings.setdefault(formula, []).append(frame)
                case "crystal":
                    crystals.setdefault(name, frame)
                case str():
                    if formula not in runs or _heat(frame) < _heat(runs[formula]):
                        runs[formula] = frame
        middle = [frame for packed in packings.values() for frame in _of_middle_density(packed)]
        return (
            [_bare(frame) for frame in runs.values()],
            [_bare(frame) for frame in crystals.values()],
            [_bare(frame) for frame in middle],
        )

    def _outside(self, tried: Sequence[Tried]) -> list[str]:
        """Say which runs left the domain."""
        maker = self._maker
        found = []
        for one in tried:
            share = one.share_above(maker.select_grade)
            if one.result.status is not Status.OK:
                found.append(f"{one.trial.name}: {one.result.note}")
            elif share > maker.accepted_share:
                found.append(
                    f"{one.trial.name}: {share:.1%} of frames above grade {maker.select_grade:g}"
                )
        return found

    def _choose(self, tried: Sequence[Tried]) -> list[list[Atoms]]:
        return select_new(
            tried,
            above=self._maker.select_grade,
            most=self._maker.most_new,
            known=self._frames["train"],
            least_distance=self._maker.least_distance,
        )

    def _label(self, frames: list[Atoms], folder: Path, number: int) -> list[Atoms]:
        """Let the teacher label `frames`, and drop those that nothing can be learned from.

        Forces are NaN where the teacher failed.
        """
        if not frames:
            return []
        labelled = label_frames(
            frames,
            self._teacher.calculator,
            folder,
            signature=f"{self._teacher.identity.level}/{self._teacher.identity.weights_sha256}",
            on_progress=self._part(
                number, f"round {number}: label", _TRAIN_SHARE + _TRIAL_SHARE, 0.05
            ),
            walltime_s=self._context.walltime_s,
        )
        limit = self._maker.max_force_ev_a
        for frame in labelled:
            frame.info["trajectory"] = f"round-{number}"
        return [f for f in labelled if np.linalg.norm(f.get_forces(), axis=1).max() <= limit]

    def _note(
        self,
        student: TrainedNep,
        tried: Sequence[Tried],
        n_selected: Sequence[int],
        folder: Path,
        n_new: int,
    ) -> None:
        number = len(self._rounds)
        calculator = load_potential(f"nep:{student.path}").calculator
        runs = []
        for one, selected in zip(tried, n_selected, strict=True):
            checked = self._checked(one, folder / f"check-{one.trial.name}", number)
            settings = one.trial.settings
            runs.append(
                TrialRun(
                    name=one.trial.name,
                    formula=domain_of(one.frames[:1]).formulas[0],
                    ensemble=settings.ensemble,
                    temperature_k=settings.temperature_k,
                    temperature_end_k=settings.temperature_end_k,
                    density_g_cm3=one.density_g_cm3,
                    n_steps=one.result.n_steps,
                    status=one.result.status,
                    note=one.result.note,
                    share_above=one.share_above(self._maker.select_grade),
                    largest_grade=float(max(one.grades)),
                    n_selected=selected,
                    teacher_errors=_table(calculator, checked) if checked else None,
                )
            )
        self._rounds.append(
            LearningRound(
                n_train=len(self._frames["train"]),
                epochs=student.epochs,
                best_epoch=student.best_epoch,
                rmse=student.rmse,
                runs=runs,
                n_new=n_new,
            )
        )

    def _checked(self, one: Tried, folder: Path, number: int) -> list[Atoms]:
        """Return frames of a run, evenly spread, with the teacher's labels."""
        n = self._maker.n_checked
        if not n:
            return []
        indices = np.unique(np.linspace(0, len(one.frames) - 1, n + 1)[1:].round()).astype(int)
        return self._label([one.frames[i] for i in indices.tolist()], folder, number)

    def _part(
        self, number: int, name: str, start: float, share: float
    ) -> Callable[[int, int], None]:
        """Return a reporter of one part of a round, whatever its units."""
        before = int(_PARTS * (number + start))

        def report(done: int, total: int) -> None:
            self._progress.write(name, before + int(_PARTS * share * done / max(total, 1)))

        return report

    def _document(
        self, student: TrainedNep, domain: NepDomain, status: Status, note: str
    ) -> TrainedModelDocument:
        context, maker = self._context, self._maker
        path = context.directory / f"{'-'.join(self._elements)}.nep.txt"
        write_durably(path, student.path.read_bytes())
        domain.model, domain.teacher = path, maker.level
        files = [(path, WEIGHTS_ROLE), (domain.save(), DOMAIN_ROLE)]
        potential = load_potential(f"nep:{path}")
        calculator = potential.calculator
        return TrainedModelDocument(
            identity=context.identity,
            status=status,
            note=note,
            provenance=self._maker.provenance(context),
            files=[*_references(files, context)],
            architecture="nep",
            level=potential.identity.level,
            weights_sha256=potential.identity.weights_sha256,
            teacher=self._set.level,
            teacher_sha256=self._set.level_sha256,
            data_hash=self._set.content_hash,
            errors={split: _table(calculator, found) for split, found in self._frames.items()},
            domain=domain_of(self._frames["train"]),
            select_grade=maker.select_grade,
            stop_grade=maker.stop_grade,
            rounds=self._rounds,
            repulsion_ev_a=weakest_repulsion_ev_a(calculator, self._elements),
            us_per_atom_step=us_per_atom_step(calculator, self._frames["test"][0]),
        )


def _heat(frame: Atoms) -> float:
    return float(frame.info.get("temperature_k", np.inf))


def _of_middle_density(packed: list[Atoms]) -> list[Atoms]:
    by_density = sorted(packed, key=lambda frame: len(frame) / float(frame.get_volume()))
    middle = len(by_density) // 2
    return by_density[max(0, middle - 1) : middle + 1]


def _bare(frame: Atoms) -> Atoms:
    bare = frame.copy()
    bare.calc = None
    return bare


def _table(calculator: object, frames: Sequence[Atoms]) -> ErrorTable:
    return ErrorTable(**asdict(errors_of(calculator, frames)))


def _references(files: Sequence[tuple[Path, str]], context: StepContext) -> Iterable[FileReference]:
    for file, role in files:
        yield FileReference(
            path=file.relative_to(context.files_dir).as_posix(),
            sha256=file_sha256(file),
            n_bytes=file.stat().st_size,
            role=role,
        )
