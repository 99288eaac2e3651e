"""Barriers of single hops by VASP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pymatgen.io.ase import AseAtomsAdaptor

from ..engines.durable import sole_use
from ..engines.vasp_neb import find_barrier_with_vasp, relaxed_atoms
from ..engines.vasp_relax import tidy_step
from .neb import NebMaker, ends_of
from .vasp import vasp_task, with_origin

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

    from ..analysis.frames import FloatArray
    from ..analysis.hop_pairs import Hop
    from ..engines.neb_images import NebResult
    from ..stores.analyses import LandscapeDocument
    from ..stores.barrier_documents import BarriersDocument
    from .step import StepContext

_VACANCY: Final = (
    "a neutral atom was taken out and no charge was added: the cell is short of one electron "
    "beside the ion, and the anions share the hole"
)


@dataclass
class VaspNebMaker(NebMaker):
    """Find hops and their barriers with forces of VASP, which must know VTST.

    The fields are those of :class:`~haloflow.makers.neb.NebMaker`; a neutral vacancy would leave
    a hole in the electrons, so that hops into empty sites are the default.
    """

    level: str = "vasp-r2scan"
    into: Literal["vacancy", "empty"] = "empty"

    code_version: ClassVar[int] = 2

    def physics(self) -> dict[str, Any]:
        """Return what decides the result."""
        return super().physics() | {"engine": "vasp"}

    @property
    def charge_note(self) -> str:
        """What is done about the charge of the ion."""
        return _VACANCY if self.into == "vacancy" else super().charge_note

    def _barriers(
        self, structure: Structure, landscape: LandscapeDocument | None, context: StepContext
    ) -> BarriersDocument:
        found = super()._barriers(structure, landscape, context)
        task = vasp_task(self.level, structure, context)
        origin = task.check(task.runs("host")[-1])
        tidy_step(task.directory)
        return found.model_copy(update={"provenance": with_origin(self, origin, context)})

    def _relaxed(self, structure: Structure, context: StepContext) -> tuple[Atoms, str]:
        """Return the atoms at rest in their cell, and what is left to converge."""
        report = context.progress(self.max_steps).stage("host", self.max_steps)
        task = vasp_task(self.level, structure, context)
        task.on_steps = lambda n: report(min(n, self.max_steps), self.max_steps)
        atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
        with sole_use(task.directory), task.stop.trap_signals():
            relaxed, left = relaxed_atoms(atoms, task, self.settings_of_band, name="host")
        context.n_resumes += task.n_resumes
        return relaxed, "; ".join(left)

    def _barrier(
        self, host: Atoms, hop: Hop, number: int, route: FloatArray | None, context: StepContext
    ) -> NebResult:
        task = vasp_task(self.level, AseAtomsAdaptor.get_structure(host), context)
        total = 4 * self.max_steps
        report = context.progress(total).stage(f"hop {number + 1}", total)
        task.on_steps = lambda n: report(min(n, total), total)
        result = find_barrier_with_vasp(
            ends_of(host, hop),
            hop.ion,
            task,
            self.settings_of_band,
            name=f"hop-{number:03d}",
            route=route,
        )
        context.n_resumes += result.n_resumes
        return result
