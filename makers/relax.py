"""Relaxation of cell and atoms, and the energy of a structure as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pymatgen.io.ase import AseAtomsAdaptor

from ..engines.gpaw_levels import is_gpaw
from ..engines.potentials import require_coverage
from ..engines.relax import relax
from ..engines.relax_settings import RelaxSettings
from ..quantity import Quantity, Status
from ..stores.documents import RelaxDocument, StaticDocument
from ..units import EV_PER_A3_IN_GPA
from .chemistry import oxygen_states
from .from_structure import StructureMaker

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from .step import StepContext


@dataclass
class RelaxMaker(StructureMaker):
    """Relax a structure; killed and run again, it goes on where it was.

    By FIRE; at a level of GPAW, where a step costs minutes, by BFGS with a checkpoint each.

    Attributes
    ----------
    level
        Level of theory (the name of a potential).
    fmax_ev_a
        Largest force on an atom, and largest cell gradient, at convergence (eV/A).
    cell
        ``"full"``, ``"isotropic"`` or ``None`` for a fixed cell.
    max_steps
        Steps after which the result counts as ``unconverged``.
    checkpoint_interval
        Steps between checkpoints.
    """

    name: str = "relax"
    level: str = "chgnet-r2scan"
    fmax_ev_a: float = 0.05
    cell: Literal["full", "isotropic"] | None = "full"
    max_steps: int = 500
    checkpoint_interval: int = 50

    kind: ClassVar[str] = "relax"
    code_version: ClassVar[int] = 1

    def work(self, structure: Structure, context: StepContext) -> RelaxDocument:
        """Relax `structure`."""
        potential = context.load(self.level)
        require_coverage(potential.identity, {e.symbol for e in structure.elements})
        progress = context.progress(self.max_steps)
        by_dft = is_gpaw(self.level)
        result = relax(
            AseAtomsAdaptor.get_atoms(structure, msonable=False),
            potential.calculator,
            context.directory,
            RelaxSettings(
                fmax_ev_a=self.fmax_ev_a,
                cell=self.cell,
                max_steps=self.max_steps,
                optimizer="BFGS" if by_dft else "FIRE",
                checkpoint_interval=1 if by_dft else self.checkpoint_interval,
            ),
            on_progress=progress.stage("relax", self.max_steps),
            signature=context.identity,
            walltime_s=context.walltime_s,
        )
        context.n_resumes = result.n_resumes
        relaxed = AseAtomsAdaptor.get_structure(result.atoms)
        return RelaxDocument(
            identity=context.identity,
            status=result.status,
            note=result.note,
            provenance=self.provenance(context),
            structure=relaxed,
            level=potential.identity.level,
            energy_ev_per_atom=Quantity(
                result.energy_ev / len(relaxed), status=result.status, note=result.note
            ),
            max_force_ev_a=result.max_force_ev_a,
            max_stress_gpa=result.max_stress_gpa,
            n_steps=result.n_steps,
            density_g_cm3=float(relaxed.density),
            oxygen=oxygen_states(relaxed),
        )


@dataclass
class StaticMaker(StructureMaker):
    """Energy, forces and stress of a structure as it is."""

    name: str = "static"
    level: str = "chgnet-r2scan"

    kind: ClassVar[str] = "static"
    code_version: ClassVar[int] = 1

    def work(self, structure: Structure, context: StepContext) -> StaticDocument:
        """Evaluate `structure`."""
        potential = context.load(self.level)
        require_coverage(potential.identity, {e.symbol for e in structure.elements})
        atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
        atoms.calc = potential.calculator
        energy = float(atoms.get_potential_energy())
        finite = np.isfinite(energy)
        status = Status.OK if finite else Status.DIVERGED
        return StaticDocument(
            identity=context.identity,
            status=status,
            note="" if finite else "the energy is not finite",
            provenance=self.provenance(context),
            structure=structure,
            level=potential.identity.level,
            energy_ev_per_atom=Quantity(energy / len(structure) if finite else None, status=status),
            max_force_ev_a=float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
            max_stress_gpa=float(np.abs(atoms.get_stress()).max() * EV_PER_A3_IN_GPA),
        )
