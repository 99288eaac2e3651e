"""A glass by VASP, with a force field that is learnt on the fly: train, refit, run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pymatgen.io.ase import AseAtomsAdaptor

from ..engines.durable import sole_use
from ..engines.md_settings import MDSettings
from ..engines.potentials import Potential, identify
from ..engines.vasp_inputs import MDSegment, relaxation
from ..engines.vasp_md import run_segments
from ..engines.vasp_relax import in_order, relax_once, tidy_step
from .glass_run import GlassRun
from .guards import Stage, dynamics_guards
from .melt_quench import MeltQuenchMaker
from .vasp import vasp_task, with_origin
from .vasp_md import judged, moving

if TYPE_CHECKING:
    from ase import Atoms

    from ..engines.vasp_md import SegmentResult
    from ..engines.vasp_relax import VaspTask
    from ..stores.documents import MeltQuenchDocument
    from ..systems.mixture import Mixture
    from .protocol import MeltQuenchProtocol
    from .step import StepContext

_PACKED_FMAX_EV_A = 1.0
_TRAINING = ("melt", "hold")
_REFIT = "refit"


class VaspGlassRun(GlassRun):
    """The parts of a melt-quench by VASP: the melt trains a force field, the rest runs with it.

    Parameters
    ----------
    protocol, seed, context
        As of any glass.
    task
        Where and how VASP runs.
    """

    def __init__(
        self, protocol: MeltQuenchProtocol, seed: int, task: VaspTask, context: StepContext
    ) -> None:
        # there is no calculator: all that moves atoms is overridden
        potential = Potential(identify(task.level), None)
        super().__init__(protocol, seed, potential, context)
        self._task = task
        self._starts: dict[str, Atoms] = {}

    def prerelax(self, packed: Atoms) -> None:
        """Take the overlaps out of the packed box, at its volume."""
        self._atoms = packed
        steps = self.protocol.prerelax_steps
        if not steps:
            return
        start = AseAtomsAdaptor.get_structure(packed)
        inputs = relaxation(self._task.level, start, cell=False)
        task = self._task
        with sole_use(task.directory), task.stop.trap_signals():
            end, _ = relax_once(
                "prerelax",
                inputs.structure,
                task,
                first=False,
                fmax_ev_a=_PACKED_FMAX_EV_A,
                max_steps=steps,
                cell=False,
            )
        ordered = in_order(end.structure, inputs.order)
        self._atoms = AseAtomsAdaptor.get_atoms(ordered, msonable=False)

    def quench(self) -> None:
        """Refit what the melt has taught, and cool along the ramp with it."""
        if not self.broken and self._atoms is not None:
            hot = self.protocol.melt_temperature_k
            fs = self.protocol.timestep_fs
            self._run(MDSegment(_REFIT, 1, hot, hot, fs, "nvt", learning="refit"), self._atoms)
        super().quench()

    def _part(
        self, name: str, ensemble: str, n_steps: int, start_k: float, *, end_k: float | None = None
    ) -> None:
        if self.broken or not n_steps or self._atoms is None:
            return
        start = self._starts.setdefault(name, self._atoms)
        pressed = ensemble.startswith("npt")
        settings = MDSettings(
            ensemble=ensemble,
            temperature_k=start_k,
            temperature_end_k=end_k,
            timestep_fs=self.protocol.timestep_fs,
            n_steps=n_steps,
            pressure_gpa=self.protocol.pressure_gpa if pressed else 0.0,
            seed=self._seed,
            trajectory_interval=self.protocol.trajectory_interval,
        )
        guards = dynamics_guards(start, settings, Stage(settled=name == "npt"))
        found = self._run(
            MDSegment(
                name,
                n_steps,
                start_k,
                start_k if end_k is None else end_k,
                self.protocol.timestep_fs,
                "npt" if pressed else "nvt",
                pressure_gpa=settings.pressure_gpa,
                learning="train" if name in _TRAINING else "run",
            ),
            start,
        )
        self.parts[name] = judged(found, guards)
        self._atoms = found.end

    def _run(self, segment: MDSegment, start: Atoms) -> SegmentResult:
        before = [*_TRAINING, _REFIT, "quench", "npt"]
        found = run_segments(
            moving(start),
            self._task,
            [segment],
            seed=self._seed,
            trajectory_interval=self.protocol.trajectory_interval,
            signature=self._context.identity,
            after=before[: before.index(segment.name)],
            on_segment=self._progress.stage,
        )
        return found[segment.name]


@dataclass
class VaspMeltQuenchMaker(MeltQuenchMaker):
    """Make one glass by VASP with a force field learnt on the fly.

    The fields are those of :class:`~haloflow.makers.melt_quench.MeltQuenchMaker`. VASP trains
    while it melts and holds, refits, and quenches and settles with what it has learnt. At
    constant pressure it changes the shape of the cell too.
    """

    level: str = "vasp-r2scan"

    code_version: ClassVar[int] = 1

    def physics(self) -> dict[str, Any]:
        """Return what decides the result."""
        return super().physics() | {"engine": "vasp"}

    def _make_glass(self, mixture: Mixture, context: StepContext) -> MeltQuenchDocument:
        box = self._pack(mixture)
        task = vasp_task(self.level, box.structure, context)
        run = VaspGlassRun(self.protocol, self.seed, task, context)
        run.prerelax(AseAtomsAdaptor.get_atoms(box.structure, msonable=False))
        run.melt()
        run.quench()
        run.equilibrate()
        context.n_resumes = sum(part.n_resumes for part in run.parts.values())
        document = self._document(mixture, box, run, context)
        origin = task.check(task.runs(next(reversed(run.parts)))[-1])
        provenance = with_origin(self, origin, context)
        tidy_step(task.directory)
        return document.model_copy(update={"provenance": provenance})
