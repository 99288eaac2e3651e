"""Relaxation and energy at the levels of theory that VASP evaluates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from ..engines.interrupts import StopRequest
from ..engines.potentials import identify, require_coverage
from ..engines.vasp_host import vasp_host
from ..engines.vasp_levels import vasp_level
from ..engines.vasp_relax import VaspTask, evaluate_with_vasp, relax_with_vasp
from ..identity import file_sha256
from ..quantity import Quantity, Status
from ..stores.claims import Claims
from ..stores.documents import FileReference, RelaxDocument, StaticDocument, StepDocument
from .chemistry import oxygen_states
from .step import LevelMaker, StepContext, StepMaker, parents_of, start_structure, step_job

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ..engines.vasp_output import VaspOrigin
    from ..engines.vasp_relax import VaspResult
    from ..stores.documents import Provenance

OUTPUT_ROLE = "vasp-"
"""Of the files of a step; the calculation and its run follow, e.g. ``vasp-relax2/run-001``."""


def vasp_task(level: str, structure: Structure, context: StepContext) -> VaspTask:
    """Return what the runs of a step share; refuses elements without a POTCAR."""
    known = identify(level)
    require_coverage(known, {e.symbol for e in structure.elements})
    context.evaluated_by = known
    context.directory.mkdir(parents=True, exist_ok=True)
    owner = context.owner
    return VaspTask(
        context.directory,
        level,
        vasp_host(),
        StopRequest(),
        walltime_s=context.walltime_s,
        for_tests=context.for_tests,
        require=owner and partial(Claims.require_unlost, context.identity, owner),
    )


def with_origin(maker: StepMaker, origin: VaspOrigin, context: StepContext) -> Provenance:
    """Describe how a document came about, with what VASP says of itself and of its POTCARs."""
    if context.evaluated_by is not None:
        version = f"{origin.version} {origin.subversion}".strip()
        context.evaluated_by = replace(context.evaluated_by, package_version=version)
    known = maker.provenance(context)
    packages = {f"POTCAR {title.split()[1]}": title for title in origin.titles}
    return known.model_copy(update={"packages": known.packages | packages})


@dataclass
class VaspMaker(LevelMaker):
    """Base of the Makers that run VASP."""

    level: str = "vasp-r2scan"

    def _provenance(self, result: VaspResult, context: StepContext) -> Provenance:
        context.n_resumes = result.n_resumes
        return with_origin(self, result.outcome, context)

    def _files(self, result: VaspResult, context: StepContext) -> list[FileReference]:
        return [
            FileReference(
                path=path.relative_to(context.files_dir).as_posix(),
                sha256=file_sha256(path),
                n_bytes=path.stat().st_size,
                role=f"{OUTPUT_ROLE}{name}",
            )
            for name, path in result.files.items()
        ]


@dataclass
class VaspRelaxMaker(VaspMaker):
    """Relax a structure with VASP, then evaluate its energy: glasses, crystals, hull phases alike.

    Stopped by a walltime, a signal or a failure and run again, it goes on from the last whole
    structure.

    Attributes
    ----------
    level
        A level of theory of VASP.
    fmax_ev_a
        Largest force on an atom at convergence (eV/A); where the level asks for less, that holds.
    cell
        Relax the cell too.
    max_steps
        Ionic steps of each relaxation after which the result counts as ``unconverged``.
    """

    name: str = "relax"
    fmax_ev_a: float = 0.05
    cell: bool = True
    max_steps: int = 500

    kind: ClassVar[str] = "relax"
    code_version: ClassVar[int] = 1

    @property
    def criterion_ev_a(self) -> float:
        """The force that counts: what was asked for, or the level's own where that is less."""
        return min(self.fmax_ev_a, vasp_level(self.level).fmax_ev_a)

    def physics(self) -> dict[str, Any]:
        """Return what decides the result; a criterion above the level's changes nothing."""
        return super().physics() | {"fmax_ev_a": self.criterion_ev_a, "engine": "vasp"}

    @step_job()
    def make(
        self, start: Structure | StepDocument, parents: dict[str, str] | None = None
    ) -> RelaxDocument | dict[str, Any]:
        """Relax `start`, a structure or the document of the step that made one.

        Raises
        ------
        CoverageError
            If there is no POTCAR for an element.
        InputError
            If the step before broke down.
        EngineError
            If VASP failed; names the cause.
        """
        structure = start_structure(start)
        return self.run_step(
            lambda context: self._relax(structure, context), parents or parents_of(start)
        )

    def _relax(self, structure: Structure, context: StepContext) -> RelaxDocument:
        task = vasp_task(self.level, structure, context)
        report = context.progress(self.max_steps).stage("relax", self.max_steps)
        task.on_steps = lambda n: report(min(n, self.max_steps), self.max_steps)
        result = relax_with_vasp(
            structure,
            task,
            fmax_ev_a=self.criterion_ev_a,
            max_steps=self.max_steps,
            cell=self.cell,
        )
        outcome = result.outcome
        return RelaxDocument(
            identity=context.identity,
            status=result.status,
            note=_note(result),
            provenance=self._provenance(result, context),
            files=self._files(result, context),
            structure=result.structure,
            level=self.level,
            energy_ev_per_atom=_energy(result),
            max_force_ev_a=outcome.max_force_ev_a,
            max_stress_gpa=outcome.max_stress_gpa,
            n_steps=result.n_steps,
            density_g_cm3=float(result.structure.density),
            oxygen=oxygen_states(result.structure),
        )


@dataclass
class VaspStaticMaker(VaspMaker):
    """Energy, forces and stress of a structure as it is.

    Attributes
    ----------
    level
        A level of theory of VASP.
    labels
        For training: Gaussian smearing whatever the mesh, so that many frames go together.
    """

    name: str = "static"
    labels: bool = False

    kind: ClassVar[str] = "static"
    code_version: ClassVar[int] = 1

    def physics(self) -> dict[str, Any]:
        """Return what decides the result."""
        return super().physics() | {"engine": "vasp"}

    @step_job()
    def make(
        self, start: Structure | StepDocument, parents: dict[str, str] | None = None
    ) -> StaticDocument | dict[str, Any]:
        """Evaluate `start`; errors as of `VaspRelaxMaker`."""
        structure = start_structure(start)
        return self.run_step(
            lambda context: self._evaluate(structure, context), parents or parents_of(start)
        )

    def _evaluate(self, structure: Structure, context: StepContext) -> StaticDocument:
        task = vasp_task(self.level, structure, context)
        result = evaluate_with_vasp(structure, task, labels=self.labels)
        return StaticDocument(
            identity=context.identity,
            status=result.status,
            note=_note(result),
            provenance=self._provenance(result, context),
            files=self._files(result, context),
            structure=result.structure,
            level=self.level,
            energy_ev_per_atom=_energy(result),
            max_force_ev_a=result.outcome.max_force_ev_a,
            max_stress_gpa=result.outcome.max_stress_gpa,
        )


def _energy(result: VaspResult) -> Quantity:
    value = result.outcome.energy_ev / len(result.structure)
    return Quantity(value, status=result.status, note=result.note)


def _note(result: VaspResult) -> str:
    """Say what is left, and what custodian changed."""
    corrected = [f"custodian corrected {said}" for said in result.corrections]
    notes = [result.note] if result.status is not Status.OK else []
    return "; ".join([*notes, *corrected])
