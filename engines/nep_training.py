"""Train a NEP student on labelled frames; killed at any moment, it goes on from a checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from ..errors import CheckpointError, EngineError, InputError, MissingDependencyError
from ..identity import canonical, content_hash, file_sha256
from .durable import sole_use, write_durably
from .interrupts import StopRequest, stopped
from .nep_settings import ZBL_FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .nep_settings import NepSettings

_LOOK_S: Final = 0.2
_TAIL_CHARACTERS: Final = 800
_GRACE_S: Final = 10.0
_COLUMNS: Final = (
    "loss", "train_energy_ev_per_atom", "train_force_ev_a", "train_virial_ev_per_atom",
    "train_stress_gpa", "validation_energy_ev_per_atom", "validation_force_ev_a",
    "validation_virial_ev_per_atom", "validation_stress_gpa",
)  # fmt: skip


@dataclass(frozen=True)
class TrainedNep:
    """A trained student.

    Attributes
    ----------
    path, sha256
        The ``nep.txt`` of the epoch with the lowest validation loss.
    epochs
        Epochs that ran.
    best_epoch
        The one that was taken.
    rmse
        Root mean square errors of that epoch, training and validation frames.
    wall_s
        Seconds of the call that ended the training.
    """

    path: Path
    sha256: str
    epochs: int
    best_epoch: int
    rmse: dict[str, float]
    wall_s: float


def train_nep(
    elements: tuple[str, ...],
    train_file: Path,
    validation_file: Path,
    directory: Path,
    settings: NepSettings,
    *,
    signature: str,
    start_from: Path | None = None,
    device: str = "cpu",
    threads: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
    walltime_s: float | None = None,
) -> TrainedNep:
    """Train a NEP for `elements`, or go on with a training that was stopped in `directory`.

    The epochs after a checkpoint are repeated with the same bits on the same machine and number
    of threads. SIGTERM, SIGINT and the walltime end the training's process; what was done since
    its last checkpoint, at most ``settings.checkpoint_epochs``, is lost.

    Parameters
    ----------
    elements
        Chemical symbols in the order of the file.
    train_file, validation_file
        Extended XYZ with energy, forces and stress. The validation frames choose the epoch and
        the learning rate, so they must be of other trajectories.
    directory
        Belongs to this training alone.
    settings
        Architecture and schedule.
    signature
        Identity of the training beside what the other arguments say.
    start_from
        A ``nep.txt`` of the same architecture to begin with instead of random weights.
    device, threads
        For torch.
    on_progress
        Called with the epochs done and asked for.
    walltime_s
        Seconds this call may take.

    Raises
    ------
    InputError
        If a file of frames is missing.
    MissingDependencyError
        If torchnep or torch is not installed.
    CheckpointError
        If the directory holds another training.
    InterruptedRunError
        If a signal or the walltime stopped it.
    EngineError
        If the training's process fails.
    """
    for package in ("torchnep", "torch"):
        if find_spec(package) is None:
            raise MissingDependencyError.of(package, "nep", "training a NEP")
    for file in (train_file, validation_file, *([start_from] if start_from else [])):
        if not file.is_file():
            raise InputError(
                "a file for the training of a NEP does not exist",
                given=str(file),
                remedy="make the training set first, or correct the path",
            )
    stop = StopRequest(walltime_s)
    with sole_use(directory), stop.trap_signals():
        physics = {
            "signature": signature,
            "settings": settings.physics(),
            "elements": elements,
            "frames": [file_sha256(train_file), file_sha256(validation_file)],
            "start_from": file_sha256(start_from) if start_from else None,
        }
        known = _claim(directory, physics)
        if known is not None:
            return _trained(directory, known)
        (directory / "nep.in").write_text(settings.nep_in(elements))
        (directory / ZBL_FILE).write_text(settings.zbl_in(elements))
        job = {
            "directory": str(directory), "train_file": str(train_file),
            "validation_file": str(validation_file), "seed": settings.seed, "device": device,
            "threads": threads, "checkpoint_epochs": settings.checkpoint_epochs,
            "start_from": str(start_from) if start_from else None, "parent_pid": os.getpid(),
        }  # fmt: skip
        write_durably(directory / "job.json", json.dumps(job).encode())
        _follow(directory, settings.epochs, stop, on_progress)
        result = {**_best(directory), "wall_s": stop.elapsed_s}
        result["sha256"] = file_sha256(directory / "nep_best.txt")
        write_durably(directory / "trained.json", json.dumps(result).encode())
    if stop.signalled is not None:
        raise stopped("a training", stop.signalled, settings.epochs, settings.epochs, "epochs")
    return _trained(directory, result)


def epochs_done(directory: Path) -> int:
    """Return the last epoch that the training in `directory` has logged."""
    rows = _loss_rows(directory)
    return rows[-1][0] if rows else 0


def _claim(directory: Path, physics: dict[str, Any]) -> dict[str, Any] | None:
    """Note what is trained in `directory`, and return the result where it is finished."""
    note, done = directory / "training.json", directory / "trained.json"
    own = content_hash(canonical(physics))
    if not note.exists():
        write_durably(note, json.dumps({"hash": own}).encode())
    elif json.loads(note.read_text())["hash"] != own:
        raise CheckpointError(
            "the directory holds the training of another student",
            given=str(directory),
            allowed="the same frames, elements, settings and start",
            remedy="give this training a directory of its own, or delete that one",
        )
    return json.loads(done.read_text()) if done.exists() else None


def _follow(
    directory: Path, epochs: int, stop: StopRequest, on_progress: Callable[[int, int], None] | None
) -> None:
    """Run the training's process to its end, or until there is a reason to stop."""
    command = [sys.executable, "-m", f"{__package__}.nep_process", str(directory / "job.json")]
    with (directory / "process.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (our own module)
            command, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
        )
        try:
            while process.poll() is None:
                reason = stop.reason()
                if reason is not None:
                    raise stopped("a training", reason, epochs_done(directory), epochs, "epochs")
                if on_progress is not None:
                    on_progress(epochs_done(directory), epochs)
                time.sleep(_LOOK_S)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_GRACE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    if process.returncode:
        tail = (directory / "process.log").read_text(errors="replace")[-_TAIL_CHARACTERS:].strip()
        raise EngineError(
            "the training of a NEP failed",
            given=f"exit code {process.returncode}: {' '.join(tail.split()) or 'no message'}",
            remedy=f"look at {directory / 'process.log'} and {directory / 'output.log'}; calling "
            "again goes on from the last checkpoint",
        )
    if on_progress is not None:
        on_progress(epochs_done(directory), epochs)


def _loss_rows(directory: Path) -> list[tuple[int, list[float]]]:
    """Read torchnep's ``loss.out``: epoch, loss, errors; a line being written is left out."""
    file = directory / "loss.out"
    rows = []
    for line in file.read_text().splitlines(keepends=True) if file.exists() else ():
        words = line.split()
        if line.endswith("\n") and words and words[0].isdigit():
            rows.append((int(words[0]), [float(word) for word in words[1:]]))
    return rows


def _best(directory: Path) -> dict[str, Any]:
    """Return the epoch that torchnep took: the first of the lowest validation loss."""
    rows = _loss_rows(directory)
    epoch, values = min(rows, key=lambda row: row[1][0])
    return {
        "epochs": rows[-1][0],
        "best_epoch": epoch,
        "rmse": dict(zip(_COLUMNS, values, strict=False)),
    }


def _trained(directory: Path, known: dict[str, Any]) -> TrainedNep:
    path = directory / "nep_best.txt"
    if not path.exists() or file_sha256(path) != known["sha256"]:
        raise CheckpointError(
            "the student of a finished training is missing or was changed",
            given=str(path),
            remedy="restore it from a backup, or delete the directory and train again",
        )
    return TrainedNep(path, **known)
