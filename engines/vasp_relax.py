"""Relaxations and energies by VASP that can be stopped at any moment and go on.

A calculation is a folder of runs, ``run-001``, ``run-002``...: each starts where the last one
ended, however that was. What VASP itself calls finished is only believed when the forces say so.
"""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..errors import EngineError
from ..quantity import Status
from .durable import sole_use
from .vasp_host import FINISHED
from .vasp_inputs import relaxation, static
from .vasp_levels import vasp_level
from .vasp_output import (
    last_structure,
    read_origin,
    read_outcome,
    require_genuine,
    require_potcars,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pymatgen.core import Structure

    from .interrupts import StopRequest
    from .vasp_host import VaspHost
    from .vasp_inputs import VaspInputs
    from .vasp_output import VaspOrigin, VaspOutcome

STRESS_TOLERANCE_GPA: Final = 0.3
"""At a bulk modulus of 20 GPA it is worth less than 1 meV/atom."""
_STEPS_PER_RUN: Final = 99
_MOST_RUNS: Final = 10
_HANDED_ON: Final = ("WAVECAR", "CHGCAR")
_NOT_KEPT: Final = (*_HANDED_ON, "CHG", "TAUCAR", "POTCAR", "POTCAR.orig", "vaspwave.h5", "TMPCAR")
"""Large files that nothing reads later, and the POTCARs, which must not be passed on."""
_COMPRESSED: Final = (
    "vasprun.xml",
    "OUTCAR",
    "XDATCAR",
    "PROCAR",
    "EIGENVAL",
    "DOSCAR",
    "vasp.out",
)


@dataclass(frozen=True)
class VaspResult:
    """A relaxed structure and its energy, or as far as it went.

    Attributes
    ----------
    status, note
        ``ok``, or ``unconverged`` with what is left.
    structure
        In the order of the structure that was given.
    outcome
        The last calculation, in the order of its POSCAR.
    order
        Index in the structure that was given, of each site of the POSCAR.
    n_steps
        Ionic steps of all relaxations.
    n_resumes
        How often it was taken up again after it had been stopped.
    corrections
        What custodian changed, by calculation.
    files
        Output that is kept, by calculation.
    """

    status: Status
    note: str
    structure: Structure
    outcome: VaspOutcome
    order: tuple[int, ...]
    n_steps: int
    n_resumes: int
    corrections: tuple[str, ...]
    files: dict[str, Path]


@dataclass
class VaspTask:
    """What all calculations of one step share.

    Attributes
    ----------
    directory
        Of the step.
    level
        Of `VASP_LEVELS`.
    host
        How VASP runs here.
    stop
        Signals and the clock of the walltime.
    walltime_s
        Stop before so many seconds have passed.
    for_tests
        Accept a stand-in for VASP, which needs no POTCARs.
    on_steps
        Called with the number of ionic steps that are done.
    require
        Raises when the step must not go on; a running VASP is ended then.
    """

    directory: Path
    level: str
    host: VaspHost
    stop: StopRequest
    walltime_s: float | None = None
    for_tests: bool = False
    on_steps: Callable[[int], None] = lambda _n: None
    require: Callable[[], None] | None = None
    n_steps: int = 0
    n_resumes: int = 0
    corrections: list[str] = field(default_factory=list)

    def runs(self, name: str) -> list[Path]:
        """Return the folders of the runs of the calculation `name`, in their order."""
        return sorted((self.directory / name).glob("run-*"))

    def run(self, name: str, inputs: VaspInputs) -> VaspOutcome:
        """Add a run of `inputs` to the calculation `name`, and read how it ended.

        Raises
        ------
        InterruptedRunError, EngineError
            As `run_vasp`; also if what ran was no VASP.
        PotentialError
            The POTCARs are of another release.
        """
        folder = self.prepare(name, inputs)
        self._hand_on(folder)
        self.execute(folder)
        return self.read(folder)

    def prepare(self, name: str, inputs: VaspInputs) -> Path:
        """Write the input of a further run of the calculation `name`; return its folder."""
        folder = self.directory / name / f"run-{len(self.runs(name)) + 1:03d}"
        folder.mkdir(parents=True)
        inputs.write(folder, with_potcars=not self.for_tests)
        return folder

    def execute(self, folder: Path, *, is_dynamics: bool = False) -> list[str]:
        """Run what `prepare` wrote; return what custodian corrected.

        Raises
        ------
        InterruptedRunError, EngineError
            As `run_vasp`.
        """
        before = self.n_steps
        from .vasp_run import run_vasp  # noqa: PLC0415  (custodian imports slowly)

        corrections = run_vasp(
            folder,
            self.host,
            self.stop,
            walltime_s=self.walltime_s,
            is_dynamics=is_dynamics,
            on_steps=lambda n: self.on_steps(before + n),
            require=self.require,
        )
        self.corrections += [f"{folder.parent.name}: {said}" for said in corrections]
        return corrections

    def read(self, folder: Path) -> VaspOutcome:
        """Read a finished run of this step.

        Raises
        ------
        EngineError, PotentialError
            As `run`.
        """
        self.check(folder)
        return read_outcome(folder)

    def check(self, folder: Path) -> VaspOrigin:
        """Refuse a run that was not written by VASP, or with other POTCARs; return its origin."""
        origin = read_origin(folder)
        require_genuine(origin, folder, for_tests=self.for_tests)
        require_potcars(origin.titles, folder)
        return origin

    def _hand_on(self, folder: Path) -> None:
        """Move wave functions and density of the newest finished run to `folder`."""
        found = self.directory.glob("*/run-*/" + FINISHED)
        for run in sorted((path.parent for path in found), key=lambda p: p.stat().st_mtime):
            for file in _HANDED_ON:
                if (run / file).is_file() and (run / file).stat().st_size:
                    (run / file).replace(folder / file)


def relax_with_vasp(
    structure: Structure,
    task: VaspTask,
    *,
    fmax_ev_a: float,
    max_steps: int,
    cell: bool = True,
) -> VaspResult:
    """Relax `structure` and evaluate its energy, or go on with what `task.directory` holds.

    Parameters
    ----------
    structure
        Start; its order of sites is kept.
    task
        Where and how.
    fmax_ev_a
        Largest force on an atom at convergence, in eV/A.
    max_steps
        Ionic steps of each relaxation at most.
    cell
        Relax the cell too.

    Raises
    ------
    InterruptedRunError
        After a signal or the walltime; calling again goes on.
    EngineError, PotentialError
        VASP failed, or cannot be used; names the cause.
    """
    level = vasp_level(task.level)
    with sole_use(task.directory), task.stop.trap_signals():
        current, notes = structure, []
        order = relaxation(task.level, structure).order
        for name, first in (("relax1", True), ("relax2", False)):
            if first and level.first_xc is None:
                continue
            outcome, left = relax_once(
                name,
                current,
                task,
                first=first,
                fmax_ev_a=fmax_ev_a,
                max_steps=max_steps,
                cell=cell,
            )
            current = outcome.structure
            notes = left  # what the first one leaves, the second one finds
        last = _evaluate("static", current, task)
        notes += last.unconverged()
        return _result(task, last, notes, order)


def evaluate_with_vasp(structure: Structure, task: VaspTask, *, labels: bool = False) -> VaspResult:
    """Evaluate energy, forces and stress of `structure`; arguments and errors as for relaxing.

    Parameters
    ----------
    structure, task
        As `relax_with_vasp`.
    labels
        For training: Gaussian smearing whatever the mesh.
    """
    with sole_use(task.directory), task.stop.trap_signals():
        order = static(task.level, structure, labels=labels).order
        outcome = _evaluate("static", structure, task, labels=labels)
        return _result(task, outcome, outcome.unconverged(), order)


def relax_once(
    name: str,
    structure: Structure,
    task: VaspTask,
    *,
    first: bool,
    fmax_ev_a: float,
    max_steps: int,
    cell: bool,
) -> tuple[VaspOutcome, list[str]]:
    """Relax until the gate opens, in runs of the calculation `name`.

    Parameters
    ----------
    name
        Of the calculation in the folder of `task`.
    structure
        Start, with the sites of a species together.
    task, fmax_ev_a, max_steps, cell
        As `relax_with_vasp`.
    first
        With the functional that the level relaxes with first.

    Returns
    -------
    tuple
        The end of the last run, and what is left to converge.

    Raises
    ------
    InterruptedRunError, EngineError, PotentialError
        As `relax_with_vasp`.
    """
    tolerance = STRESS_TOLERANCE_GPA if cell else None
    done = 0
    outcome: VaspOutcome | None = None
    for folder in task.runs(name):
        if (folder / FINISHED).exists():
            outcome = task.read(folder)
            structure, done = outcome.structure, done + outcome.n_steps
        else:
            outcome = None
            structure = last_structure(folder) or structure
            task.n_resumes += 1
    while True:
        left = (
            ["not run"]
            if outcome is None
            else outcome.unconverged(fmax_ev_a=fmax_ev_a, stress_tolerance_gpa=tolerance)
        )
        enough = done >= max_steps or len(task.runs(name)) >= _MOST_RUNS
        if outcome is not None and (not left or enough):
            task.n_steps += done
            return outcome, left
        n_steps = min(_STEPS_PER_RUN, max(max_steps - done, 1))
        inputs = relaxation(
            task.level, structure, first=first, fmax_ev_a=fmax_ev_a, max_steps=n_steps, cell=cell
        )
        outcome = task.run(name, inputs)
        structure, done = outcome.structure, done + outcome.n_steps


def _evaluate(
    name: str, structure: Structure, task: VaspTask, *, labels: bool = False
) -> VaspOutcome:
    finished = [folder for folder in task.runs(name) if (folder / FINISHED).exists()]
    if finished:
        return task.read(finished[-1])
    task.n_resumes += len(task.runs(name))
    return task.run(name, static(task.level, structure, labels=labels))


def _result(
    task: VaspTask, outcome: VaspOutcome, notes: list[str], order: tuple[int, ...]
) -> VaspResult:
    files = {}
    for folder in sorted(task.directory.glob("*/run-*")):
        tidy(folder)
        path = folder / "vasprun.xml.gz"
        if path.is_file():
            files[f"{folder.parent.name}/{folder.name}"] = path
    return VaspResult(
        status=Status.UNCONVERGED if notes else Status.OK,
        note="; ".join(notes),
        structure=in_order(outcome.structure, order),
        outcome=outcome,
        order=order,
        n_steps=task.n_steps,
        n_resumes=task.n_resumes,
        corrections=tuple(task.corrections),
        files=files,
    )


def in_order(structure: Structure, order: tuple[int, ...]) -> Structure:
    """Return the sites of a POSCAR in the order of the structure it was made from."""
    if len(order) != len(structure):
        raise EngineError(
            "VASP returned another number of atoms than it was given",
            given=len(structure),
            allowed=len(order),
            remedy="delete the folder of the step, and run it again",
        )
    places = sorted(range(len(order)), key=order.__getitem__)
    ordered: Structure = structure.from_sites([structure[i] for i in places])
    return ordered


def tidy_step(directory: Path) -> None:
    """Delete what nothing reads any more of the runs of a step that is done."""
    for folder in sorted(directory.glob("*/run-*")):
        for place in (folder, *folder.glob("[0-9][0-9]")):  # images of a band
            tidy(place)


def tidy(folder: Path) -> None:
    """Delete what nothing reads any more, and compress the rest."""
    for name in _NOT_KEPT:
        (folder / name).unlink(missing_ok=True)
    for name in _COMPRESSED:
        path = folder / name
        if not path.is_file():
            continue
        temporary = path.with_name(f"{name}.gz.tmp")
        with path.open("rb") as source, gzip.open(temporary, "wb") as target:
            shutil.copyfileobj(source, target)
        temporary.replace(path.with_name(f"{name}.gz"))
        path.unlink()
