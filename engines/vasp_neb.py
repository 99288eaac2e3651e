"""Barriers of single hops by VASP: climbing-image bands in one process, continued where they end.

A band is a run with a folder for each image, 00, 01...; VASP must be built with the VTST code,
which knows climbing images. What it calls finished is believed when its own forces across the
band say so.
"""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress
from pymatgen.io.ase import AseAtomsAdaptor

from ..errors import EngineError
from ..quantity import Status
from .durable import sole_use, write_durably
from .neb_images import (
    Spent,
    continuous,
    fell_back,
    interpolated,
    judged,
    rattled,
    without_barrier,
)
from .vasp_host import FINISHED
from .vasp_inputs import relaxation
from .vasp_output import last_structure, read_outcome
from .vasp_relax import in_order, relax_once

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from .neb import NebSettings
    from .neb_images import NebResult
    from .vasp_inputs import VaspInputs
    from .vasp_output import VaspOutcome
    from .vasp_relax import VaspTask

_STEPS_PER_RUN: Final = 99
_MOST_RUNS: Final = 10
_LEVELS_OWN: Final = ("PREC", "NSW")
_CHAIN_FORCE: Final = re.compile(r"FORCES: max atom, RMS\s+(\S+)")
"""As VTST writes the force across the band into the OUTCAR of an image."""


def band_inputs(
    level: str, structure: Structure, *, n_images: int, fmax_ev_a: float, max_steps: int
) -> VaspInputs:
    """Return the input of a climbing-image band; its images come beside it.

    The level's relaxation in a fixed cell, with what atomate2's `NebSetGenerator` sets for
    climbing images: EDIFF 1e-6, SPRING -5, and VTST's optimizer (LCLIMB, IOPT 1, IBRION 3,
    POTIM 0).

    Parameters
    ----------
    level
        Of `VASP_LEVELS`.
    structure
        First end.
    n_images
        Between the ends.
    fmax_ev_a, max_steps
        Largest force across the band at convergence, and ionic steps at most.
    """
    from atomate2.vasp.sets.core import NebSetGenerator  # noqa: PLC0415  (a second to import)

    inputs = relaxation(level, structure, fmax_ev_a=fmax_ev_a, max_steps=max_steps, cell=False)
    tags = NebSetGenerator(num_images=n_images, climbing_image=True).incar_updates
    inputs.incar.update({k: v for k, v in tags.items() if k not in _LEVELS_OWN})
    inputs.incar["LWAVE"] = False
    return inputs


def find_barrier_with_vasp(
    ends: tuple[Atoms, Atoms],
    ion: int,
    task: VaspTask,
    settings: NebSettings,
    *,
    name: str,
    route: NDArray[np.float64] | None = None,
) -> NebResult:
    """Relax both ends and the band between them, or go on with what `task.directory` holds.

    Parameters
    ----------
    ends, ion, settings, route
        As of :func:`~haloflow.engines.neb.find_barrier`.
    task
        Where and how.
    name
        Of the hop in the folder of `task`; its calculations are ``NAME-start``, ``NAME-end``
        and ``NAME-band``.

    Raises
    ------
    InterruptedRunError
        After a signal or the walltime; calling again goes on.
    EngineError, PotentialError
        VASP failed, or cannot be used (without VTST it knows no bands); names the cause.
    """
    before = Spent(n_steps=-task.n_steps, n_resumes=-task.n_resumes)

    def spent() -> Spent:
        return Spent(
            n_steps=before.n_steps + task.n_steps, n_resumes=before.n_resumes + task.n_resumes
        )

    with sole_use(task.directory), task.stop.trap_signals():
        found = [
            relaxed_atoms(rattled(atoms), task, settings, name=f"{name}-{end}")
            for end, atoms in zip(("start", "end"), ends, strict=True)
        ]
        first, last = continuous(ends, (found[0][0], found[1][0]))
        notes = [
            f"{end}: {said}"
            for end, (_, left) in zip(("start", "end"), found, strict=True)
            for said in left
        ]
        if fell := fell_back(ends, (first, last), ion):
            return without_barrier(Status.UNCONVERGED, [*notes, fell], [first, last], spent())
        images = interpolated(first, last, settings.n_images, ion, route)
        between, left = _relaxed_band(images, task, settings, name=f"{name}-band")
        notes += [f"band: {said}" for said in left]
        status = Status.UNCONVERGED if notes else Status.OK
        force = max(force for _, force in between)
        whole = [first, *(atoms for atoms, _ in between), last]
        return judged(status, notes, whole, force, spent())


def relaxed_atoms(
    atoms: Atoms, task: VaspTask, settings: NebSettings, *, name: str
) -> tuple[Atoms, list[str]]:
    """Relax atoms in their cell; return them with their energy, and what is left to converge.

    Errors are those of :func:`find_barrier_with_vasp`.
    """
    structure = AseAtomsAdaptor.get_structure(atoms)
    inputs = relaxation(task.level, structure, cell=False)
    outcome, left = relax_once(
        name,
        inputs.structure,
        task,
        first=False,
        fmax_ev_a=settings.fmax_ev_a,
        max_steps=settings.max_steps,
        cell=False,
    )
    return _evaluated(outcome, inputs), left


