"""The epochs of a fine-tuning: steps, validation, the best network so far, checkpoints."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from ..errors import CheckpointError, EngineError
from .checkpoint import Checkpoint
from .interrupts import stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .checkpoint import CheckpointFolder
    from .finetune_settings import FineTuneSettings
    from .interrupts import StopRequest
    from .learners import Learner

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


@dataclass
class Training:
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
        """Number of training frames."""
        return len(self.learner.frames["train"])

    @property
    def n_batches(self) -> int:
        """Steps of an epoch."""
        return -(-self.n_train // self.settings.batch)

    @property
    def n_steps(self) -> int:
        """Steps of all epochs."""
        return self.n_batches * self.settings.epochs

    @property
    def best_epoch(self) -> int:
        """The first of the lowest validation loss."""
        return min(self.history, key=lambda row: row.validation_loss).epoch

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or nothing got better for too long."""
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

    def _begin(self) -> None:
        saved = self.folder.newest()
        if saved is None:
            if self.settings.references == "refit":
                self.shift_ev = self.learner.refit_references()
            self._close_epoch(0, self.settings.learning_rate)
            return
        if saved.meta["hash"] != self.own:
            raise another_training(self.folder.paths()[-1].parent.parent)
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


def another_training(directory: Path) -> CheckpointError:
    """Return the error that `directory` belongs to another training."""
    return CheckpointError(
        "the directory holds another fine-tuning",
        given=str(directory),
        allowed="the same frames, parent and settings",
        remedy="give this one a directory of its own, or delete that one",
    )
