"""Molecular dynamics that is one trajectory, however often it was stopped and resumed.

Examples
--------
>>> from ase.build import bulk
>>> from ase.calculators.lj import LennardJones
>>> from pathlib import Path
>>> import tempfile
>>> argon = bulk("Ar", "fcc", a=5.3, cubic=True) * 2
>>> calculator = LennardJones(sigma=3.4, epsilon=0.0104, rc=5.0)
>>> settings = MDSettings("nvt-langevin", temperature_k=40, n_steps=20, timestep_fs=4)
>>> with tempfile.TemporaryDirectory() as folder:
...     result = run_md(argon, calculator, settings, Path(folder), signature="argon at 40 K")
>>> result.status.value, result.n_steps, result.thermo["step"].tolist()
('ok', 20, [0.0, 10.0, 20.0])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ase.calculators.singlepoint import SinglePointCalculator

from ..errors import CheckpointError, InputError, TrajectoryError
from ..identity import canonical
from ..quantity import Status
from .checkpoint import Checkpoint, CheckpointFolder
from .durable import sole_use
from .interrupts import StopRequest
from .md_run import Run, place, saved_evaluation
from .md_session import Session, interrupted
from .md_settings import MDSettings, Tether, require_number
from .md_start import check_atoms
from .trajectory import TrajectoryReader, TrajectoryWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from ase import Atoms
    from numpy.typing import NDArray

    from .guards import Guard
    from .trajectory import TrajectoryFile

__all__ = ["MDResult", "MDSettings", "Tether", "run_md", "steps_done"]


@dataclass(frozen=True)
class MDResult:
    """What a finished, or ended, run leaves.

    Attributes
    ----------
    status
        ``ok``, or the verdict of the guard that ended the run.
    note
        The guard's reason.
    n_steps
        Steps done.
    atoms
        Last state: unwrapped positions, momenta, cell, and energy, forces and stress.
    trajectory
        Chunk files in order.
    thermo
        Columns sampled with each frame, (n_frames,) each: ``step``, ``time_fs``,
        ``temperature_k``, ``target_temperature_k``, ``energy_ev`` (potential, springs
        included), ``kinetic_energy_ev``, ``conserved_energy_ev`` (NaN for Langevin),
        ``volume_a3``, ``pressure_gpa`` (NaN where the calculator gave no stress).
    n_resumes
        How often the run was stopped and went on from a checkpoint.
    wall_s
        Seconds spent, over all calls, up to the checkpoints that were gone on from.
    """

    status: Status
    note: str
    n_steps: int
    atoms: Atoms
    trajectory: tuple[TrajectoryFile, ...]
    thermo: dict[str, NDArray[np.float64]]
    n_resumes: int
    wall_s: float


def run_md(
    atoms: Atoms,
    calculator: Any,  # noqa: ANN401  (ASE calculators share no base class)
    settings: MDSettings,
    directory: Path,
    *,
    signature: str,
    guards: Sequence[Guard] = (),
    on_progress: Callable[[int, int], None] | None = None,
    walltime_s: float | None = None,
) -> MDResult:
    """Run molecular dynamics to `settings.n_steps` steps in total, or go on with it.

    Called again with the same directory, the run goes on from its newest checkpoint, and its
    trajectory, velocities, thermostat and random numbers are the same, bit for bit, as if it
    had never been stopped (on the same machine with the same number of threads). A run that
    is finished, or was ended by a guard, returns at once. A finished run without a ramp goes
    on when `settings.n_steps` has grown.

    SIGTERM, SIGINT (in the main thread) and the walltime stop the run with a checkpoint at the
    next multiple of `settings.sync_interval`.

    Parameters
    ----------
    atoms
        Periodic start structure. Without momenta they are drawn at `settings.temperature_k`.
        Positions are taken as unwrapped and never wrapped.
    calculator
        Any ASE calculator. One that remembers more than its ``reset`` clears offers a method
        ``forget()``.
    settings
        Ensemble, temperatures, lengths, intervals.
    directory
        Belongs to this run alone.
    signature
        Identity of the run: start structure, potential, everything that changes the result.
    guards
        Looked at every `settings.guard_interval` steps, at the start and at the end. One for
        finite numbers is always there.
    on_progress
        Called with the steps done and asked for, at most twice a second.
    walltime_s
        Seconds this call may take.

    Returns
    -------
    MDResult
        With status ``ok``, or with the verdict of the guard that ended the run.

    Raises
    ------
    InputError
        If the atoms, the calculator or a parameter cannot be used.
    CheckpointError
        If the directory holds another run, or only damaged checkpoints.
    TrajectoryError
        If trajectory files are missing or damaged.
    InterruptedRunError
        If a signal or the walltime stopped the run, after a checkpoint.
    EngineError
        If the calculator fails, or another process works in the directory.
    """
    check_atoms(atoms)
    if not signature:
        raise InputError(
            "an MD run has no signature",
            given=repr(signature),
            allowed="text that differs for different runs",
            remedy="pass the identity of the step",
        )
    if walltime_s is not None:
        require_number("walltime_s", walltime_s, lower=0, exclusive=True)
    stop = StopRequest(walltime_s)
    with sole_use(directory), stop.trap_signals():
        folder = CheckpointFolder(directory / "checkpoints")
        saved = folder.newest()
        if saved is not None:
            _require_same_run(saved, settings, signature)
        if saved is None or not _is_finished(saved, settings):
            writer = TrajectoryWriter(
                directory / "trajectory",
                atoms.numbers,
                chunk_frames=settings.chunk_frames,
                signature=signature,
            )
            session = Session(
                Run(atoms, calculator, settings, writer=writer, guards=guards, saved=saved),
                writer=writer,
                folder=folder,
                settings=settings,
                signature=signature,
                stop=stop,
                saved=saved,
            )
            saved = session.drive(on_progress)
    if stop.signalled is not None:
        raise interrupted(stop.signalled, saved.step, settings.n_steps)
    return _result(atoms, saved, directory)


def steps_done(directory: Path) -> int:
    """Return how far the run in `directory` has come, by its newest checkpoint."""
    saved = CheckpointFolder(directory / "checkpoints").newest()
    return 0 if saved is None else saved.step


def _require_same_run(saved: Checkpoint, settings: MDSettings, signature: str) -> None:
    own: dict[str, Any] = canonical(settings.physics())
    theirs: dict[str, Any] = saved.meta["settings"]
    differing = sorted(
        name for name in own.keys() | theirs.keys() if own.get(name) != theirs.get(name)
    )
    if saved.meta["signature"] != signature:
        differing.insert(0, "signature")
    if differing:
        raise CheckpointError(
            "the directory holds the checkpoint of another run",
            given=f"other {', '.join(differing)}",
            allowed=f"run {saved.meta['signature']} with {theirs}",
            remedy="give this run a directory of its own",
        )
    if saved.step > settings.n_steps:
        raise CheckpointError(
            "a run has already gone further than asked",
            given=f"n_steps={settings.n_steps}",
            allowed=f"n_steps from {saved.step}",
            remedy="ask for at least the steps done, or use a directory of its own",
        )


def _is_finished(saved: Checkpoint, settings: MDSettings) -> bool:
    return saved.meta["complete"] and (
        saved.meta["verdict"] is not None or saved.step == settings.n_steps
    )


def _result(atoms: Atoms, saved: Checkpoint, directory: Path) -> MDResult:
    final = place(atoms, saved)
    evaluation = saved_evaluation(saved)
    if evaluation is not None:
        known: dict[str, Any] = {
            "energy": evaluation.energy_ev,
            "forces": evaluation.forces_ev_a,
            "stress": evaluation.stress_ev_a3,
        }
        final.calc = SinglePointCalculator(final, **known)
    reader = TrajectoryReader(directory / "trajectory")
    if reader.n_frames != saved.meta["n_frames"]:
        raise TrajectoryError(
            "the trajectory of a finished run is not complete",
            given=f"{reader.n_frames} frames in {directory}",
            allowed=f"{saved.meta['n_frames']} frames",
            remedy="restore its files from a backup, or delete the directory and run again",
        )
    status, note = saved.meta["verdict"] or (Status.OK, "")
    return MDResult(
        status=Status(status),
        note=note,
        n_steps=saved.step,
        atoms=final,
        trajectory=tuple(reader.files),
        thermo=reader.thermo(),
        n_resumes=saved.meta["n_resumes"],
        wall_s=saved.meta["wall_s"],
    )
