"""Molecular dynamics at one temperature: NPT equilibration, then NVT production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pymatgen.io.ase import AseAtomsAdaptor

from ..analysis.blocks import block_means, density_equilibrated
from ..analysis.bonds import ANIONS
from ..engines.md import MDResult, MDSettings, Tether, run_md
from ..engines.potentials import level_of, require_coverage
from ..engines.trajectory import TrajectoryReader
from ..quantity import Quantity, Status, worst
from ..stores.documents import MDDocument, StepDocument
from ..units import density_g_cm3
from .chemistry import final_structure
from .domain_check import domain_guards, domain_report, domain_verdict, left_domain
from .guards import Stage, dynamics_guards
from .past_run import kept_state
from .step import LevelMaker, StepContext, parents_of, start_structure, step_job
from .together import evaluates_together

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from .past_run import PastRun

_N_BLOCKS = 4
_MIN_FRAMES = 8


@dataclass
class MDMaker(LevelMaker):
    """Run MD that never loses a step: killed and run again, it goes on bit for bit.

    Attributes
    ----------
    level
        Level of theory (the name of a potential).
    temperature_k
        Of thermostat and initial velocities.
    equilibration_steps
        Steps at constant pressure before production (0: keep the cell as it is; its density
        is then `unconverged`, and so is what is computed at it).
    full_cell
        Let the cell change its shape in the equilibration (crystals); else only its
        volume (glasses).
    production_steps
        Steps at constant volume, with a Nose-Hoover chain, which leaves diffusion alone.
    tether_species, tether_alpha_ev_a2
        Hold these species at their places in production with springs, E = alpha dr^2 / 2:
        what conduction loses shows what the framework's motion gives it.
    mobile
        The ion that may leave its place without the sample counting as molten.
    anions
        Elements that are anions here; bonds between them are a decomposition.
    """

    name: str = "md"
    level: str = "chgnet-r2scan-d3"
    temperature_k: float = 600.0
    timestep_fs: float = 2.0
    equilibration_steps: int = 10_000
    full_cell: bool = False
    production_steps: int = 500_000
    pressure_gpa: float = 0.0
    tether_species: tuple[str, ...] = ()
    tether_alpha_ev_a2: float = 0.0
    mobile: str = "Na"
    anions: tuple[str, ...] = ANIONS
    trajectory_interval: int = 50
    checkpoint_interval: int = 500
    seed: int = 1

    kind: ClassVar[str] = "md"
    code_version: ClassVar[int] = 2

    @property
    def runs_beside_others(self) -> bool:
        """Where torch-sim evaluates the level."""
        return evaluates_together(self.level)

    def physics(self) -> dict[str, Any]:
        """Return what decides the result; tethered species and anions come in no order."""
        alpha = self.tether_alpha_ev_a2 if self.tether_species else 0.0
        own = {
            "tether_species": sorted(set(self.tether_species)),
            "tether_alpha_ev_a2": alpha,
            "anions": sorted(set(self.anions)),
        }
        return super().physics() | own

    @property
    def n_steps(self) -> int:
        """Steps of both parts together."""
        return self.equilibration_steps + self.production_steps

    @step_job()
    def make(
        self, start: Structure | StepDocument, parents: dict[str, str] | None = None
    ) -> MDDocument | dict[str, Any]:
        """Run MD from `start`, a structure or the document of the step that made one."""
        structure = start_structure(start)
        return self.run_step(
            lambda context: self.simulate(structure, context), parents or parents_of(start)
        )

    def simulate(self, structure: Structure, context: StepContext) -> MDDocument:
        """Run in the folder of `context`, or go on there, and describe the run."""
        return self.go_on(structure, context)

    def go_on(
        self, structure: Structure, context: StepContext, past: PastRun | None = None
    ) -> MDDocument:
        """Run as `simulate`; with a `past`, from where that is to be gone on from."""
        potential = context.load(self.level)
        require_coverage(potential.identity, {e.symbol for e in structure.elements})
        progress = context.progress(self.n_steps)
        atoms: Atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
        parts: dict[str, MDResult] = {}
        own_guards = domain_guards(self.level)
        for name, settings in self._parts().items():
            signature = f"{context.identity}/{name}"
            if past is not None and name in past.parts_before:
                continue
            if past is not None and name == past.part:
                atoms = past.begin(context.directory / name, signature, potential.identity)
            parts[name] = run_md(
                atoms,
                potential.calculator,
                settings,
                context.directory / name,
                guards=[*own_guards, *dynamics_guards(atoms, settings, self._stage)],
                signature=signature,
                on_progress=progress.stage(name, settings.n_steps),
                walltime_s=context.walltime_s,
            )
            atoms = parts[name].atoms if name == "production" else _at_mean_cell(parts[name])
            if parts[name].status is not Status.OK:
                break
        context.n_resumes = sum(part.n_resumes for part in parts.values())
        return self._document(parts, context, past)

    @property
    def _stage(self) -> Stage:
        return Stage("crystal" if self.full_cell else "glass", self.mobile, self.anions)

    def _parts(self) -> dict[str, MDSettings]:
        parts = {}
        if self.equilibration_steps:
            npt = "npt-full" if self.full_cell else "npt-isotropic"
            parts["equilibration"] = self._settings(npt, self.equilibration_steps, self.seed)
        tether = None
        if self.tether_species:
            tether = Tether(tuple(sorted(set(self.tether_species))), self.tether_alpha_ev_a2)
        parts["production"] = self._settings(
            "nvt-nose-hoover", self.production_steps, self.seed + 1, tether
        )
        return parts

    def _settings(
        self, ensemble: str, n_steps: int, seed: int, tether: Tether | None = None
    ) -> MDSettings:
        return MDSettings(
            ensemble=ensemble,
            temperature_k=self.temperature_k,
            timestep_fs=self.timestep_fs,
            n_steps=n_steps,
            pressure_gpa=self.pressure_gpa if ensemble.startswith("npt") else 0.0,
            seed=seed,
            tether=tether,
            trajectory_interval=self.trajectory_interval,
            checkpoint_interval=self.checkpoint_interval,
        )

    def _document(
        self, parts: dict[str, MDResult], context: StepContext, past: PastRun | None = None
    ) -> MDDocument:
        last = list(parts.values())[-1]
        structure = final_structure(last)
        reached = "production" in parts
        report = domain_report(self.level, last, context)
        status, note = last.status, last.note
        if status is Status.OK:
            status, note = domain_verdict(report)
        files = [*(past.files_before if past else ()), *context.trajectories(parts)]
        if left_domain(status, report):
            files += [*kept_state(parts, context, report)]
        volumes = past.equilibration_volumes_a3(context.files) if past else None
        if "equilibration" in parts:
            volumes = parts["equilibration"].thermo["volume_a3"]
        return MDDocument(
            identity=context.identity,
            status=status,
            note=note,
            provenance=self.provenance(context),
            files=files,
            start=context.parents.get("start", ""),
            level=level_of(self.level),
            ensemble="npt-full then nvt" if self.full_cell else "npt-isotropic then nvt",
            temperature_k=self.temperature_k,
            temperature_mean_k=float(np.nanmean(last.thermo["temperature_k"])),
            timestep_fs=self.timestep_fs,
            n_steps=last.n_steps if reached else 0,
            n_steps_target=self.production_steps,
            seed=self.seed,
            density_g_cm3=_density(volumes, structure, last.status),
            trajectory_interval_steps=self.trajectory_interval,
            structure=structure,
            domain=report,
        )


def _at_mean_cell(equilibration: MDResult) -> Atoms:
    """Return the last atoms in the mean cell of the second half of the run.

    Production at constant volume would otherwise inherit the fluctuation of a single frame.
    """
    reader = TrajectoryReader(equilibration.trajectory)
    atoms = equilibration.atoms.copy()
    atoms.set_cell(reader.cells(reader.n_frames // 2).mean(axis=0), scale_atoms=True)
    return atoms


def _density(volumes: NDArray[np.float64] | None, structure: Structure, status: Status) -> Quantity:
    """Return the density at which production runs, and whether it had settled."""
    value = float(structure.density)
    if volumes is None:
        note = "the start structure's, not equilibrated at this temperature"
        return Quantity(value, status=worst(status, Status.UNCONVERGED), note=note)
    if len(volumes) < _MIN_FRAMES:
        return Quantity(value, status=Status.UNCONVERGED, note="too few frames to judge")
    mass = float(structure.composition.weight)
    blocks = [
        float(mean) for mean in block_means([density_g_cm3(mass, v) for v in volumes], _N_BLOCKS)
    ]
    settled = density_equilibrated(blocks)
    if settled.holds:
        return Quantity(value, float(np.std(blocks[-3:], ddof=1)), status=status)
    note = f"still moving in the equilibration; wanted: {settled.criterion}"
    return Quantity(value, status=worst(status, Status.UNCONVERGED), note=note)
