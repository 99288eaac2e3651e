"""Frames with energy, forces and stress of a level: computed resumably, kept in checked files."""

from __future__ import annotations

import hashlib
import io
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from ..errors import CheckpointError, EngineError, InputError, TrajectoryError
from .checkpoint import Checkpoint, CheckpointFolder
from .durable import sole_use, write_durably
from .evaluator import forget_history
from .interrupts import StopRequest, stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms

_log = logging.getLogger(__name__)
_CHECKPOINT_FRAMES: Final = 5
_CHECKPOINT_S: Final = 60.0
"""A frame of DFT is not lost with the four before it."""
_NEEDED: Final = ("energy", "forces", "stress")
SIDECAR: Final = ".sha256"
_NO_MEMORY: Final = ("out of memory", "allocate memory")


def label_frames(
    frames: Sequence[Atoms],
    calculator: Any,  # noqa: ANN401  (ASE calculators share no base class)
    directory: Path,
    *,
    signature: str,
    on_progress: Callable[[int, int], None] | None = None,
    walltime_s: float | None = None,
) -> list[Atoms]:
    """Evaluate each frame, or go on where a labelling in `directory` was stopped.

    Parameters
    ----------
    frames
        Periodic structures; not changed.
    calculator
        Any ASE calculator of energy, forces and stress.
    directory
        Belongs to these labels alone.
    signature
        Identity of the level.
    on_progress
        Called with the frames done and asked for.
    walltime_s
        Seconds this call may take.

    Returns
    -------
    list of ase.Atoms
        Copies that hold their labels in a calculator; ``info`` is kept. Where the calculator
        failed, as some do on atoms without neighbours, labels are NaN, and a warning says why.

    Raises
    ------
    CheckpointError
        If the directory holds labels of other frames or of another level.
    InputError
        If the calculator computes no stress.
    EngineError
        If it fails on all frames, or for want of memory, files or disk on one of them.
    InterruptedRunError
        If a signal or the walltime stopped it.
    """
    missing = [n for n in _NEEDED if n not in getattr(calculator, "implemented_properties", ())]
    if missing:
        raise InputError(
            "a level cannot label frames",
            given=f"{type(calculator).__name__}, without {', '.join(missing)}",
            allowed=f"a calculator of {', '.join(_NEEDED)}",
            remedy="choose another level",
        )
    stop = StopRequest(walltime_s)
    own = hashlib.sha256(signature.encode() + _bytes(frames)).hexdigest()
    with sole_use(directory), stop.trap_signals():
        folder = CheckpointFolder(directory / "labels")
        saved = folder.newest()
        if saved is not None and saved.meta["hash"] != own:
            raise CheckpointError(
                "the directory holds the labels of other frames, or of another level",
                given=str(directory),
                remedy="give these labels a directory of their own",
            )
        labels = [] if saved is None else _unpacked(saved)
        failure = "" if saved is None else str(saved.meta.get("failure", ""))
        kept_at = time.monotonic()
        while len(labels) < len(frames):
            label, problem = _attempt(frames, len(labels), calculator)
            labels.append(label)
            failure = failure or problem
            done = len(labels)
            is_due = done % _CHECKPOINT_FRAMES == 0 or time.monotonic() - kept_at > _CHECKPOINT_S
            if is_due or done == len(frames):
                folder.save(_packed(labels, own, failure))
                kept_at = time.monotonic()
            if on_progress is not None:
                on_progress(done, len(frames))
            if done < len(frames) and (reason := stop.reason()) is not None:
                folder.save(_packed(labels, own, failure))
                raise stopped("a labelling", reason, done, len(frames), "frames")
    n_failed = sum(bool(np.isnan(label["energy"])) for label in labels)
    if labels and n_failed == len(labels):
        raise EngineError(
            "the level could not label a single frame",
            given=failure,
            remedy="try the level on one of the frames; delete the labels to start over",
        )
    if n_failed:
        _log.warning("%d of %d frames get no label: %s", n_failed, len(labels), failure)
    return [_labelled(*pair) for pair in zip(frames, labels, strict=True)]


def frames_hash(frames: Sequence[Atoms]) -> str:
    """Return the hash of frames as `write_labelled` writes them."""
    return hashlib.sha256(_bytes(frames)).hexdigest()


