"""Fine-tune a foundation potential on labelled frames; killed at any moment, it goes on."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from ..errors import CheckpointError, EngineError, InputError
from ..identity import canonical, content_hash, file_sha256
from .checkpoint import Checkpoint, CheckpointFolder
from .durable import sole_use, write_durably
from .interrupts import StopRequest, stopped
from .labels import read_labelled
from .potential_loaders import set_threads
from .potential_registry import find_recipe
from .potentials import identify, require_coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ase import Atoms

    from .finetune_settings import FineTuneSettings
    from .learners import Learner

Architecture = Literal["chgnet", "mace"]
ARCHITECTURES: Final[dict[str, Architecture]] = {"chgnet": "chgnet"}
"""Package that evaluates a potential to the scheme of its files."""
_SAVE_S: Final = 300.0


@dataclass(frozen=True)
class Epoch:
    """One row of a training's history; epoch 0 is the network before it, references refitted.

    Attributes
    ----------
    train_loss
        Mean over the epoch, while the network changed.
    validation_loss, energy_mev_per_atom, force_mev_a, stress_gpa
        Loss and mean absolute errors on the validation frames after the epoch.
    """

    epoch: int
    learning_rate: float
    train_loss: float | None
    validation_loss: float
    energy_mev_per_atom: float
    force_mev_a: float
    stress_gpa: float | None


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned network.

    Attributes
    ----------
    path, sha256
        File of the epoch with the lowest validation loss.
    architecture
        Scheme by which the file is a potential.
    best_epoch
        The epoch that was taken; 0 where nothing was better than the start.
    reference_shift_ev
        By element, added to the reference energies before the first step.
    n_free
        Parameters that were trained.
    history
        One row per epoch.
    """

    path: Path
    sha256: str
    architecture: Architecture
    best_epoch: int
    reference_shift_ev: dict[str, float]
    n_free: int
    history: list[Epoch]


def fine_tune(
    parent: str,
    train_file: Path,
    validation_file: Path,
    directory: Path,
    settings: FineTuneSettings,
    *,
    signature: str,
    device: str = "cpu",
    threads: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
    walltime_s: float | None = None,
) -> FineTuned:
    """Fine-tune the potential `parent`, or go on with what was stopped in `directory`.

    On a processor, what comes after a checkpoint is repeated with the same bits on the same
    machine and number of threads; a GPU adds in no fixed order.

    Parameters
    ----------
    parent
        Name of a CHGNet or MACE without added dispersion.
    train_file, validation_file
        Extended XYZ with energy, forces and stress. The validation frames choose the epoch, so
        they must be of other trajectories.
    directory
        Belongs to this training alone.
    settings
        Schedule and loss.
    signature
        Identity of the training beside what the other arguments say.
    device, threads
        For torch.
    on_progress
        Called with the batches done and asked for.
    walltime_s
        Seconds this call may take.

    Raises
    ------
    InputError
        If the parent cannot be fine-tuned, a split is empty, or labels are missing.
    CoverageError
        If the parent does not know an element.
    CheckpointError
        If the directory holds another training, or only damaged checkpoints.
    InterruptedRunError
        If a signal or the walltime stopped it.
    EngineError
        If the loss is not finite any more.
    """
    architecture = architecture_of(parent)
    stop = StopRequest(walltime_s)
    with sole_use(directory), stop.trap_signals():
        physics = {
            "signature": signature,
            "settings": settings.physics(),
            "parent": identify(parent).as_parameters(),
            "frames": [file_sha256(file) for file in (train_file, validation_file)],
        }
        own = content_hash(canonical(physics))
        if (known := _finished(directory, own)) is not None:
            return known
        frames = {"train": read_labelled(train_file), "validation": read_labelled(validation_file)}
        require_labels(frames, stress=settings.weight_stress > 0)
        elements = sorted({s for part in frames.values() for f in part for s in f.symbols})
        require_coverage(identify(parent), elements)
        set_threads(threads, find_recipe(parent).extra)
        learner = _learner(architecture, parent, settings, frames, device)
        training = _Training(learner, settings, CheckpointFolder(directory / "checkpoints"), own)
        training.run(stop, on_progress)
        return training.finish(directory, architecture)


