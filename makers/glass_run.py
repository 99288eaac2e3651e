"""The simulations of one melt-quench: relax the packing, melt, hold, quench, settle."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.blocks import block_means, density_equilibrated
from ..engines.md import MDResult, MDSettings, run_md, steps_done
from ..engines.relax import relax
from ..engines.relax_settings import RelaxSettings
from ..quantity import Quantity, Status, worst
from ..units import density_g_cm3
from .domain_check import domain_guards
from .guards import Stage, dynamics_guards

if TYPE_CHECKING:
    from ase import Atoms

    from ..analysis.evidence import Evidence
    from ..engines.potentials import Potential
    from .progress import ProgressReporter
    from .protocol import MeltQuenchProtocol
    from .step import StepContext


class GlassRun:
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
        self._own_guards = domain_guards(potential.identity.name)

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
                walltime_s=self._context.walltime_s,
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
        first = max(1, ceil(steps_done(self._context.directory / "npt") / block))
        for count in range(first, self.protocol.npt_max_blocks + 1):
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
            guards=[
                *self._own_guards,
                *dynamics_guards(self._atoms, settings, Stage(settled=name == "npt")),
            ],
            signature=f"{self._context.identity}/{name}",
            on_progress=self._progress.stage(name, n_steps),
            walltime_s=self._context.walltime_s,
        )
        if name != "npt":
            self._atoms = self.parts[name].atoms
