"""A glass from packed formula units: melt, hold, quench, equilibrate the density."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pymatgen.io.ase import AseAtomsAdaptor

from ..analysis.blocks import block_means, density_equilibrated
from ..analysis.glass import amorphous_evidence, melting_evidence
from ..engines.md import MDResult, MDSettings, run_md
from ..engines.potentials import Potential, require_coverage
from ..engines.relax import relax
from ..engines.relax_settings import RelaxSettings
from ..engines.trajectory import TrajectoryReader
from ..identity import content_hash
from ..quantity import Quantity, Status, worst
from ..stores.documents import MeltQuenchDocument
from ..systems.packing import pack
from ..units import cooling_rate_k_s, density_g_cm3
from .chemistry import anion_bonds, glass_evidence, mixture_of, oxygen_states
from .guards import dynamics_guards
from .step import StepContext, StepMaker, step_job

if TYPE_CHECKING:
    from ase import Atoms

    from ..analysis.evidence import Evidence
    from ..systems.mixture import Mixture
    from ..systems.packing import PackedBox
    from .progress import ProgressReporter

DENSITY_WARNING_RATIO = 0.85


class MeltQuenchProtocol(BaseModel):
    """How a glass is made. Times follow from steps and time step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    melt_temperature_k: float = Field(1500.0, gt=0, le=6000)
    final_temperature_k: float = Field(300.0, gt=0)
    timestep_fs: float = Field(2.0, gt=0, le=10)
    melt_steps: int = Field(10_000, ge=1, description="NVT at the melt temperature.")
    hold_steps: int = Field(5_000, ge=0, description="Further NVT; the melt is judged here.")
    quench_steps: int = Field(120_000, ge=1, description="Linear ramp down.")
    quench_ensemble: Literal["nvt", "npt"] = Field(
        "npt", description="nvt keeps the packed density until the ramp's end."
    )
    npt_block_steps: int = Field(5_000, ge=10, description="Length of a density block.")
    npt_max_blocks: int = Field(20, ge=2, description="Blocks at most.")
    density_tolerance: float = Field(0.02, gt=0, lt=1)
    density_scale: float = Field(1.0, gt=0.2, lt=2, description="Packed over component density.")
    pressure_gpa: float = 0.0
    prerelax_steps: int = Field(200, ge=0, description="FIRE steps on the packed box.")
    trajectory_interval: int = Field(50, ge=1)
    checkpoint_interval: int = Field(500, ge=1)

    @model_validator(mode="after")
    def _cools(self) -> MeltQuenchProtocol:
        if self.final_temperature_k >= self.melt_temperature_k:
            raise ValueError(
                f"final_temperature_k {self.final_temperature_k} is not below "
                f"melt_temperature_k {self.melt_temperature_k}"
            )
        return self

    @property
    def quench_rate_k_s(self) -> float:
        """Cooling rate of the ramp in K/s."""
        return cooling_rate_k_s(
            self.melt_temperature_k, self.final_temperature_k, self.quench_steps * self.timestep_fs
        )

    @property
    def max_steps(self) -> int:
        """MD and relaxation steps at most."""
        return (
            self.prerelax_steps
            + self.melt_steps
            + self.hold_steps
            + self.quench_steps
            + self.npt_block_steps * self.npt_max_blocks
        )