def architecture_of(parent: str) -> Architecture:
    """Return the scheme of the files that a fine-tuning of `parent` gives.

    Raises
    ------
    InputError
        If it cannot be fine-tuned.
    """
    recipe = find_recipe(parent)
    if recipe.package not in ARCHITECTURES or recipe.dispersion is not None:
        raise InputError(
            "a potential cannot be fine-tuned",
            given=parent,
            allowed=f"networks of {', '.join(ARCHITECTURES)}, without dispersion added to them",
            remedy="name the network alone, e.g. chgnet-r2scan; it learns the dispersion that its "
            "labels hold",
        )
    return ARCHITECTURES[recipe.package]


def require_labels(frames: Mapping[str, Sequence[Atoms]], *, stress: bool) -> None:
    """Refuse frames that nothing can be learned from.

    Raises
    ------
    InputError
        Naming the split, and the frame.
    """
    needed = ["energy", "forces", *(["stress"] if stress else [])]
    for split, part in frames.items():
        if not part:
            raise InputError(
                f"a fine-tuning has no frames of {split}",
                given=f"an empty file for {split}",
                remedy="add trajectories to the training set: whole ones go to each split",
            )
        for index, frame in enumerate(part):
            labels = {} if frame.calc is None else frame.calc.results
            bad = [n for n in needed if n not in labels or not np.isfinite(labels[n]).all()]
            if bad:
                raise InputError(
                    "a frame lacks labels that a fine-tuning learns",
                    given=f"frame {index} of {split} without a finite {', '.join(bad)}",
                    allowed=f"{', '.join(needed)} of every frame",
                    remedy="label the frames by a level that computes them"
                    + ("; or set weight_stress: 0" if bad == ["stress"] else ""),
                )


def _learner(
    architecture: Architecture,
    parent: str,
    settings: FineTuneSettings,
    frames: Mapping[str, Sequence[Atoms]],
    device: str,
) -> Learner:
    weights = find_recipe(parent).weights.obtain()
    from .finetune_chgnet import ChgnetLearner  # noqa: PLC0415  (imports torch)

    return {"chgnet": ChgnetLearner}[architecture](weights, settings, frames, device)


