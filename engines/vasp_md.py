"""Molecular dynamics by VASP, with forces of DFT or learnt on the fly, as one trajectory.

A stretch is a folder of runs; where one ended, by a walltime, a signal or a failure, the next
goes on with its velocities and with what it had learnt. VASP does not hand on the state of its
thermostat: a Nose-Hoover run that went on is not the uninterrupted one bit for bit.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator

from ..errors import EngineError
from .durable import sole_use
from .trajectory import TrajectoryWriter
from .trajectory_files import read_index
from .vasp_host import FINISHED
from .vasp_inputs import dynamics
from .vasp_output import last_structure, read_frames, was_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from .trajectory_files import TrajectoryFile
    from .vasp_inputs import MDSegment
    from .vasp_output import MDFrame
    from .vasp_relax import VaspTask

_CHUNK_FRAMES: Final = 500
_LEARNT: Final = ("ML_ABN", "ML_AB")
"""What configurations were learnt from, after a run and before it."""
_FORCE_FIELD: Final = ("ML_FFN", "ML_FF")


@dataclass(frozen=True)
class SegmentResult:
    """A stretch of MD that has reached its end.

    Attributes
    ----------
    trajectory
        Chunk files, in order; none of a stretch that only refits.
    n_steps
        MD steps done.
    n_runs
        Runs of VASP that it took.
    end
        Last state: unwrapped positions, velocities, cell and energy, in the order of the
        structure that the first stretch started from.
    temperatures_k
        At the stored frames.
    """

    trajectory: tuple[TrajectoryFile, ...]
    n_steps: int
    n_runs: int
    end: Atoms
    temperatures_k: NDArray[np.float64]


def run_segments(
    structure: Structure,
    task: VaspTask,
    segments: Sequence[MDSegment],
    *,
    seed: int,
    trajectory_interval: int,
    signature: str,
    after: Sequence[str] = (),
    on_segment: Callable[[str, int], Callable[[int, int], None]] | None = None,
) -> dict[str, SegmentResult]:
    """Run stretches of MD one after the other, or go on with what `task.directory` holds.

    Parameters
    ----------
    structure
        Start of the first; its order of sites is that of the trajectories.
    task
        Where and how; each stretch has a folder of its name, and its trajectory in there.
    segments
        What to do. One that learns starts from what those before it have learnt; one that runs
        with a force field needs one of them.
    seed
        Of the velocities that VASP draws where the start has none.
    trajectory_interval
        Steps between stored frames.
    signature
        Identity of the whole run.
    after
        Stretches in the same folder that have run before, from which to go on learning.
    on_segment
        Called with a stretch's name and length; what it returns is told the steps done.

    Returns
    -------
    dict
        Stretch to its result, with one trajectory each however often it was stopped.

    Raises
    ------
    InterruptedRunError
        After a signal or the walltime; calling again goes on.
    EngineError, PotentialError
        VASP failed, or cannot be used; names the cause.
    """
    results: dict[str, SegmentResult] = {}
    with sole_use(task.directory), task.stop.trap_signals():
        first = dynamics(task.level, structure, segments[0], seed=seed)
        path = _Path(first.structure, first.order)
        current = first.structure
        before = [run for name in after for run in task.runs(name)]
        for segment in segments:
            report = on_segment(segment.name, segment.n_steps) if on_segment else None
            current = _run_segment(segment, current, task, before, seed=seed, report=report)
            runs = task.runs(segment.name)
            before += runs
            folder = task.directory / segment.name / "trajectory"
            results[segment.name] = path.store(
                segment,
                runs,
                folder,
                signature=f"{signature}/{segment.name}",
                interval=trajectory_interval,
                end=current,
            )
    return results


def trajectory_of(
    run: Path, segment: MDSegment, start: Structure, folder: Path, *, signature: str
) -> SegmentResult:
    """Write the trajectory of one run that is there, as `run_segments` does of its own.

    Parameters
    ----------
    run
        Folder with a vasprun.xml.
    segment
        What it did.
    start
        In the order of its POSCAR, which is that of the trajectory.
    folder, signature
        Of the trajectory.
    """
    path = _Path(start, tuple(range(len(start))))
    end = last_structure(run) or start
    return path.store(segment, [run], folder, signature=signature, interval=1, end=end)


def _run_segment(
    segment: MDSegment,
    start: Structure,
    task: VaspTask,
    earlier: Sequence[Path],
    *,
    seed: int,
    report: Callable[[int, int], None] | None,
) -> Structure:
    """Run what is left of a stretch; return where it ended, in the order of the POSCAR."""
    done, current = 0, start
    for folder in task.runs(segment.name):
        n_frames = _n_frames(folder)
        done += n_frames
        current = (last_structure(folder) if n_frames else None) or current
    while not _is_done(segment, done, task.runs(segment.name)):
        rest = replace(segment, n_steps=segment.n_steps - done, start_k=segment.target_k(done))
        before = [*earlier, *task.runs(segment.name)]
        folder = task.prepare(segment.name, dynamics(task.level, current, rest, seed=seed))
        _hand_on_learning(segment, before, folder)
        task.n_steps = done
        if report is not None:
            task.on_steps = lambda n: report(min(n, segment.n_steps), segment.n_steps)
        corrections = task.execute(folder, is_dynamics=True)
        task.check(folder)
        _require_unbroken(folder, corrections)
        done += _n_frames(folder)
        current = last_structure(folder) or current
    return current


def _is_done(segment: MDSegment, done: int, runs: Sequence[Path]) -> bool:
    if segment.learning == "refit":
        return any((run / FINISHED).exists() for run in runs)
    return done >= segment.n_steps


def _n_frames(folder: Path) -> int:
    return sum(1 for _ in _frames_of(folder))


def _frames_of(folder: Path) -> Iterator[MDFrame]:
    """Yield the whole steps of a run, none where it wrote nothing."""
    if any((folder / name).is_file() for name in ("vasprun.xml", "vasprun.xml.gz")):
        with suppress(EngineError):  # it was killed before its first line
            yield from read_frames(folder)


def _hand_on_learning(segment: MDSegment, before: Sequence[Path], folder: Path) -> None:
    """Give a run what those before it have learnt, under the names that VASP reads.

    Raises
    ------
    EngineError
        It needs that, and there is none.
    """
    if segment.learning is None:
        return
    runs_field = segment.learning == "run"
    names, target = (_FORCE_FIELD, "ML_FF") if runs_field else (_LEARNT, "ML_AB")
    found = next((path for run in reversed(before) for path in _learnt(run, names)), None)
    if found is not None:
        shutil.copyfile(found, folder / target)
    elif segment.learning != "train":
        folder.replace(folder.with_name(f"not-started-{folder.name}"))
        raise EngineError(
            f"the stretch {segment.name} of molecular dynamics has no {target} to start from",
            given=f"ML_MODE = {segment.learning}",
            allowed="a stretch before it that trains or refits",
            remedy="put a stretch with learning='train' before it",
        )


def _learnt(run: Path, names: tuple[str, str]) -> Iterator[Path]:
    """Yield what a run has learnt; where it was killed, only what it had started with."""
    whole = (run / FINISHED).exists() or was_stopped(run)
    for name in names if whole else names[1:]:
        if (run / name).is_file() and (run / name).stat().st_size:
            yield run / name


def _require_unbroken(folder: Path, corrections: Sequence[str]) -> None:
    """Refuse a run that custodian started anew in its middle: its first steps are lost.

    Raises
    ------
    EngineError
        The run is set aside; the next call does it again.
    """
    if any("from CONTCAR" in said for said in corrections):
        folder.replace(folder.with_name(f"set-aside-{folder.name}"))
        raise EngineError(
            "custodian started molecular dynamics anew in the middle of a run",
            given=f"{folder.name}: {'; '.join(corrections)}",
            remedy="run the same again: it goes on from the run before; shorten the time step "
            "if this comes back",
        )


@dataclass
class _Path:
    """The way of the atoms through all runs, unwrapped, in the order of the start.

    Attributes
    ----------
    start
        In the order of the POSCAR.
    order
        Index in the structure that was given, of each site of the POSCAR.
    """

    start: Structure
    order: tuple[int, ...]
    unwrapped: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.unwrapped = np.array(self.start.frac_coords)
        self._places = np.argsort(self.order)
        self._numbers = np.array([site.specie.Z for site in self.start])[self._places]

    def store(
        self,
        segment: MDSegment,
        runs: Sequence[Path],
        folder: Path,
        *,
        signature: str,
        interval: int,
        end: Structure,
    ) -> SegmentResult:
        """Write the trajectory of a finished stretch anew from its runs."""
        numbers = self._numbers
        atoms = self._atoms(numbers, np.array(self.start.lattice.matrix))
        if segment.learning == "refit":
            return SegmentResult((), segment.n_steps, len(runs), atoms, np.empty(0))
        writer = TrajectoryWriter(folder, numbers, chunk_frames=_CHUNK_FRAMES, signature=signature)
        writer.restore()
        temperatures = []
        energy = np.nan
        step = 0
        for step, frame in enumerate(_steps(segment, runs), start=1):
            moved = frame.frac - self.unwrapped
            self.unwrapped += moved - np.rint(moved)
            energy = frame.energy_ev
            if step % interval:
                continue
            atoms = self._atoms(numbers, frame.cell)
            thermo = _thermo(segment, step, frame, len(numbers))
            temperatures.append(thermo[2])
            writer.append(atoms.positions, frame.cell, thermo)
        writer.close()
        atoms = self._atoms(numbers, np.array(end.lattice.matrix))
        if (velocities := end.site_properties.get("velocities")) is not None:
            atoms.set_velocities(np.array(velocities, dtype=float)[self._places] / units.fs)
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        _, files = read_index(folder)
        return SegmentResult(tuple(files), step, len(runs), atoms, np.array(temperatures))

    def _atoms(self, numbers: NDArray[np.int64], cell: NDArray[np.float64]) -> Atoms:
        positions = (self.unwrapped @ cell)[self._places]
        return Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)


def _steps(segment: MDSegment, runs: Sequence[Path]) -> Iterator[MDFrame]:
    """Yield the steps of a stretch over all its runs, no more than it asked for."""
    frames = chain.from_iterable(_frames_of(run) for run in runs)
    yield from islice(frames, segment.n_steps)


def _thermo(segment: MDSegment, step: int, frame: MDFrame, n_atoms: int) -> list[float]:
    """Return the columns of a trajectory's thermodynamic table."""
    degrees = 3 * n_atoms - 3
    pressure = np.nan
    if frame.stress_gpa is not None:
        pressure = -float(np.trace(frame.stress_gpa)) / 3
    return [
        float(step),
        step * segment.timestep_fs,
        2 * frame.kinetic_ev / (degrees * units.kB),
        segment.target_k(step),
        frame.energy_ev,
        frame.kinetic_ev,
        np.nan,
        abs(float(np.linalg.det(frame.cell))),
        pressure,
    ]
