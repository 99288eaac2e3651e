"""Fine-tune a foundation potential on labelled frames; killed at any moment, it goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from ..errors import CheckpointError, InputError
from ..identity import canonical, content_hash, file_sha256
from .checkpoint import CheckpointFolder
from .durable import sole_use, write_durably
from .finetune_loop import Epoch, Training, another_training
from .interrupts import StopRequest
from .labels import read_labelled
from .mace_shape import MaceShape
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
ARCHITECTURES: Final[dict[str, Architecture]] = {"chgnet": "chgnet", "mace-torch": "mace"}
"""Package that evaluates a potential to the scheme of its files."""
_DIGITS: Final = 12


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
    parent: str | MaceShape,
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
        Name of a CHGNet or MACE without added dispersion, or the shape of a MACE that begins
        with random weights.
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
    architecture: Architecture = (
        "mace" if isinstance(parent, MaceShape) else architecture_of(parent)
    )
    stop = StopRequest(walltime_s)
    with sole_use(directory), stop.trap_signals():
        physics = {
            "signature": signature,
            "settings": settings.physics(),
            "parent": asdict(parent)
            if isinstance(parent, MaceShape)
            else identify(parent).as_parameters(),
            "frames": [file_sha256(file) for file in (train_file, validation_file)],
        }
        own = content_hash(canonical(physics))
        if (known := _finished(directory, own)) is not None:
            return known
        frames = {"train": read_labelled(train_file), "validation": read_labelled(validation_file)}
        require_labels(frames, stress=settings.weight_stress > 0)
        if isinstance(parent, str):
            elements = {s for part in frames.values() for f in part for s in f.symbols}
            require_coverage(identify(parent), elements)
        set_threads(threads, architecture)
        start = directory / f"start-{own[:_DIGITS]}.mace"
        learner = _learner(parent, settings, frames, device, start)
        training = Training(learner, settings, CheckpointFolder(directory / "checkpoints"), own)
        training.run(stop, on_progress)
        return _finish(training, directory, architecture)


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
    parent: str | MaceShape,
    settings: FineTuneSettings,
    frames: Mapping[str, Sequence[Atoms]],
    device: str,
    start: Path,
) -> Learner:
    if isinstance(parent, str) and architecture_of(parent) == "chgnet":
        from .finetune_chgnet import ChgnetLearner  # noqa: PLC0415  (imports torch)

        return ChgnetLearner(find_recipe(parent).weights.obtain(), settings, frames, device)
    from .finetune_mace import (  # noqa: PLC0415  (imports torch)
        MaceLearner,
        foundation,
        new_mace,
        starting_model,
    )

    def make() -> object:
        if isinstance(parent, MaceShape):
            return new_mace(parent, frames["train"])
        recipe = find_recipe(parent)
        return foundation(recipe.weights.obtain(), dict(recipe.settings))

    return MaceLearner(starting_model(start, make), settings, frames, device)


def _finish(training: Training, directory: Path, architecture: Architecture) -> FineTuned:
    """Write the best network and what came of the training."""
    path = directory / f"best.{architecture}"
    write_durably(path, training.best)
    result = {
        "sha256": file_sha256(path),
        "architecture": architecture,
        "best_epoch": training.best_epoch,
        "reference_shift_ev": training.shift_ev,
        "n_free": training.learner.n_free,
        "history": [asdict(row) for row in training.history],
    }
    known = {"hash": training.own, "file": path.name, "result": result}
    write_durably(directory / "trained.json", json.dumps(known).encode())
    found = _finished(directory, training.own)
    assert found is not None
    return found


def _finished(directory: Path, own: str) -> FineTuned | None:
    """Return what a finished training in `directory` gave; ``None`` where none is."""
    note = directory / "trained.json"
    if not note.exists():
        return None
    known: dict[str, Any] = json.loads(note.read_text())
    if known["hash"] != own:
        raise another_training(directory)
    result, path = known["result"], directory / known["file"]
    if not path.exists() or file_sha256(path) != result["sha256"]:
        raise CheckpointError(
            "the network of a finished fine-tuning is missing or was changed",
            given=str(path),
            remedy="restore it from a backup, or delete the directory and train again",
        )
    history = [Epoch(**row) for row in result.pop("history")]
    return FineTuned(path=path, history=history, **result)
