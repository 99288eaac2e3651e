"""From labelled frames to a fine-tuned foundation potential, with its table of errors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from ..engines.assessment import compare, us_per_atom_step, weakest_repulsion_ev_a
from ..engines.domain import SELECT_GRADE, STOP_GRADE
from ..engines.durable import write_durably
from ..engines.feature_domain import FeatureDomain
from ..engines.finetune import FineTuned, architecture_of, fine_tune
from ..engines.finetune_settings import finetune_settings
from ..engines.labels import write_labelled
from ..engines.mace_shape import MaceShape, mace_shape
from ..engines.potentials import identify, level_of, load_potential, require_coverage
from ..engines.trained_models import digits_of, held_model
from ..errors import InputError
from ..identity import content_hash
from ..quantity import Status, worst
from ..settings import get_settings
from ..stores.domain_report import ErrorTable
from ..stores.fine_tuning import (
    PARITY_ROLE,
    FineTuning,
    ParityPoints,
    TemperatureErrors,
    TrainingEpoch,
)
from ..stores.models import DOMAIN_ROLE, WEIGHTS_ROLE, TrainedModelDocument
from ..stores.training import SPLITS
from .learned import WITHOUT_TEMPERATURE
from .model_verdict import model_verdict
from .parity import parity_file, parity_points
from .references import reference_to
from .step import StepContext, StepMaker, step_job
from .training_set import domain_of, read_set, require_one_level

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ase import Atoms

    from ..engines.assessment import Comparison
    from ..engines.finetune import Architecture
    from ..stores.training import Split, TrainingSetDocument

ENDINGS: Final = {"chgnet": "chgnet.pth", "mace": "mace.model"}
_PARTS = 1000
_DIGITS = 12
_TRAIN_SHARE = 0.9
_TEMPERATURE_STEP_K = 100.0
_NOT_SAID = "its parent does not say what it was trained on: test frames may be among that"


@dataclass
class FineTuneMaker(StepMaker):
    """Fine-tune a foundation potential on the labels of a training set.

    Attributes
    ----------
    parent
        CHGNet or MACE to begin with: a name of `haloflow potentials`, or a file. Dispersion is
        learned from the labels, so the parent comes without any.
    training
        Fields of :class:`~haloflow.engines.finetune_settings.FineTuneSettings`.
    mace
        Fields of :class:`~haloflow.engines.mace_shape.MaceShape`: begin with a small MACE of
        random weights instead of `parent`.
    formulas
        Reduced formulas to learn from, e.g. one composition of a family; empty for all.
    """

    name: str = "fine_tune"
    parent: str = "chgnet-r2scan"
    training: dict[str, Any] = field(default_factory=dict)
    mace: dict[str, Any] | None = None
    formulas: tuple[str, ...] = ()

    kind: ClassVar[str] = "trained_model"
    code_version: ClassVar[int] = 1

    @property
    def levels(self) -> tuple[str, ...]:
        """The level that it begins with; none for random weights."""
        return () if self.mace is not None else (self.parent,)

    def physics(self) -> dict[str, Any]:
        """Return what decides the model."""
        begins: dict[str, Any] = (
            {"parent": level_of(self.parent)}
            if self.mace is None
            else {"mace": asdict(mace_shape(self.mace))}
        )
        if self.mace is None and digits_of(self.parent) is not None:
            begins["splits"] = "of the parent"
        return {
            "fine_tuning": finetune_settings(self.training).physics(),
            "formulas": sorted(self.formulas),
            **begins,
        }

    @property
    def _begins_with(self) -> str | MaceShape:
        return self.parent if self.mace is None else mace_shape(self.mace)

    @property
    def _architecture(self) -> Architecture:
        return "mace" if self.mace is not None else architecture_of(self.parent)

    @step_job()
    def make(
        self,
        training_set: TrainingSetDocument | list[TrainingSetDocument],
        parents: dict[str, str] | None = None,
    ) -> TrainedModelDocument | dict[str, Any]:
        """Fine-tune on one training set, or on several of one level.

        Raises
        ------
        InputError
            If the sets are of different levels, a split is empty, labels are missing, or the
            parent cannot be fine-tuned.
        CoverageError
            If the parent does not know an element of the frames.
        """
        sets = training_set if isinstance(training_set, list) else [training_set]
        known = parents or {f"set{i}": one.identity for i, one in enumerate(sets)}
        return self.run_step(lambda context: self._fine_tune(sets, context), known)

    def _fine_tune(
        self, sets: Sequence[TrainingSetDocument], context: StepContext
    ) -> TrainedModelDocument:
        first = sets[0]
        require_one_level(
            [(one.level, one.level_sha256) for one in sets], (first.level, first.level_sha256)
        )
        architecture = self._architecture
        frames = self._frames(sets, context)
        elements = sorted({s for part in frames.values() for f in part for s in f.symbols})
        for level in self.levels:
            require_coverage(identify(level), elements)
        trained = self._train(sets, frames, context)
        path = context.directory / f"{'-'.join(elements)}.{ENDINGS[architecture]}"
        write_durably(path, trained.path.read_bytes())
        return self._document(sets, frames, trained, path, context)

    def _frames(
        self, sets: Sequence[TrainingSetDocument], context: StepContext
    ) -> dict[str, list[Atoms]]:
        """Return the frames of each split; a trajectory of several sets counts once.

        What the parent has seen stays in the split that it saw it in.
        """
        found: dict[str, list[Atoms]] = {split: [] for split in SPLITS}
        before = self._splits_before() or {}
        seen: set[str] = set()
        for one in sets:
            new = {g.name for g in one.groups if self._is_asked(g.formula)} - seen
            for split in SPLITS:
                for frame in read_set(one, context.files, split):
                    if (name := frame.info["trajectory"]) in new:
                        found[before.get(name, split)].append(frame)
            seen |= new
        if empty := [split for split in SPLITS if not found[split]]:
            raise InputError(
                f"a fine-tuning has no frames of {' and '.join(empty)}",
                given=f"{sum(map(len, found.values()))} frames of "
                + (", ".join(self.formulas) or "all formulas"),
                allowed="frames of training, validation and test, each of other trajectories",
                remedy="add runs of other seeds or temperatures to the training set",
            )
        return found

    def _splits_before(self) -> dict[str, Split] | None:
        """Return the splits of the parent's trajectories; ``None`` where it does not say them.

        A foundation model has seen none.
        """
        if self.mace is not None:
            return {}
        model = held_model(identify(self.parent).weights_sha256)
        if model is None:
            return {}
        return TrainedModelDocument.model_validate(model.document()).splits or None

    def _is_asked(self, formula: str) -> bool:
        return not self.formulas or formula in self.formulas

    def _train(
        self,
        sets: Sequence[TrainingSetDocument],
        frames: dict[str, list[Atoms]],
        context: StepContext,
    ) -> FineTuned:
        files = {split: context.directory / f"{split}.xyz" for split in ("train", "validation")}
        for split, file in files.items():
            write_labelled(file, frames[split])
        progress = context.progress(_PARTS)
        own = get_settings()
        name = "training"
        if any(one.sample_hash for one in sets):  # a set that may be gathered again, of more labels
            name += f"-{data_hash_of(sets)[:_DIGITS]}"
        return fine_tune(
            self._begins_with,
            files["train"],
            files["validation"],
            context.directory / name,
            finetune_settings(self.training),
            signature=context.identity,
            device=own.device,
            threads=own.threads_per_worker,
            on_progress=lambda done, total: progress.write(
                "train", int(_PARTS * _TRAIN_SHARE * done / total)
            ),
            walltime_s=context.walltime_s,
        )

    def _document(
        self,
        sets: Sequence[TrainingSetDocument],
        frames: dict[str, list[Atoms]],
        trained: FineTuned,
        path: Path,
        context: StepContext,
    ) -> TrainedModelDocument:
        own = get_settings()
        name = f"{trained.architecture}:{path}"
        model = load_potential(name, device=own.device, threads=own.threads_per_worker)
        compared = {split: compare(model.calculator, part) for split, part in frames.items()}
        tables: dict[str, list[TemperatureErrors]] = {
            split: by_temperature(frames[split], compared[split]) for split in SPLITS
        }
        domain = FeatureDomain.of_frames(
            path, model.calculator, frames["train"], teacher=sets[0].level
        )
        parity = parity_file(compared, context.directory / "parity.npz")
        errors = {split: table_of(one) for split, one in compared.items()}
        training = self._training_document(
            trained,
            self._errors_before(trained, frames["test"], context),
            tables,
            {split: parity_points(one) for split, one in compared.items()},
        )
        status, note = model_verdict(errors, training)
        before = self._splits_before()
        if before is None:
            status = worst(status, Status.UNCONVERGED)
            note = "; ".join(filter(None, [note, _NOT_SAID]))
        return TrainedModelDocument(
            identity=context.identity,
            status=status,
            note=note,
            provenance=self.provenance(context),
            files=[
                reference_to(path, WEIGHTS_ROLE, context),
                reference_to(domain.save(), DOMAIN_ROLE, context),
                reference_to(parity, PARITY_ROLE, context),
            ],
            architecture=trained.architecture,
            level=model.identity.level,
            weights_sha256=model.identity.weights_sha256,
            teacher=sets[0].level,
            teacher_sha256=sets[0].level_sha256,
            data_hash=data_hash_of(sets),
            parent=identify(self.parent).weights_sha256 if self.mace is None else None,
            splits=(before or {})
            | {f.info["trajectory"]: split for split in SPLITS for f in frames[split]},
            errors=errors,
            errors_by_temperature={_at(row.temperature_k): row.errors for row in tables["test"]},
            domain=domain_of(frames["train"]),
            select_grade=SELECT_GRADE,
            stop_grade=STOP_GRADE,
            fine_tuning=training,
            repulsion_ev_a=weakest_repulsion_ev_a(
                model.calculator, sorted({s for f in frames["train"] for s in f.symbols})
            ),
            us_per_atom_step=us_per_atom_step(
                load_potential(name, threads=own.threads_per_worker).calculator, frames["test"][0]
            ),  # on a processor, whatever it was trained on: models are ranked by it
        )

    def _training_document(
        self,
        trained: FineTuned,
        parent_errors: ErrorTable | None,
        errors_at: dict[str, list[TemperatureErrors]],
        parity: dict[str, ParityPoints],
    ) -> FineTuning:
        settings = finetune_settings(self.training)
        return FineTuning(
            parent_level=level_of(self.parent) if self.mace is None else None,
            shape=None if self.mace is None else asdict(mace_shape(self.mace)),
            settings=asdict(settings),
            n_parameters_trained=trained.n_free,
            reference_shift_ev=trained.reference_shift_ev,
            best_epoch=trained.best_epoch,
            stopped_early=trained.history[-1].epoch < settings.epochs,
            history=[TrainingEpoch(**asdict(row)) for row in trained.history],
            parent_errors=parent_errors,
            parity=parity,
            errors_at=errors_at,
        )

    def _errors_before(
        self, trained: FineTuned, test: list[Atoms], context: StepContext
    ) -> ErrorTable | None:
        """Return the errors of what it began with; ``None`` for random weights."""
        if self.mace is not None:
            return None
        parent = context.load(self.parent)
        return table_of(compare(parent.calculator, test).shifted(trained.reference_shift_ev))


def data_hash_of(sets: Sequence[TrainingSetDocument]) -> str:
    """Return the content hash of a training set, or of several together."""
    hashes = [one.content_hash for one in sets]
    return hashes[0] if len(hashes) == 1 else content_hash(hashes)


def by_temperature(frames: Sequence[Atoms], compared: Comparison) -> list[TemperatureErrors]:
    """Return the errors at each temperature, to the nearest hundred, frames at rest last."""
    kelvin = np.array([float(frame.info.get("temperature_k", np.nan)) for frame in frames])
    rounded = np.round(kelvin / _TEMPERATURE_STEP_K) * _TEMPERATURE_STEP_K
    found = []
    for value in np.unique(rounded):
        alike = np.isnan(rounded) if np.isnan(value) else rounded == value
        errors = table_of(compared.of_frames(np.flatnonzero(alike).tolist()))
        temperature = None if np.isnan(value) else float(value)
        found.append(TemperatureErrors(temperature_k=temperature, errors=errors))
    return found


def _at(temperature_k: float | None) -> str:
    return WITHOUT_TEMPERATURE if temperature_k is None else f"{temperature_k:g} K"


def table_of(compared: Comparison) -> ErrorTable:
    """Return the errors over all frames of a comparison."""
    return ErrorTable(**asdict(compared.errors()))
