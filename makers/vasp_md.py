"""Molecular dynamics by VASP as a step: forces of DFT, documents as of any other run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import units
from pymatgen.io.ase import AseAtomsAdaptor

from ..engines.md import MDResult
from ..engines.trajectory import TrajectoryReader
from ..engines.vasp_inputs import MDSegment
from ..engines.vasp_md import run_segments
from ..engines.vasp_relax import tidy_step
from ..quantity import Status
from .guards import dynamics_guards
from .md import MDMaker
from .vasp import vasp_task, with_origin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ase import Atoms
    from pymatgen.core import Structure

    from ..engines.guards import Guard
    from ..engines.vasp_md import SegmentResult
    from ..stores.documents import MDDocument
    from .step import StepContext

_A_PER_FS = units.fs
"""ASE's unit of velocity."""
ENSEMBLE = "npt-full (Langevin) then nvt (Nose-Hoover)"


@dataclass
class VaspMDMaker(MDMaker):
    """Run AIMD: equilibration at constant pressure, then production at constant volume.

    The fields are those of :class:`~haloflow.makers.md.MDMaker`. VASP changes the shape of every
    cell at constant pressure, and ties nothing with springs.
    """

    level: str = "vasp-pbe"

    code_version: ClassVar[int] = 1

    def physics(self) -> dict[str, Any]:
        """Return what decides the result."""
        return super().physics() | {"engine": "vasp"}

    def simulate(self, structure: Structure, context: StepContext) -> MDDocument:
        """Run in the folder of `context`, or go on there, and describe the run."""
        task = vasp_task(self.level, structure, context)
        progress = context.progress(self.n_steps)
        parts: dict[str, MDResult] = {}
        for name, settings in self._parts().items():
            segment = MDSegment(
                name,
                settings.n_steps,
                self.temperature_k,
                self.temperature_k,
                self.timestep_fs,
                "npt" if settings.ensemble.startswith("npt") else "nvt",
                pressure_gpa=settings.pressure_gpa,
            )
            found = run_segments(
                structure,
                task,
                [segment],
                seed=settings.seed,
                trajectory_interval=self.trajectory_interval,
                signature=context.identity,
                on_segment=progress.stage,
            )[name]
            atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
            parts[name] = judged(found, dynamics_guards(atoms, settings, self._stage))
            if parts[name].status is not Status.OK:
                break
            structure = _next_start(parts[name])
        context.n_resumes = sum(part.n_resumes for part in parts.values())
        document = self._document(parts, context)
        origin = task.check(task.runs(next(reversed(parts)))[-1])
        provenance = with_origin(self, origin, context)
        tidy_step(task.directory)
        return document.model_copy(update={"ensemble": ENSEMBLE, "provenance": provenance})


def judged(found: SegmentResult, guards: Iterable[Guard]) -> MDResult:
    """Return a stretch as any run, looked at by `guards` where it ended."""
    looks = (guard(found.end, found.n_steps) for guard in guards)
    verdict = next((one for one in looks if one is not None), None)
    return MDResult(
        status=Status.OK if verdict is None else verdict.status,
        note="" if verdict is None else verdict.note,
        n_steps=found.n_steps,
        atoms=found.end,
        trajectory=found.trajectory,
        thermo=TrajectoryReader(list(found.trajectory)).thermo(),
        n_resumes=found.n_runs - 1,
        wall_s=0.0,
    )


def moving(atoms: Atoms) -> Structure:
    """Return atoms as a structure with velocities, for VASP to go on from."""
    structure: Structure = AseAtomsAdaptor.get_structure(atoms)
    if "momenta" in structure.site_properties:
        structure.remove_site_property("momenta")
    if np.any(velocities := atoms.get_velocities()):  # at rest, VASP draws them
        structure.add_site_property("velocities", (velocities * _A_PER_FS).tolist())
    return structure


def _next_start(equilibration: MDResult) -> Structure:
    """Return the last atoms, with velocities, in the mean cell of the second half of the run.

    Production at constant volume would otherwise inherit the fluctuation of a single frame.
    """
    reader = TrajectoryReader(list(equilibration.trajectory))
    atoms = equilibration.atoms.copy()
    cells = reader.cells(reader.n_frames // 2)
    if len(cells):
        atoms.set_cell(np.mean(cells, axis=0), scale_atoms=True)
    return moving(atoms)
