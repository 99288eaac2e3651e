"""A run in motion: what one step does, what is recorded, what a checkpoint holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CheckpointError, EngineError, HaloflowError
from ..quantity import Status
from ..units import EV_PER_A3_IN_GPA
from .checkpoint import Checkpoint
from .dynamics import Integrator
from .evaluator import Evaluation, Evaluator, Springs
from .guards import GuardVerdict, finite_guard, kinetic_temperature_k
from .md_settings import CONSTANT_PRESSURE
from .md_start import starting_atoms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ase import Atoms
    from numpy.typing import NDArray

    from .guards import Guard
    from .md_settings import MDSettings
    from .trajectory import TrajectoryWriter

_INTEGRATOR = "integrator."


class Run:
    """Atoms, integrator, calculator and trajectory of a run, started or resumed.

    Parameters
    ----------
    atoms
        The structure that the run was started from; not changed.
    calculator
        Any ASE calculator.
    settings
        What the run is asked to do.
    writer
        Trajectory of the run.
    guards
        Looked at besides the built-in one for finite numbers.
    saved
        Checkpoint to go on from; ``None`` to start.
    """

    def __init__(
        self,
        atoms: Atoms,
        calculator: Any,  # noqa: ANN401  (ASE calculators share no base class)
        settings: MDSettings,
        *,
        writer: TrajectoryWriter,
        guards: Sequence[Guard] = (),
        saved: Checkpoint | None = None,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._guards = (finite_guard(), *guards)
        self._springs = _springs(atoms, settings, saved)
        self.is_doubted = False
        self.step = 0
        self.atoms = starting_atoms(atoms, settings) if saved is None else place(atoms, saved)
        self._degrees = settings.degrees_of_freedom(len(atoms))
        self._evaluator = Evaluator(
            calculator,
            self.atoms,
            needs_stress=settings.ensemble in CONSTANT_PRESSURE,
            springs=self._springs,
        )
        self.atoms.calc = self._evaluator
        self._integrator = Integrator(self.atoms, settings)
        if saved is None:
            writer.restore()
        else:
            self._resume(saved)

    def _resume(self, saved: Checkpoint) -> None:
        self.step = saved.step
        evaluation = saved_evaluation(saved)
        if evaluation is not None:
            self._evaluator.recall(self.atoms, evaluation)
        self._integrator.restore(
            {
                name.removeprefix(_INTEGRATOR): array
                for name, array in saved.arrays.items()
                if name.startswith(_INTEGRATOR)
            },
            saved.meta["random"],
        )
        self._writer.restore(saved.meta["n_chunks"], saved.arrays)

    @property
    def evaluation(self) -> Evaluation | None:
        """Energy, forces and stress of the present positions, if they are known."""
        return self._evaluator.evaluation

    def begin(self) -> None:
        """Evaluate and record the start of a new run."""
        self._evaluator.evaluate(self.atoms)
        self._record()

    def advance(self) -> None:
        """Do one step, and record a frame if one is due."""
        settings = self._settings
        if settings.is_ramp:
            self._integrator.set_target(settings.target_temperature_k(self.step))
        self._integrator.step()
        self.step += 1
        if self.step % settings.trajectory_interval == 0:
            self._record()

    def attempt(self, action: Callable[[], None]) -> GuardVerdict | None:
        """Do `action`; where the calculator fails, the guards may know why.

        Raises
        ------
        EngineError
            If the calculator fails on atoms that no guard objects to.
        """
        try:
            action()
        except Exception as error:  # any calculator may raise anything
            verdict = self.judge()
            if verdict is None and isinstance(error, HaloflowError):
                raise
            if verdict is None:
                raise EngineError(
                    f"the calculator failed in the step after step {self.step}",
                    given=f"{type(error).__name__}: {error}",
                    remedy="look at the last frames of the trajectory; calling again goes on "
                    "from the last checkpoint",
                ) from error
            return verdict
        return None

    def judge(self) -> GuardVerdict | None:
        """Ask all guards about the present state; note what they doubt."""
        for guard in self._guards:
            verdict = guard(self.atoms, self.step)
            if verdict is not None and verdict.ends:
                return verdict
            self.is_doubted |= verdict is not None
        if self.evaluation is not None and not math.isfinite(self.evaluation.energy_ev):
            return GuardVerdict(Status.DIVERGED, f"the energy is not finite at step {self.step}")
        return None

    def forget(self) -> None:
        """Clear the calculator's memory, as a stop and a resume would."""
        self._evaluator.forget()

    def checkpoint(self, meta: Mapping[str, Any]) -> Checkpoint:
        """Return everything needed to go on from here, with `meta` added."""
        own, random = self._integrator.state()
        n_chunks, frames = self._writer.state()
        arrays: dict[str, NDArray[Any]] = {
            "numbers": self.atoms.numbers,
            "positions_a": self.atoms.positions,
            "momenta": self.atoms.arrays["momenta"],
            "cell_a": self.atoms.cell.array,
            **{_INTEGRATOR + name: array for name, array in own.items()},
            **frames,
        }
        if self._springs is not None:
            arrays["anchors_a"] = self._springs.anchors_a
        evaluation = self.evaluation
        if evaluation is not None:
            arrays["energy_ev"] = np.array(evaluation.energy_ev)
            arrays["forces_ev_a"] = evaluation.forces_ev_a
            if evaluation.stress_ev_a3 is not None:
                arrays["stress_ev_a3"] = evaluation.stress_ev_a3
        counts = {"n_chunks": n_chunks, "n_frames": self._writer.n_frames, "random": random}
        return Checkpoint(self.step, {**meta, **counts}, arrays)

    def _record(self) -> None:
        atoms, settings = self.atoms, self._settings
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            return  # a guard is about to end the run; what is stored stays usable
        evaluation = self._evaluator.evaluate(atoms)
        kinetic = atoms.get_kinetic_energy()
        volume = abs(float(np.linalg.det(atoms.cell.array)))
        pressure = math.nan
        if evaluation.stress_ev_a3 is not None:
            virial = -float(evaluation.stress_ev_a3[:3].sum()) / 3.0
            pressure = (virial + 2.0 * kinetic / (3.0 * volume)) * EV_PER_A3_IN_GPA
        self._writer.append(
            atoms.positions,
            atoms.cell.array,
            (
                self.step,
                self.step * settings.timestep_fs,
                kinetic_temperature_k(atoms, self._degrees),
                settings.target_temperature_k(self.step),
                evaluation.energy_ev,
                kinetic,
                self._integrator.conserved_energy_ev(),
                volume,
                pressure,
            ),
        )