def write_labelled(path: Path, frames: Sequence[Atoms]) -> str:
    """Write labelled frames as extended XYZ with a checksum beside it, and return the sha256."""
    data = _bytes(frames)
    digest = hashlib.sha256(data).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, data)
    write_durably(path.with_name(path.name + SIDECAR), f"{digest}  {path.name}\n".encode())
    return digest


def read_labelled(path: Path, sha256: str | None = None) -> list[Atoms]:
    """Read labelled frames, which must have the `sha256` given, or that of the file beside it.

    Raises
    ------
    TrajectoryError
        If a file is missing or was changed.
    """
    try:
        data = path.read_bytes()
        wanted = sha256 or path.with_name(path.name + SIDECAR).read_text().split()[0]
    except (OSError, IndexError) as error:
        raise TrajectoryError(
            "labelled frames, or the checksum beside them, cannot be read",
            given=f"{path} ({error})",
            remedy="restore the files from a backup, or make the training set again",
        ) from error
    if hashlib.sha256(data).hexdigest() != wanted:
        raise TrajectoryError(
            "a file of labelled frames was changed",
            given=str(path),
            allowed=f"sha256 {wanted}",
            remedy="restore it from a backup, or make the training set again",
        )
    frames: list[Atoms] = read(io.StringIO(data.decode()), index=":", format="extxyz")
    return frames


def _bytes(frames: Sequence[Atoms]) -> bytes:
    if not frames:
        return b""
    text = io.StringIO()
    write(text, list(frames), format="extxyz")
    return text.getvalue().encode()


def _evaluate(frame: Atoms, calculator: Any) -> dict[str, np.ndarray[Any, Any]]:  # noqa: ANN401  (as above)
    forget_history(calculator)
    atoms = frame.copy()
    atoms.set_constraint()
    calculator.calculate(atoms, list(_NEEDED), ["positions", "numbers", "cell", "pbc"])
    results = calculator.results
    return {
        "energy": np.array(float(results.get("free_energy", results["energy"]))),
        "forces": np.array(results["forces"], dtype=np.float64),
        "stress": np.array(results["stress"], dtype=np.float64),
    }


def _attempt(
    frames: Sequence[Atoms],
    index: int,
    calculator: Any,  # noqa: ANN401  (as above)
) -> tuple[dict[str, np.ndarray[Any, Any]], str]:
    """Return the label of a frame, or none and why."""
    try:
        return _evaluate(frames[index], calculator), ""
    except Exception as error:
        if _is_of_the_machine(error):
            raise EngineError(
                "a labelling ran out of what its machine has",
                given=f"frame {index} of {len(frames)}, {type(error).__name__}: {error}",
                remedy="run the same command again, on a machine with more memory or disk if "
                "need be; it goes on from its last checkpoint",
            ) from error
        return _no_label(len(frames[index])), f"{type(error).__name__}: {error}"


def _is_of_the_machine(error: Exception) -> bool:
    """Tell whether another try, or another machine, may evaluate what this one did not."""
    said = str(error).lower()
    return isinstance(error, (OSError, MemoryError)) or any(text in said for text in _NO_MEMORY)


def _no_label(n_atoms: int) -> dict[str, np.ndarray[Any, Any]]:
    return {
        "energy": np.array(np.nan),
        "forces": np.full((n_atoms, 3), np.nan),
        "stress": np.full(6, np.nan),
    }


def _labelled(frame: Atoms, label: dict[str, np.ndarray[Any, Any]]) -> Atoms:
    atoms = frame.copy()
    values: dict[str, Any] = {**label, "energy": float(label["energy"])}
    atoms.calc = SinglePointCalculator(atoms, **values)
    return atoms


def _packed(labels: list[dict[str, np.ndarray[Any, Any]]], own: str, failure: str) -> Checkpoint:
    arrays = {f"{name}-{i}": array for i, one in enumerate(labels) for name, array in one.items()}
    return Checkpoint(len(labels), {"hash": own, "failure": failure}, arrays)


def _unpacked(saved: Checkpoint) -> list[dict[str, np.ndarray[Any, Any]]]:
    return [{n: saved.arrays[f"{n}-{i}"] for n in _NEEDED} for i in range(saved.step)]