def _relaxed_band(
    images: list[Atoms], task: VaspTask, settings: NebSettings, *, name: str
) -> tuple[list[tuple[Atoms, float]], list[str]]:
    """Return the images between the ends, each with its largest force, and what is left."""
    structures = [AseAtomsAdaptor.get_structure(image) for image in images]
    order = relaxation(task.level, structures[0], cell=False).order
    ordered = [s.from_sites([s[i] for i in order]) for s in structures]
    done, ended = 0, None
    for folder in task.runs(name):
        ordered = _last_images(folder, ordered)
        whole = (folder / FINISHED).exists() and not _without_forces(folder, settings)
        ended = folder if whole else None
        done += _n_steps(folder) if ended else 0
        task.n_resumes += ended is None
    while True:
        left = ["not run"] if ended is None else _left(ended, settings)
        enough = done >= settings.max_steps or len(task.runs(name)) >= _MOST_RUNS
        if ended is not None and (not left or enough):
            break
        ended = _run(ordered, task, settings, name=name, done=done)
        _require_forces(ended, settings)
        ordered = _last_images(ended, ordered)
        done += _n_steps(ended)
    task.n_steps += done
    inputs = relaxation(task.level, structures[0], cell=False)
    found = []
    for image in _between(ended, settings):
        outcome = read_outcome(image)
        found.append((_evaluated(outcome, inputs, with_forces=False), _chain_force(image)))
    return found, left


def _run(
    ordered: list[Structure], task: VaspTask, settings: NebSettings, *, name: str, done: int
) -> Path:
    from pymatgen.io.vasp import Poscar  # noqa: PLC0415  (a second to import)

    n_steps = min(_STEPS_PER_RUN, max(settings.max_steps - done, 1))
    inputs = band_inputs(
        task.level,
        ordered[0],
        n_images=settings.n_images,
        fmax_ev_a=settings.fmax_ev_a,
        max_steps=n_steps,
    )
    folder = task.prepare(name, inputs)
    for number, structure in enumerate(ordered):
        image = folder / f"{number:02d}"
        image.mkdir()
        text = Poscar(structure, sort_structure=False).get_str(significant_figures=16)
        write_durably(image / "POSCAR", text.encode())
        if inputs.kpoints is not None:  # VASP 6 with HDF5 looks for it there
            write_durably(image / "KPOINTS", str(inputs.kpoints).encode())
    task.execute(folder)
    for image in _between(folder, settings):
        task.check(image)
    return folder


def _between(folder: Path, settings: NebSettings) -> list[Path]:
    return [folder / f"{number:02d}" for number in range(1, settings.n_images + 1)]


def _last_images(folder: Path, before: list[Structure]) -> list[Structure]:
    """Return the images as a run left them, if it did leave them all."""
    found = [last_structure(folder / f"{n:02d}") for n in range(1, len(before) - 1)]
    known = [one for one in found if one is not None]
    return [before[0], *known, before[-1]] if len(known) == len(found) else before


def _n_steps(folder: Path) -> int:
    return read_outcome(folder / "01").n_steps


def _left(folder: Path, settings: NebSettings) -> list[str]:
    """Say why a band has not converged; nothing where it has."""
    images = _between(folder, settings)
    force = max(_chain_force(image) for image in images)
    reasons = [] if force <= settings.fmax_ev_a else [
        f"a force of {force:.3g} eV/A is left across it, above {settings.fmax_ev_a:g}"
    ]  # fmt: skip
    for image in images:
        reasons += [f"image {image.name}: {said}" for said in read_outcome(image).unconverged()]
    return reasons


def _without_forces(folder: Path, settings: NebSettings) -> list[str]:
    """Return the images of a run that hold no force across the band."""
    images = _between(folder, settings)
    return [image.name for image in images if np.isnan(_chain_force(image))]


def _require_forces(folder: Path, settings: NebSettings) -> None:
    """Refuse a band whose forces are not known: nothing tells when it has converged.

    Raises
    ------
    EngineError
        Naming the images.
    """
    if lacking := _without_forces(folder, settings):
        raise EngineError(
            "VASP wrote no forces across the band",
            given=f"images {', '.join(lacking)} of {folder.parent.name}/{folder.name}",
            allowed="a VASP built with VTST, which knows climbing images, and a whole OUTCAR",
            remedy="build VASP with VTST, or look at the OUTCAR of these images; then run it again",
        )


def _chain_force(image: Path) -> float:
    """Return the largest force across the band in the last step; NaN where VTST wrote none."""
    path = image / "OUTCAR"
    packed = image / "OUTCAR.gz"
    if path.is_file():
        text = path.read_text(errors="replace")
    else:
        text = gzip.decompress(packed.read_bytes()).decode(errors="replace")
    found = _CHAIN_FORCE.findall(text)
    return float(found[-1]) if found else float("nan")


def _evaluated(outcome: VaspOutcome, inputs: VaspInputs, *, with_forces: bool = True) -> Atoms:
    """Return atoms in the order that they were given in, with what VASP said of them."""
    structure = in_order(outcome.structure, inputs.order)
    atoms: Atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    known: dict[str, Any] = {"energy": outcome.energy_ev}
    if with_forces:  # those of an image may hold the springs
        known["forces"] = outcome.forces_ev_a[np.argsort(inputs.order)]
        known["stress"] = full_3x3_to_voigt_6_stress(outcome.stress_gpa * units.GPa)
    atoms.calc = SinglePointCalculator(atoms, **known)
    return atoms