def place(atoms: Atoms, saved: Checkpoint) -> Atoms:
    """Return a copy of `atoms` where the checkpoint has them.

    Raises
    ------
    CheckpointError
        If the checkpoint is of other atoms.
    """
    if not np.array_equal(atoms.numbers, saved.arrays["numbers"]):
        raise CheckpointError(
            "a checkpoint is of other atoms than those given",
            given=f"{len(atoms)} atoms, {atoms.get_chemical_formula()}",
            allowed=f"the {len(saved.arrays['numbers'])} atoms of the run in the same order",
            remedy="pass the structure that the run was started from",
        )
    placed = atoms.copy()
    placed.calc = None
    placed.positions[:] = saved.arrays["positions_a"]
    placed.cell[:] = saved.arrays["cell_a"]
    placed.arrays.pop("momenta", None)
    placed.set_array("momenta", saved.arrays["momenta"], float, (3,))
    return placed


def saved_evaluation(saved: Checkpoint) -> Evaluation | None:
    """Return energy, forces and stress as a checkpoint holds them."""
    if "energy_ev" not in saved.arrays:
        return None
    return Evaluation(
        float(saved.arrays["energy_ev"]),
        saved.arrays["forces_ev_a"],
        saved.arrays.get("stress_ev_a3"),
    )


def _springs(atoms: Atoms, settings: MDSettings, saved: Checkpoint | None) -> Springs | None:
    if settings.tether is None:
        return None
    springs = Springs.attach(settings.tether, atoms)
    if saved is None:
        return springs
    return Springs(springs.indices, saved.arrays["anchors_a"], springs.alpha_ev_a2)