@dataclass
class MeltQuenchMaker(StepMaker):
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
    crystal_density_g_cm3
        Density of the crystal of this composition, if there is one, to compare with.
    """

    name: str = "melt_quench"
    level: str = "chgnet-r2scan-d3"
    seed: int = 1
    protocol: MeltQuenchProtocol = field(default_factory=MeltQuenchProtocol)
    n_mobile: int = 24
    n_atoms: int | None = None
    mobile: str = "Na"
    crystal_density_g_cm3: float | None = None

    kind: ClassVar[str] = "melt_quench"
    code_version: ClassVar[int] = 1

    @property
    def levels(self) -> tuple[str, ...]:
        """The one level of this step."""
        return (self.level,)

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
        known = parents or {"mixture": content_hash(mixture)}
        return self.run_step(lambda context: self._make_glass(mixture_of(mixture), context), known)

    def _make_glass(self, mixture: Mixture, context: StepContext) -> MeltQuenchDocument:
        potential = context.load(self.level)
        require_coverage(potential.identity, {e.symbol for e in mixture.composition.elements})
        box = self._pack(mixture)
        run = _GlassRun(self.protocol, self.seed, potential, context)
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
        self, mixture: Mixture, box: PackedBox, run: _GlassRun, context: StepContext
    ) -> MeltQuenchDocument:
        last = run.last
        structure = AseAtomsAdaptor.get_structure(last.atoms)
        structure.remove_site_property("momenta")
        melted = _melted(run.parts.get("hold") or run.parts["melt"], mixture, self.mobile)
        amorphous = _amorphous(last)
        status = last.status
        if status is Status.OK and not melted.holds:
            status = Status.NOT_MELTED
        if status is Status.OK and not amorphous.holds:
            status = Status.CRYSTALLISED
        density = run.density(status, last.note)
        reference = self.crystal_density_g_cm3 or box.density_components_g_cm3
        ratio = (density.value or float(structure.density)) / reference
        return MeltQuenchDocument(
            identity=context.identity,
            status=status,
            note=last.note,
            provenance=self.provenance(context),
            files=context.trajectories(run.parts),
            structure=structure,
            level=run.potential.identity.level,
            seed=self.seed,
            energy_ev_per_atom=Quantity(
                float(last.atoms.get_potential_energy()) / len(structure),
                status=status,
                note="potential energy of the last frame",
            ),
            melt_temperature_k=self.protocol.melt_temperature_k,
            final_temperature_k=self.protocol.final_temperature_k,
            quench_rate_k_s=self.protocol.quench_rate_k_s,
            density_g_cm3=density,
            density_blocks_g_cm3=run.density_blocks,
            density_crystal_g_cm3=self.crystal_density_g_cm3,
            density_components_g_cm3=box.density_components_g_cm3,
            density_ratio=ratio,
            density_warning=_density_warning(ratio, crystal=self.crystal_density_g_cm3 is not None),
            melted=glass_evidence(melted),
            amorphous=glass_evidence(amorphous),
            oxygen=oxygen_states(structure),
            bonds=anion_bonds(structure),
        )


class _GlassRun:
    """The parts of one melt-quench, each resumable by itself; a tripped guard ends them all."""

    def __init__(
        self,
        protocol: MeltQuenchProtocol,
        seed: int,
        potential: Potential,
        context: StepContext,
    ) -> None:
        self.protocol = protocol
        self.potential = potential
        self.parts: dict[str, MDResult] = {}
        self.density_blocks: list[float] = []
        self._seed = seed
        self._context = context
        self._progress: ProgressReporter = context.progress(protocol.max_steps)
        self._atoms: Atoms | None = None

    @property
    def last(self) -> MDResult:
        """The last part that ran."""
        return list(self.parts.values())[-1]

    @property
    def broken(self) -> bool:
        """Whether a guard ended a part."""
        return bool(self.parts) and self.last.status is not Status.OK

    def prerelax(self, packed: Atoms) -> None:
        """Take the overlaps out of the packed box, at its volume."""
        steps = self.protocol.prerelax_steps
        self._atoms = packed
        if steps:
            result = relax(
                packed,
                self.potential.calculator,
                self._context.directory / "prerelax",
                RelaxSettings(fmax_ev_a=1.0, cell=None, max_steps=steps),
                signature=self._context.identity,
                on_progress=self._progress.stage("prerelax", steps),
            )
            self._atoms = result.atoms

    def melt(self) -> None:
        """Melt and hold at constant volume."""
        hot = self.protocol.melt_temperature_k
        self._part("melt", "nvt-langevin", self.protocol.melt_steps, hot)
        self._part("hold", "nvt-langevin", self.protocol.hold_steps, hot)

    def quench(self) -> None:
        """Cool along the ramp."""
        ensemble = "npt-isotropic" if self.protocol.quench_ensemble == "npt" else "nvt-langevin"
        hot, cold = self.protocol.melt_temperature_k, self.protocol.final_temperature_k
        self._part("quench", ensemble, self.protocol.quench_steps, hot, end_k=cold)

    def equilibrate(self) -> None:
        """Let the volume settle, block by block, until the block means agree."""
        block, cold = self.protocol.npt_block_steps, self.protocol.final_temperature_k
        for count in range(1, self.protocol.npt_max_blocks + 1):
            self._part("npt", "npt-isotropic", block * count, cold)
            if self.broken:
                return
            volumes = self.parts["npt"].thermo["volume_a3"][1:]
            mass = float(self.last.atoms.get_masses().sum())
            means = block_means([density_g_cm3(mass, v) for v in volumes], count)
            self.density_blocks = [float(mean) for mean in means]
            if self.settled.holds:
                return

    @property
    def settled(self) -> Evidence:
        """Whether the density has come to rest."""
        return density_equilibrated(self.density_blocks, self.protocol.density_tolerance)

    def density(self, status: Status, note: str) -> Quantity:
        """Return the density of the settled blocks, or of the last one."""
        if not self.density_blocks:
            return Quantity(status=worst(status, Status.UNCONVERGED), note=note or "no NPT block")
        last = np.array(self.density_blocks[-3:])
        settled = self.settled
        spread = float(last.std(ddof=1)) if len(last) > 1 else None
        if settled.holds:
            return Quantity(float(last.mean()), spread, status=status, note=note)
        note = f"{len(self.density_blocks)} blocks; wanted: {settled.criterion}"
        value = self.density_blocks[-1]
        return Quantity(value, spread, status=worst(status, Status.UNCONVERGED), note=note)

    def _part(
        self, name: str, ensemble: str, n_steps: int, start_k: float, *, end_k: float | None = None
    ) -> None:
        if self.broken or not n_steps or self._atoms is None:
            return
        interval = self.protocol.trajectory_interval
        settings = MDSettings(
            ensemble=ensemble,
            temperature_k=start_k,
            temperature_end_k=end_k,
            timestep_fs=self.protocol.timestep_fs,
            n_steps=n_steps,
            pressure_gpa=self.protocol.pressure_gpa if ensemble == "npt-isotropic" else 0.0,
            seed=self._seed,
            trajectory_interval=interval,
            checkpoint_interval=self.protocol.checkpoint_interval,
        )
        self.parts[name] = run_md(
            self._atoms,
            self.potential.calculator,
            settings,
            self._context.directory / name,
            guards=dynamics_guards(self._atoms, settings),
            signature=f"{self._context.identity}/{name}",
            on_progress=self._progress.stage(name, n_steps),
        )
        if name != "npt":
            self._atoms = self.parts[name].atoms


def _melted(hot: MDResult, mixture: Mixture, mobile: str) -> Evidence:
    reader = TrajectoryReader(hot.trajectory)
    network = [*mixture.formers(mobile), *mixture.anions()]
    return melting_evidence(
        reader.positions(), reader.cells(), reader.species.tolist(), network, unwrapped=True
    )


def _amorphous(last: MDResult) -> Evidence:
    reader = TrajectoryReader(last.trajectory)
    half = reader.n_frames // 2
    return amorphous_evidence(reader.positions(half), reader.cells(half), reader.species.tolist())


def _density_warning(ratio: float, *, crystal: bool) -> str:
    if ratio >= DENSITY_WARNING_RATIO:
        return ""
    of = "its crystal's" if crystal else "its components'"
    return (
        f"the density is {ratio:.2f} of {of}, below {DENSITY_WARNING_RATIO}: not equilibrated, "
        "or bound too weakly at this level; do not trust its transport"
    )
