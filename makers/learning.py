"""The rounds of a student: trained, tried in MD, shown what was new to it, and trained again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..engines.assessment import us_per_atom_step, weakest_repulsion_ev_a
from ..engines.domain import NepDomain
from ..engines.durable import write_durably
from ..engines.labels import label_frames, read_labelled, write_labelled
from ..engines.nep_settings import NepSettings, nep_settings
from ..engines.nep_training import TrainedNep, train_nep
from ..engines.potentials import load_potential
from ..quantity import Status
from ..settings import get_settings
from ..stores.models import (
    DOMAIN_ROLE,
    LEARNED_ROLE,
    WEIGHTS_ROLE,
    LearningRound,
    TrainedModelDocument,
)
from ..stores.training import SPLITS
from .learned import (
    error_table,
    errors_by_temperature,
    round_document,
    trial_document,
)
from .references import reference_to
from .trained_models import bring_model
from .training_set import domain_of, read_set
from .trials import Tried, plan_trials, run_trial, select_new, trial_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms

    from ..engines.potentials import Potential
    from ..stores.training import TrainingSetDocument
    from .distill import DistillMaker
    from .step import StepContext

_PARTS = 1000
_TRAIN_SHARE, _TRIAL_SHARE = 0.6, 0.3


class Learning:
    """The rounds of one student; everything in them goes on from its own folder."""

    def __init__(
        self,
        maker: DistillMaker,
        training_set: TrainingSetDocument,
        teacher: Potential,
        context: StepContext,
        parent: TrainedModelDocument | None = None,
    ) -> None:
        self._maker, self._set, self._teacher = maker, training_set, teacher
        self._parent = parent
        self._learned: list[Atoms] = []
        self._context = context
        self._frames: dict[str, list[Atoms]] = {
            split: read_set(training_set, context.files, split) for split in SPLITS
        }
        self._elements = tuple(training_set.domain.elements)
        self._progress = context.progress(_PARTS * maker.max_rounds)
        self._rounds: list[LearningRound] = []
        if parent is not None:
            self._learned = _learned_frames(parent, context)
            self._frames["train"] += self._learned

    def run(self) -> TrainedModelDocument:
        """Train until the student's runs stay inside, and describe it."""
        student = None
        before = None
        if self._parent is not None:
            before = bring_model(self._parent, self._context.files).path(WEIGHTS_ROLE)
        status, note = Status.OK, ""
        for number in range(self._maker.max_rounds):
            folder = self._context.directory / f"round-{number}"
            student = self._train(folder, number, before)
            before = student.path
            domain = NepDomain.of_frames(student.path, self._frames["train"])
            tried = self._try(folder, number, student, domain)
            outside = self._outside(tried)
            last = number == self._maker.max_rounds - 1
            chosen = [[] for _ in tried] if not outside or last else self._choose(tried)
            new = self._label([f for some in chosen for f in some], folder / "new", number)
            checked = [self._checked(t, folder / f"check-{t.trial.name}", number) for t in tried]
            if outside and not last:
                new += [frame for some in checked for frame in some]
            self._note(student, tried, [len(some) for some in chosen], checked, len(new))
            if not outside:
                note = "; ".join(f"{t.trial.name}: it boils" for t in tried if t.boiled)
                break
            if last or not new:
                status, note = Status.OUT_OF_DOMAIN, "; ".join(outside)
                break
            self._frames["train"] += new
            self._learned += new
        assert student is not None
        return self._document(student, domain, status, note)

    def _train(self, folder: Path, number: int, before: Path | None) -> TrainedNep:
        maker = self._maker
        settings: NepSettings = nep_settings(maker.nep)
        if before is not None:
            settings = replace(
                settings,
                epochs=maker.refine_epochs,
                learning_rate=maker.refine_learning_rate,
                weight_energy=maker.refine_weight_energy,
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
            start_from=before,
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
            *trial_starts(self._frames["train"], self._set.groups),
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

    def _outside(self, tried: Sequence[Tried]) -> list[str]:
        """Say which runs left the domain; to boil inside of it is no fault of the student."""
        maker = self._maker
        found = []
        for one in tried:
            share = one.share_above(maker.select_grade)
            if one.result.status is not Status.OK and not one.boiled:
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
        checked: Sequence[list[Atoms]],
        n_new: int,
    ) -> None:
        calculator = load_potential(f"nep:{student.path}").calculator
        runs = []
        for one, selected, frames in zip(tried, n_selected, checked, strict=True):
            errors = error_table(calculator, frames) if frames else None
            runs.append(trial_document(one, self._maker.select_grade, selected, errors))
        n_train = len(self._frames["train"])
        self._rounds.append(round_document(student, runs, n_train=n_train, n_new=n_new))

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
        if self._learned:
            learned = context.directory / "learned.xyz"
            write_labelled(learned, self._learned)
            files.append((learned, LEARNED_ROLE))
        potential = load_potential(f"nep:{path}")
        calculator = potential.calculator
        return TrainedModelDocument(
            identity=context.identity,
            status=status,
            note=note,
            provenance=self._maker.provenance(context),
            files=[reference_to(file, role, context) for file, role in files],
            architecture="nep",
            level=potential.identity.level,
            weights_sha256=potential.identity.weights_sha256,
            teacher=self._set.level,
            teacher_sha256=self._set.level_sha256,
            data_hash=self._set.content_hash,
            parent=None if self._parent is None else self._parent.weights_sha256,
            errors={split: error_table(calculator, found) for split, found in self._frames.items()},
            errors_by_temperature=errors_by_temperature(calculator, self._frames["test"]),
            domain=domain_of(self._frames["train"]),
            select_grade=maker.select_grade,
            stop_grade=maker.stop_grade,
            rounds=self._rounds,
            repulsion_ev_a=weakest_repulsion_ev_a(calculator, self._elements),
            us_per_atom_step=us_per_atom_step(calculator, self._frames["test"][0]),
        )


def _learned_frames(parent: TrainedModelDocument, context: StepContext) -> list[Atoms]:
    """Return the frames that a student's runs had added to its training set."""
    files = [file for file in parent.files if file.role == LEARNED_ROLE]
    return [
        frame for file in files for frame in read_labelled(context.files.local(file), file.sha256)
    ]
