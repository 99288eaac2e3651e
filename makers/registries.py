"""Energies of the ways in which the chains of a crystal sit beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor

from ..engines.potentials import require_coverage
from ..engines.relax import relax
from ..engines.relax_settings import RelaxSettings
from ..quantity import Quantity, Status, worst
from ..stores.registry_documents import RegistryDocument, RegistryEnergy
from ..systems.registries import chain_registries
from .from_structure import StructureMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymatgen.core import Structure

    from ..engines.potentials import Potential
    from ..engines.relax_settings import RelaxResult
    from ..systems.registries import Registry
    from .step import StepContext

_BROKEN = (Status.DIVERGED, Status.FAILED)
_MEV_PER_EV = 1000.0
_SAME: dict[str, float] = {"ltol": 0.05, "stol": 0.05, "angle_tol": 3.0}
"""Tolerances for one structure: an M on the other side of its bridges is another one."""


@dataclass
class RegistryMaker(StructureMaker):
    """Relax every chain registry of a crystal and compare their energies.

    Attributes
    ----------
    level
        Level of theory (the name of a potential).
    former, bridging
        Centres of the octahedra and the anions that link them to chains.
    shifts
        Shifts of a chain to try, in M-M repeats.
    off_centre_a
        Displacement of M from the middle of its bridges at the start, A; ``None`` to vary the
        shifts alone.
    fmax_ev_a
        Largest force on an atom, and largest cell gradient, at convergence (eV/A).
    max_steps
        Steps of each relaxation after which it counts as ``unconverged``.
    checkpoint_interval
        Steps between checkpoints.
    """

    name: str = "registries"
    level: str = "chgnet-r2scan"
    former: str = "Ta"
    bridging: str = "O"
    shifts: tuple[float, ...] = (0.0, 0.5)
    off_centre_a: float | None = 0.2
    fmax_ev_a: float = 0.05
    max_steps: int = 500
    checkpoint_interval: int = 50

    kind: ClassVar[str] = "registries"
    code_version: ClassVar[int] = 1

    def work(self, structure: Structure, context: StepContext) -> RegistryDocument:
        """Enumerate and relax the registries of a crystal.

        Raises
        ------
        InputError
            If the crystal has no chains, or too many arrangements.
        """
        registries = chain_registries(
            structure,
            self.former,
            bridging=self.bridging,
            shifts=self.shifts,
            off_centre_a=self.off_centre_a,
        )
        potential = context.load(self.level)
        require_coverage(potential.identity, {e.symbol for e in structure.elements})
        progress = context.progress(self.max_steps * len(registries))
        results = []
        for number, registry in enumerate(registries):
            report = progress.stage(f"registry {registry.label}", self.max_steps)
            results.append(self._relax(registry, number, potential, context, report))
            context.n_resumes = max(context.n_resumes, results[-1].n_resumes)
        status = worst(*(result.status for result in results))
        return RegistryDocument(
            identity=context.identity,
            status=status,
            note="; ".join(
                f"{registry.label}: {result.note}"
                for registry, result in zip(registries, results, strict=True)
                if result.status is not Status.OK
            ),
            provenance=self.provenance(context),
            level=potential.identity.level,
            former=self.former,
            bridging=self.bridging,
            registries=_by_energy(registries, results),
        )

    def _relax(
        self,
        registry: Registry,
        number: int,
        potential: Potential,
        context: StepContext,
        report: Callable[[int, int], None],
    ) -> RelaxResult:
        return relax(
            AseAtomsAdaptor.get_atoms(registry.structure, msonable=False),
            potential.calculator,
            context.directory / f"registry-{number:03d}",
            RelaxSettings(
                fmax_ev_a=self.fmax_ev_a,
                max_steps=self.max_steps,
                checkpoint_interval=self.checkpoint_interval,
            ),
            on_progress=report,
            signature=f"{context.identity} {registry.label}",
            walltime_s=context.walltime_s,
        )


def _by_energy(
    registries: Sequence[Registry], results: Sequence[RelaxResult]
) -> list[RegistryEnergy]:
    """Return the registries, lowest energy first; those that broke down come last."""
    order = sorted(
        range(len(results)), key=lambda i: (results[i].status in _BROKEN, results[i].energy_ev)
    )
    lowest = results[order[0]]
    matcher = StructureMatcher(primitive_cell=False, scale=False, **_SAME)
    found: list[RegistryEnergy] = []
    for i in order:
        registry, result = registries[i], results[i]
        relaxed = AseAtomsAdaptor.get_structure(result.atoms)
        known = (r for r in found if r.relaxed_into is None and matcher.fit(r.structure, relaxed))
        same = next(known, None)
        energy = None if result.status in _BROKEN else result.energy_ev / len(relaxed)
        above = None if energy is None else energy - lowest.energy_ev / len(relaxed)
        status = worst(result.status, lowest.status)
        note = result.note or lowest.note
        found.append(
            RegistryEnergy(
                label=registry.label,
                shifts=list(registry.shifts),
                polarities=list(registry.polarities),
                multiplicity=registry.multiplicity,
                structure=relaxed,
                energy_ev_per_atom=Quantity(energy, status=result.status, note=result.note),
                relative_energy_mev_per_atom=Quantity(
                    None if above is None else above * _MEV_PER_EV, status=status, note=note
                ),
                relaxed_into=None if same is None else same.label,
                n_steps=result.n_steps,
                max_force_ev_a=result.max_force_ev_a,
            )
        )
    return found
