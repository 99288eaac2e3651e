"""Relaxation that can be killed at any moment and goes on to the same bits.

The calculator forgets its history before each step, so a resumed run sees what an
uninterrupted one sees; a checkpoint holds the atoms, their forces, the reference cell of the
cell filter and the optimizer's own memory.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE
from ase.optimize.bfgs import BFGSMethod
from ase.stress import voigt_6_to_full_3x3_stress

from ..errors import CheckpointError, InputError, InterruptedRunError
from ..identity import content_hash
from ..quantity import Status
from .checkpoint import Checkpoint, CheckpointFolder
from .durable import sole_use
from .evaluator import Evaluation, Evaluator
from .interrupts import StopRequest
from .relax_settings import RelaxResult, RelaxSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from ase.optimize.optimize import Optimizer
    from numpy.typing import NDArray

_THREE_VECTORS: Final = 3
_STILL_ACCURATE: Final = r"logm result may be inaccurate, approximate err = [\d.]+e-1\d$"
"""What scipy says of logarithms of cells that are right to ten digits and more."""


def relax(
    atoms: Atoms,
    calculator: Calculator,
    directory: Path,
    settings: RelaxSettings,
    *,
    signature: str,
    on_progress: Callable[[int, int], None] | None = None,
    walltime_s: float | None = None,
) -> RelaxResult:
    """Relax `atoms`, or go on with a relaxation that was stopped in `directory`.

    Calling again with the same arguments returns the finished result without an evaluation;
    larger `max_steps` or tighter tolerances go on from where it ended.

    Parameters
    ----------
    atoms
        Start structure; not changed.
    calculator
        Any ASE calculator with energy and forces, and stress if the cell moves.
    directory
        Holds the checkpoints of this run alone.
    settings
        See `RelaxSettings`.
    signature
        Identity of the potential or step; a checkpoint of another one is refused.
    on_progress
        Called before each step with the steps taken and `settings.max_steps`.
    walltime_s
        Stop with a checkpoint before so many seconds have passed.

    Raises
    ------
    InputError
        If the cell is to move and the structure is not periodic in three directions.
    CheckpointError
        If `directory` holds another run.
    InterruptedRunError
        After a signal or the walltime; a checkpoint was written.
    """
    stop = StopRequest(walltime_s)
    with sole_use(directory), stop.trap_signals():
        run = _Run(atoms, calculator, directory, settings, signature)
        return run.loop(stop, on_progress)


class _Run:
    """One relaxation: atoms, optimizer and checkpoints."""

    def __init__(
        self,
        atoms: Atoms,
        calculator: Calculator,
        directory: Path,
        settings: RelaxSettings,
        signature: str,
    ) -> None:
        if settings.cell is not None and atoms.cell.rank < _THREE_VECTORS:
            raise InputError(
                "the cell of this structure cannot be relaxed",
                given=f"cell={settings.cell!r} with {atoms.cell.rank} cell vectors",
                allowed="cell=None where there are fewer than three cell vectors",
                remedy="relax the atoms only, or give the structure a cell",
            )
        self.settings, self.directory = settings, directory
        self.signature = _signature(atoms, settings, signature)
        self.folder = CheckpointFolder(directory / "checkpoints")
        self.atoms, self.step, self.n_resumes = atoms.copy(), 0, 0
        self.start_volume = atoms.cell.volume
        self.evaluator = Evaluator(calculator, atoms, needs_stress=settings.cell is not None)
        self.atoms.calc = self.evaluator
        self.optimizer = _make_optimizer(self.atoms, settings)
        checkpoint = self.folder.newest()
        self.saved_at = -1 if checkpoint is None else checkpoint.step
        if checkpoint is not None:
            self._restore(checkpoint)

    def loop(
        self, stop: StopRequest, on_progress: Callable[[int, int], None] | None
    ) -> RelaxResult:
        resumed = self.saved_at >= 0
        while True:
            problem = self._geometry_problem()
            known = None if problem else self.evaluator.evaluate(self.atoms)
            outcome = (Status.DIVERGED, problem) if known is None else self._outcome(known)
            if on_progress is not None:
                on_progress(self.step, self.settings.max_steps)
            reason = None if outcome else stop.reason()
            due = (
                self.saved_at < 0 or self.step >= self.saved_at + self.settings.checkpoint_interval
            )
            if self.step != self.saved_at and (outcome or reason or due):
                self._save(known)
            if outcome:
                return self._result(*outcome, known)
            if reason:
                raise InterruptedRunError(
                    f"the relaxation was stopped by {reason} after a checkpoint",
                    given=f"step {self.step} of at most {self.settings.max_steps}",
                    remedy="start the same run again to go on",
                )
            self.n_resumes, resumed = self.n_resumes + resumed, False
            self.evaluator.forget()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=_STILL_ACCURATE, category=RuntimeWarning)
                self.optimizer.step()
            self.step += 1

    def _geometry_problem(self) -> str:
        """Say why the structure must not be evaluated any more, or nothing."""
        if not (np.isfinite(self.atoms.positions).all() and np.isfinite(self.atoms.cell[:]).all()):
            return f"positions or cell are not finite at step {self.step}"
        lower, upper = self.settings.volume_window
        ratio = self.atoms.cell.volume / self.start_volume if self.start_volume else 1.0
        if lower <= ratio <= upper:
            return ""
        return (
            f"the volume is {ratio:.3g} times that of the start at step {self.step}, "
            f"outside {lower:g} to {upper:g}"
        )

    def _outcome(self, known: Evaluation) -> tuple[Status, str] | None:
        """Return status and note if the run has ended."""
        settings = self.settings
        if not (math.isfinite(known.energy_ev) and np.isfinite(known.forces_ev_a).all()):
            return Status.DIVERGED, f"energy or forces are not finite at step {self.step}"
        force, stress = self._max_force(), self._max_stress(known)
        loose = settings.cell is not None and not (stress or 0.0) <= settings.stress_tolerance_gpa
        if force <= settings.fmax_ev_a and not loose:
            return Status.OK, ""
        if self.step < settings.max_steps:
            return None
        rest = "" if settings.cell is None else f" and a stress of {stress:.3g} GPa"
        return Status.UNCONVERGED, f"a force of {force:.3g} eV/A{rest} left at step {self.step}"

    def _max_force(self) -> float:
        return float(np.linalg.norm(self.atoms.get_forces(), axis=1).max(initial=0.0))

    def _max_stress(self, known: Evaluation) -> float | None:
        if known.stress_ev_a3 is None:
            return None
        tensor = voigt_6_to_full_3x3_stress(known.stress_ev_a3) / units.GPa
        if self.settings.cell is not None:
            tensor = tensor + np.eye(3) * self.settings.pressure_gpa
        if self.settings.cell == "isotropic":
            return abs(float(np.trace(tensor))) / 3.0
        return float(np.abs(tensor).max())

    def _result(self, status: Status, note: str, known: Evaluation | None) -> RelaxResult:
        final = self.atoms.copy()
        if known is not None:
            stress = {} if known.stress_ev_a3 is None else {"stress": known.stress_ev_a3}
            final.calc = SinglePointCalculator(
                final, energy=known.energy_ev, forces=known.forces_ev_a, **stress
            )
        return RelaxResult(
            status=status,
            note=note,
            atoms=final,
            energy_ev=math.nan if known is None else known.energy_ev,
            max_force_ev_a=math.nan if known is None else self._max_force(),
            max_stress_gpa=None if known is None else self._max_stress(known),
            n_steps=self.step,
            n_resumes=self.n_resumes,
        )

    def _save(self, known: Evaluation | None) -> None:
        arrays = {"positions": self.atoms.positions, "cell": self.atoms.cell.array}
        meta: dict[str, Any] = {"signature": self.signature, "n_resumes": self.n_resumes}
        if known is not None:
            meta["energy_ev"], arrays["forces"] = known.energy_ev, known.forces_ev_a
            if known.stress_ev_a3 is not None:
                arrays["stress"] = known.stress_ev_a3
        numbers, memory = _recollect(self.optimizer)
        meta["optimizer"] = numbers
        arrays |= {f"optimizer_{name}": array for name, array in memory.items()}
        self.folder.save(Checkpoint(self.step, meta, arrays))
        self.saved_at = self.step

    def _restore(self, checkpoint: Checkpoint) -> None:
        meta, arrays = checkpoint.meta, checkpoint.arrays
        if meta["signature"] != self.signature:
            raise CheckpointError(
                "the checkpoint belongs to another relaxation",
                given=str(self.directory),
                allowed="the same start structure, potential, cell mode, optimizer and pressure",
                remedy="use another directory, or delete this one to start over",
            )
        self.atoms.set_cell(arrays["cell"])
        self.atoms.positions[:] = arrays["positions"]
        self.step, self.n_resumes = checkpoint.step, meta["n_resumes"]
        if "forces" in arrays:
            self.evaluator.recall(
                self.atoms, Evaluation(meta["energy_ev"], arrays["forces"], arrays.get("stress"))
            )
        prefix = "optimizer_"
        memory = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        _remind(self.optimizer, meta["optimizer"], memory)


def _signature(atoms: Atoms, settings: RelaxSettings, signature: str) -> str:
    arrays = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    start = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return content_hash({"signature": signature, "start": start, "path": settings.path()})


def _make_optimizer(atoms: Atoms, settings: RelaxSettings) -> Optimizer:
    """Return the optimizer of `atoms`, whose cell at this moment is the filter's reference."""
    target: Atoms | FrechetCellFilter = atoms
    if settings.cell is not None:
        target = FrechetCellFilter(
            atoms,
            hydrostatic_strain=settings.cell == "isotropic",
            scalar_pressure=settings.pressure_gpa * units.GPa,
        )
    kind = FIRE if settings.optimizer == "FIRE" else BFGS
    return kind(target, logfile=None)


def _recollect(optimizer: Optimizer) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    """Return all that `optimizer` remembers between steps, as numbers and arrays."""
    if isinstance(optimizer, FIRE):
        velocity = {} if optimizer.vel is None else {"velocity": optimizer.vel}
        return {"dt": optimizer.dt, "a": optimizer.a, "downhill": optimizer.Nsteps}, velocity
    if optimizer.state is None:
        return {}, {}
    hessian = np.asarray(optimizer.state.hessian)
    return {}, {"hessian": hessian, "x": optimizer.pos0, "forces": optimizer.forces0}


def _remind(
    optimizer: Optimizer, numbers: dict[str, Any], arrays: dict[str, NDArray[np.float64]]
) -> None:
    """Undo :func:`_recollect` on a fresh optimizer."""
    if isinstance(optimizer, FIRE):
        optimizer.dt, optimizer.a = numbers["dt"], numbers["a"]
        optimizer.Nsteps, optimizer.vel = numbers["downhill"], arrays.get("velocity")
    elif arrays:
        optimizer.state = BFGSMethod(arrays["hessian"])
        optimizer.pos0, optimizer.forces0 = arrays["x"], arrays["forces"]
