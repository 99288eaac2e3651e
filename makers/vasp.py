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
from ..quantity import Quantity, Status
from ..stores.claims import Claims
from ..stores.documents import RelaxDocument, StaticDocument
from .chemistry import oxygen_states
from .from_structure import StructureMaker
from .references import reference_to

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ..engines.vasp_output import VaspOrigin
    from ..engines.vasp_relax import VaspResult
    from ..stores.documents import FileReference, Provenance
    from .step import StepContext, StepMaker

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
        require=None if owner is None else partial(Claims.require_unlost, context.identity, owner),
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
class VaspMaker(StructureMaker):
    """Base of the Makers that run VASP."""

    level: str = "vasp-r2scan"

    def _common(self, result: VaspResult, context: StepContext) -> dict[str, Any]:
        """Return the fields of any document of a run."""
        context.n_resumes = result.n_resumes
        outcome, structure = result.outcome, result.structure
        return {
            "identity": context.identity,
            "status": result.status,
            "note": note_of(result),
            "provenance": with_origin(self, outcome, context),
            "files": files_of(result, context),
            "structure": structure,
            "level": self.level,
            "energy_ev_per_atom": Quantity(
                outcome.energy_ev / len(structure), status=result.status, note=result.note
            ),
            "max_force_ev_a": outcome.max_force_ev_a,
            "max_stress_gpa": outcome.max_stress_gpa,
        }


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

    def work(self, structure: Structure, context: StepContext) -> RelaxDocument:
        """Relax `structure`."""
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
        return RelaxDocument(
            **self._common(result, context),
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

    def work(self, structure: Structure, context: StepContext) -> StaticDocument:
        """Evaluate `structure`."""
        task = vasp_task(self.level, structure, context)
        result = evaluate_with_vasp(structure, task, labels=self.labels)
        return StaticDocument(**self._common(result, context))


def files_of(result: VaspResult, context: StepContext) -> list[FileReference]:
    """Refer to the output of a step that is kept."""
    return [
        reference_to(path, f"{OUTPUT_ROLE}{name}", context) for name, path in result.files.items()
    ]


def note_of(result: VaspResult) -> str:
    """Say what is left, and what custodian changed."""
    corrected = [f"custodian corrected {said}" for said in result.corrections]
    notes = [result.note] if result.status is not Status.OK else []
    return "; ".join([*notes, *corrected])
