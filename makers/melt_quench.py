"""A glass from packed formula units: melt, hold, quench, equilibrate the density."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pymatgen.io.ase import AseAtomsAdaptor

from ..analysis.evidence import Evidence
from ..analysis.glass import GROWTH, amorphous_evidence, melting_evidence
from ..engines.potentials import require_coverage
from ..engines.trajectory import TrajectoryReader
from ..identity import content_hash, structure_hash
from ..quantity import Quantity, Status
from ..stores.documents import MeltQuenchDocument
from ..stores.summary import MIN_DENSITY_RATIO
from ..systems.mixture import DEFAULT_N_MOBILE
from ..systems.packing import PackedBox, pack
from ..systems.phases import get_phase
from .chemistry import (
    anion_bonds,
    crystal_of,
    final_structure,
    glass_evidence,
    mixture_of,
    oxygen_states,
    symbols_of,
)
from .domain_check import domain_report, domain_verdict
from .glass_run import GlassRun
from .guards import decomposition
from .protocol import MeltQuenchProtocol
from .step import LevelMaker, StepContext, step_job
from .together import evaluates_together

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ..engines.md import MDResult
    from ..systems.mixture import Mixture


@dataclass
class MeltQuenchMaker(LevelMaker):
    """Make one glass; other seeds are other steps.

    Attributes
    ----------
    level
        Level of theory (the name of a potential).
    seed
        Of packing, velocities and thermostat.
    protocol
        Temperatures and lengths.
    n_mobile
        Mobile ions at least, or
    n_atoms
        the number of atoms to come near to, if given.
    crystal_phase_id
        Crystal of this composition in the phase library, if there is one, to compare with.
    """

    name: str = "melt_quench"
    level: str = "chgnet-r2scan-d3"
    seed: int = 1
    protocol: MeltQuenchProtocol = field(default_factory=MeltQuenchProtocol)
    n_mobile: int = DEFAULT_N_MOBILE
    n_atoms: int | None = None
    mobile: str = "Na"
    crystal_phase_id: str | None = None

    kind: ClassVar[str] = "melt_quench"
    code_version: ClassVar[int] = 2

    @property
    def runs_beside_others(self) -> bool:
        """Where torch-sim evaluates the level."""
        return evaluates_together(self.level)

    def physics(self) -> dict[str, Any]:
        """Return what decides the result, with the packer and the crystal to compare with."""
        crystal = get_phase(self.crystal_phase_id).structure() if self.crystal_phase_id else None
        return super().physics() | {
            "protocol": self.protocol.model_dump(exclude=set(self.not_physics)),
            "n_mobile": self.n_mobile if self.n_atoms is None else None,
            "packmol": _packmol_version(),
            "crystal": None if crystal is None else structure_hash(crystal),
        }

    @step_job()
    def make(
        self, mixture: dict[str, Any], parents: dict[str, str] | None = None
    ) -> MeltQuenchDocument | dict[str, Any]:
        """Make a glass of `mixture`, given as ``Mixture.canonical()``.

        Raises
        ------
        CompositionError
            If it cannot be realised or packed at this size.
        CoverageError
            If the potential does not know an element.
        """
        known = parents or parents_of_mixture(mixture)
        return self.run_step(lambda context: self._make_glass(mixture_of(mixture), context), known)

    def _make_glass(self, mixture: Mixture, context: StepContext) -> MeltQuenchDocument:
        potential = context.load(self.level)
        require_coverage(potential.identity, {e.symbol for e in mixture.composition.elements})
        box = self._pack(mixture)
        run = GlassRun(self.protocol, self.seed, potential, context)
        run.prerelax(AseAtomsAdaptor.get_atoms(box.structure, msonable=False))
        run.melt()
        run.quench()
        run.equilibrate()
        context.n_resumes = sum(part.n_resumes for part in run.parts.values())
        return self._document(mixture, box, run, context)

    def _pack(self, mixture: Mixture) -> PackedBox:
        size = (
            {"target_n_mobile": self.n_mobile}
            if self.n_atoms is None
            else {"target_n_atoms": self.n_atoms}
        )
        units = mixture.integer_units(**size, mobile=self.mobile)
        scale = self.protocol.density_scale
        return pack(mixture, units, seed=self.seed, density_scale=scale)

    def _document(
        self, mixture: Mixture, box: PackedBox, run: GlassRun, context: StepContext
    ) -> MeltQuenchDocument:
        last = run.last
        structure = final_structure(last)
        crystal = get_phase(self.crystal_phase_id).structure() if self.crystal_phase_id else None
        melted = amorphous = Evidence(
            holds=False, criterion="not judged: the run ended early", numbers={}
        )
        if not run.broken:
            melted = _melted(run.parts.get("hold") or run.parts["melt"], mixture, self.mobile)
            amorphous = _amorphous(last, crystal)
        bonds = anion_bonds(structure, mixture.anions())
        status, note = last.status, last.note
        if status is Status.OK:
            status, note = self._judge(mixture, box, bonds, melted, amorphous)
        report = domain_report(self.level, last, context)
        if status is Status.OK:
            status, note = domain_verdict(report)
        density = run.density(status, note)
        crystal_density = None if crystal is None else float(crystal.density)
        reference = crystal_density or box.density_components_g_cm3
        ratio = (density.value or float(structure.density)) / reference
        return MeltQuenchDocument(
            identity=context.identity,
            status=status,
            note=note,
            provenance=self.provenance(context),
            files=context.trajectories(run.parts),
            structure=structure,
            level=run.potential.identity.level,
            seed=self.seed,
            energy_ev_per_atom=Quantity(
                _energy_ev(last, len(structure)),
                status=status,
                note="potential energy of the last frame",
            ),
            melt_temperature_k=self.protocol.melt_temperature_k,
            final_temperature_k=self.protocol.final_temperature_k,
            quench_rate_k_s=self.protocol.quench_rate_k_s,
            density_g_cm3=density,
            density_blocks_g_cm3=run.density_blocks,
            density_crystal_g_cm3=crystal_density,
            density_components_g_cm3=box.density_components_g_cm3,
            density_ratio=ratio,
            density_warning=_density_warning(ratio, crystal=crystal is not None),
            melted=glass_evidence(melted),
            amorphous=glass_evidence(amorphous),
            oxygen=oxygen_states(structure),
            bonds=bonds,
            domain=report,
        )

    def _judge(
        self,
        mixture: Mixture,
        box: PackedBox,
        bonds: dict[str, int],
        melted: Evidence,
        amorphous: Evidence,
    ) -> tuple[Status, str]:
        """Return what the sample is, the worst first, and why it is no glass."""
        broken = decomposition(
            symbols_of(box.structure), bonds, _peroxides(mixture, box), anions=mixture.anions()
        )
        if broken:
            return Status.DECOMPOSED, broken
        if not melted.holds:
            return Status.NOT_MELTED, f"not melted: {_slow(melted)}"
        if not amorphous.holds:
            ratio = amorphous.numbers["strongest_reflection_ratio"]
            return Status.CRYSTALLISED, f"a reflection at {ratio:.0f} times the diffuse scattering"
        return Status.OK, ""


def parents_of_mixture(canonical: dict[str, Any]) -> dict[str, str]:
    """Return the parent of a glass of ``Mixture.canonical()``: it and the volumes it is packed at.

    Raises
    ------
    CompositionError
        If the volume of a component is not known.
    """
    parts = mixture_of(canonical).amounts
    volumes = {part.formula: round(part.volume_a3_per_formula, 6) for part in parts}
    return {"mixture": content_hash({"mixture": canonical, "volumes_a3": volumes})}


@cache
def _packmol_version() -> str | None:
    try:
        return version("packmol")
    except PackageNotFoundError:  # packmol is an extra
        return None


def _melted(hot: MDResult, mixture: Mixture, mobile: str) -> Evidence:
    reader = TrajectoryReader(hot.trajectory)
    network = [*mixture.formers(mobile), *mixture.anions()]
    return melting_evidence(
        reader.positions(), reader.cells(), reader.species.tolist(), network, unwrapped=True
    )


def _slow(melted: Evidence) -> str:
    """Say which species had not left their places, or had stopped moving."""
    numbers = melted.numbers
    found = []
    for key, msd in numbers.items():
        if not key.startswith("msd_"):
            continue
        symbol = key.split("_")[1]
        wanted = numbers[f"nearest_neighbour_{symbol}_a"] ** 2
        if msd <= wanted:
            found.append(f"MSD of {symbol} {msd:.1f} A^2, {wanted:.1f} wanted")
        elif numbers[f"growth_{symbol}"] < GROWTH:
            found.append(f"{symbol} no longer moving away")
    return ", ".join(found) or "too few frames"


def _amorphous(last: MDResult, crystal: Structure | None) -> Evidence:
    reader = TrajectoryReader(last.trajectory)
    half = reader.n_frames // 2
    return amorphous_evidence(
        reader.positions(half),
        reader.cells(half),
        reader.species.tolist(),
        reference=None if crystal is None else crystal_of(crystal),
    )


def _peroxides(mixture: Mixture, box: PackedBox) -> int:
    """Return the number of O-O bonds that were packed."""
    parts = [part for part in mixture.amounts if part.is_peroxide]
    return sum(round(part.composition["O"] * box.units.counts[part.formula]) // 2 for part in parts)


def _energy_ev(last: MDResult, n_atoms: int) -> float | None:
    """Return the potential energy per atom where the run had one at its end."""
    if last.atoms.calc is None:
        return None
    energy = float(last.atoms.get_potential_energy()) / n_atoms
    return energy if np.isfinite(energy) else None


def _density_warning(ratio: float, *, crystal: bool) -> str:
    if ratio >= MIN_DENSITY_RATIO:
        return ""
    of = "its crystal's" if crystal else "its components'"
    return (
        f"the density is {ratio:.2f} of {of}, below {MIN_DENSITY_RATIO}: not equilibrated, "
        "or bound too weakly at this level; do not trust its transport"
    )