@dataclass
class _Training:
    """The steps of one training, from its newest checkpoint on."""

    learner: Learner
    settings: FineTuneSettings
    folder: CheckpointFolder
    own: str
    step: int = 0
    loss_sum: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best: bytes = b""
    shift_ev: dict[str, float] = field(default_factory=dict)
    saved_at: float = field(default_factory=time.monotonic)

    @property
    def n_train(self) -> int:
        return len(self.learner.frames["train"])

    @property
    def n_batches(self) -> int:
        return -(-self.n_train // self.settings.batch)

    @property
    def n_steps(self) -> int:
        return self.n_batches * self.settings.epochs

    @property
    def best_epoch(self) -> int:
        return min(self.history, key=lambda row: row.validation_loss).epoch

    @property
    def is_over(self) -> bool:
        last = self.history[-1].epoch
        return self.step >= self.n_steps or last - self.best_epoch >= self.settings.patience

    def run(self, stop: StopRequest, on_progress: Callable[[int, int], None] | None) -> None:
        """Train to the end, or until there is a reason to stop."""
        self._begin()
        while not self.is_over:
            if (reason := stop.reason()) is not None:
                self._save()
                raise stopped("a fine-tuning", reason, self.step, self.n_steps, "batches")
            self._advance()
            if on_progress is not None:
                on_progress(self.step, self.n_steps)

    def finish(self, directory: Path, architecture: Architecture) -> FineTuned:
        """Write the best network and what came of the training."""
        path = directory / f"best.{architecture}"
        write_durably(path, self.best)
        result = {
            "sha256": file_sha256(path),
            "architecture": architecture,
            "best_epoch": self.best_epoch,
            "reference_shift_ev": self.shift_ev,
            "n_free": self.learner.n_free,
            "history": [asdict(row) for row in self.history],
        }
        known = {"hash": self.own, "file": path.name, "result": result}
        write_durably(directory / "trained.json", json.dumps(known).encode())
        found = _finished(directory, self.own)
        assert found is not None
        return found

    def _begin(self) -> None:
        saved = self.folder.newest()
        if saved is None:
            if self.settings.references == "refit":
                self.shift_ev = self.learner.refit_references()
            self._close_epoch(0, self.settings.learning_rate)
            return
        if saved.meta["hash"] != self.own:
            raise _another(self.folder.paths()[-1].parent.parent)
        self.step, self.loss_sum = saved.step, saved.meta["loss_sum"]
        self.shift_ev = saved.meta["reference_shift_ev"]
        self.history = [Epoch(**row) for row in saved.meta["history"]]
        self.best = saved.arrays["best"].tobytes()
        self.learner.restore(saved.arrays["state"].tobytes())

    def _advance(self) -> None:
        """Train on one batch, and close the epoch after its last one."""
        epoch, position = divmod(self.step, self.n_batches)
        rng = np.random.default_rng([self.settings.seed, epoch])
        order = rng.permutation(self.n_train)
        chosen = order[position * self.settings.batch : (position + 1) * self.settings.batch]
        rate = self.settings.rate(self.step, self.n_steps)
        loss = self.learner.step(chosen.tolist(), rate)
        _require_finite(loss, f"epoch {epoch + 1}, batch {position + 1}")
        self.step += 1
        self.loss_sum += loss * len(chosen)
        if position + 1 == self.n_batches:
            self._close_epoch(epoch + 1, rate)
        elif time.monotonic() - self.saved_at > _SAVE_S:
            self._save()

    def _close_epoch(self, epoch: int, rate: float) -> None:
        score = self.learner.score()
        _require_finite(score.loss, f"validation after epoch {epoch}")
        row = Epoch(
            epoch=epoch,
            learning_rate=rate,
            train_loss=self.loss_sum / self.n_train if epoch else None,
            validation_loss=score.loss,
            energy_mev_per_atom=1e3 * score.energy_ev_per_atom,
            force_mev_a=1e3 * score.force_ev_a,
            stress_gpa=score.stress_gpa,
        )
        self.history.append(row)
        self.loss_sum = 0.0
        if self.best_epoch == epoch:
            self.best = self.learner.weights()
        if epoch % self.settings.checkpoint_epochs == 0 or self.is_over:
            self._save()

    def _save(self) -> None:
        meta = {
            "hash": self.own,
            "loss_sum": self.loss_sum,
            "reference_shift_ev": self.shift_ev,
            "history": [asdict(row) for row in self.history],
        }
        arrays = {"state": self.learner.state(), "best": self.best}
        packed = {name: np.frombuffer(data, dtype=np.uint8) for name, data in arrays.items()}
        self.folder.save(Checkpoint(self.step, meta, packed))
        self.saved_at = time.monotonic()


def _require_finite(loss: float, where: str) -> None:
    if not np.isfinite(loss):
        raise EngineError(
            "a fine-tuning has lost its way: the loss is not finite",
            given=where,
            remedy="lower learning_rate, or leave out frames with large forces",
        )


def _another(directory: Path) -> CheckpointError:
    return CheckpointError(
        "the directory holds another fine-tuning",
        given=str(directory),
        allowed="the same frames, parent and settings",
        remedy="give this one a directory of its own, or delete that one",
    )


def _finished(directory: Path, own: str) -> FineTuned | None:
    """Return what a finished training in `directory` gave; ``None`` where none is."""
    note = directory / "trained.json"
    if not note.exists():
        return None
    known: dict[str, Any] = json.loads(note.read_text())
    if known["hash"] != own:
        raise _another(directory)
    result, path = known["result"], directory / known["file"]
    if not path.exists() or file_sha256(path) != result["sha256"]:
        raise CheckpointError(
            "the network of a finished fine-tuning is missing or was changed",
            given=str(path),
            remedy="restore it from a backup, or delete the directory and train again",
        )
    history = [Epoch(**row) for row in result.pop("history")]
    return FineTuned(path=path, history=history, **result)
