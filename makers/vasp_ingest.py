"""VASP runs made elsewhere as documents of the store."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..engines.potentials import identify
from ..engines.trajectory import TrajectoryReader
from ..engines.vasp_ingest import examine
from ..engines.vasp_md import trajectory_of
from ..identity import file_sha256
from ..quantity import Quantity, Status
from ..stores.documents import MDDocument, RelaxDocument, StaticDocument
from ..units import density_g_cm3
from .chemistry import oxygen_states
from .references import reference_to
from .step import StepContext, StepMaker, step_job
from .vasp import OUTPUT_ROLE, with_origin
from .vasp_md import judged

if TYPE_CHECKING:
    from ..engines.vasp_ingest import ForeignRun
    from ..stores.documents import FileReference

CELL_NOTE = "energy of the relaxation itself, in the plane waves of its first cell"


@dataclass
class IngestMaker(StepMaker):
    """Take one VASP run that passed the gates; known by the content of its vasprun.xml."""

    name: str = "ingest"

    kind: ClassVar[str] = "ingest"
    code_version: ClassVar[int] = 2

    @step_job()
    def make(
        self, folder: str, parents: dict[str, str] | None = None
    ) -> RelaxDocument | StaticDocument | MDDocument | dict[str, Any]:
        """Take the run in `folder`; its vasprun.xml is copied into the store's files.

        Raises
        ------
        EngineError, PotentialError, InputError
            If it cannot be taken, with the reason.
        """

        def work(context: StepContext) -> RelaxDocument | StaticDocument | MDDocument:
            run = examine(Path(folder), for_tests=context.for_tests)
            return self._document(run, context)

        return self.run_step(work, parents or parents_of_folder(Path(folder)))

    def _document(
        self, run: ForeignRun, context: StepContext
    ) -> RelaxDocument | StaticDocument | MDDocument:
        outcome = run.outcome
        context.evaluated_by = identify(run.level)
        if run.kind == "md":
            return self._dynamics(run, context)
        structure = outcome.structure
        shared: dict[str, Any] = {
            "identity": context.identity,
            "provenance": with_origin(self, outcome, context),
            "files": [_copied(run, context)],
            "structure": structure,
            "level": run.level,
            "energy_ev_per_atom": Quantity(outcome.energy_ev / len(structure)),
            "max_force_ev_a": outcome.max_force_ev_a,
            "max_stress_gpa": outcome.max_stress_gpa,
        }
        if run.kind == "static":
            return StaticDocument(**shared)
        return RelaxDocument(
            **shared,
            note=CELL_NOTE,
            n_steps=outcome.n_steps,
            density_g_cm3=float(structure.density),
            oxygen=oxygen_states(structure),
        )

    def _dynamics(self, run: ForeignRun, context: StepContext) -> MDDocument:
        """Return a run of MD with its trajectory, every step of it."""
        segment = run.segment
        assert segment is not None
        context.directory.mkdir(parents=True, exist_ok=True)
        found = trajectory_of(
            run.path.parent,
            segment,
            run.start,
            context.directory / "production",
            signature=context.identity,
        )
        thermo = TrajectoryReader(list(found.trajectory)).thermo()
        mass = float(run.outcome.structure.composition.weight)
        densities = [density_g_cm3(mass, float(volume)) for volume in thermo["volume_a3"]]
        parts = {"production": judged(found, ())}
        return MDDocument(
            identity=context.identity,
            status=Status.OK if run.is_whole else Status.UNCONVERGED,
            note=run.note,
            provenance=with_origin(self, run.outcome, context),
            files=[_copied(run, context), *context.trajectories(parts)],
            level=run.level,
            ensemble=f"{segment.ensemble} (VASP)",
            temperature_k=(segment.start_k + segment.end_k) / 2,
            temperature_mean_k=float(np.mean(found.temperatures_k)),
            timestep_fs=segment.timestep_fs,
            n_steps=found.n_steps,
            n_steps_target=run.outcome.n_steps_asked,
            seed=0,
            density_g_cm3=Quantity(float(np.mean(densities))),
            trajectory_interval_steps=1,
            structure=run.outcome.structure,
        )


def parents_of_folder(folder: Path) -> dict[str, str]:
    """Return what a run in `folder` is known by: the content of its vasprun.xml, unpacked."""
    plain = folder / "vasprun.xml"
    if plain.is_file():
        return {"vasprun": file_sha256(plain)}
    return {"vasprun": _sha256_unpacked(folder / "vasprun.xml.gz")}


def _sha256_unpacked(path: Path) -> str:
    with gzip.open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copied(run: ForeignRun, context: StepContext) -> FileReference:
    context.directory.mkdir(parents=True, exist_ok=True)
    target = context.directory / run.path.name
    partial = target.with_name(f"{target.name}.tmp")
    shutil.copyfile(run.path, partial)
    partial.replace(target)
    return reference_to(target, f"{OUTPUT_ROLE}{run.kind}", context)
