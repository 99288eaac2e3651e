"""One door between an integrator and a calculator: cache, springs, and forgetting.

ASE calculators may keep neighbour lists with a skin, so that their forces depend, in the last
bits, on where the atoms were some steps ago. :func:`forget_history` removes that memory;
:class:`Evaluator` keeps the results of the current positions meanwhile, so that it costs no
evaluation, and stores them in the checkpoint, so that a resumed run goes on from the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.neighborlist import NeighborList, NewPrimitiveNeighborList, PrimitiveNeighborList
from ase.stress import full_3x3_to_voigt_6_stress

from ..errors import EngineError, InputError

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    from .md_settings import Tether

_VOIGT_SIZE = 6


def forget_history(calculator: Any) -> None:  # noqa: ANN401  (ASE calculators share no base class)
    """Make the next evaluation of `calculator` depend on nothing but the atoms it is given.

    Results are dropped, ASE neighbour lists are marked for a rebuild, and the parts of a
    combined calculator are treated alike. A calculator with other memory offers a method
    ``forget()`` that clears it.
    """
    if callable(getattr(calculator, "reset", None)):
        calculator.reset()
    else:
        calculator.atoms, calculator.results = None, {}
    if callable(getattr(calculator, "forget", None)):
        calculator.forget()
    for value in vars(calculator).values():
        if isinstance(value, NeighborList):
            value.nl.nupdates = 0
        elif isinstance(value, (PrimitiveNeighborList, NewPrimitiveNeighborList)):
            value.nupdates = 0
    mixer = getattr(calculator, "mixer", None)
    for part in getattr(mixer, "calcs", None) or getattr(calculator, "calcs", None) or ():
        forget_history(part)


@dataclass(frozen=True)
class Springs:
    """The tether of a run: which atoms, how stiff, and where they belong."""

    indices: NDArray[np.intp]
    anchors_a: NDArray[np.float64]
    alpha_ev_a2: float

    @classmethod
    def attach(cls, tether: Tether, atoms: Atoms) -> Springs:
        """Tie the atoms of the tethered species to their positions in `atoms`.

        Raises
        ------
        InputError
            If a species of the tether does not occur.
        """
        symbols = np.array(atoms.get_chemical_symbols())
        missing = sorted(set(tether.species) - set(symbols))
        if missing:
            raise InputError(
                "a tether names a species that the structure does not contain",
                given=missing,
                allowed=sorted(set(symbols)),
                remedy="tether a species of the structure",
            )
        indices = np.flatnonzero(np.isin(symbols, tether.species))
        return cls(indices, atoms.positions[indices].copy(), tether.alpha_ev_a2)

    def pull(self, positions: NDArray[np.float64], forces: NDArray[np.float64]) -> float:
        """Add the spring forces to `forces` (n_atoms, 3) and return the spring energy in eV."""
        stretch = positions[self.indices] - self.anchors_a
        forces[self.indices] -= self.alpha_ev_a2 * stretch
        return 0.5 * self.alpha_ev_a2 * float(np.vdot(stretch, stretch))


@dataclass(frozen=True)
class Evaluation:
    """What a calculator said about one set of positions.

    Attributes
    ----------
    energy_ev
        Energy that belongs to the forces, springs included.
    forces_ev_a
        (n_atoms, 3), springs included.
    stress_ev_a3
        (6,) in Voigt order, without kinetic part; ``None`` where it was not computed.
    """

    energy_ev: float
    forces_ev_a: NDArray[np.float64]
    stress_ev_a3: NDArray[np.float64] | None


class Evaluator:
    """Calculator that an integrator sees: float64, cached, with springs.

    Parameters
    ----------
    calculator
        Any ASE calculator with energy and forces.
    atoms
        The atoms to be moved; species and periodicity stay as they are.
    needs_stress
        Whether the stress must be computed at each evaluation.
    springs
        Tether, if any.

    Raises
    ------
    InputError
        If the calculator lacks a property that the run needs.
    """

    def __init__(
        self,
        calculator: Any,  # noqa: ANN401  (ASE calculators share no base class)
        atoms: Atoms,
        *,
        needs_stress: bool = False,
        springs: Springs | None = None,
    ) -> None:
        needed = ["energy", "forces", *(["stress"] if needs_stress else [])]
        offered = list(getattr(calculator, "implemented_properties", ()))
        if not set(needed) <= set(offered):
            raise InputError(
                f"the calculator {type(calculator).__name__} cannot drive this run",
                given=f"it computes {', '.join(offered) or 'nothing'}",
                allowed=f"a calculator of {', '.join(needed)}",
                remedy="choose another potential, or an ensemble that needs less",
            )
        self._calculator = calculator
        self._needs_stress = needs_stress
        self._springs = springs
        self._twin = atoms.copy()
        self._twin.set_constraint()
        self._twin.calc = None
        for name in ("momenta", "forces"):
            self._twin.arrays.pop(name, None)
        self._evaluation: Evaluation | None = None
        forget_history(calculator)

    @property
    def evaluation(self) -> Evaluation | None:
        """The newest results, or ``None`` before the first evaluation."""
        return self._evaluation

    def recall(self, atoms: Atoms, evaluation: Evaluation) -> None:
        """Take `evaluation` as the results of `atoms`, as before the run was stopped."""
        self._place(atoms)
        self._evaluation = evaluation

    def forget(self) -> None:
        """Clear the calculator's memory; the results of the current positions stay."""
        forget_history(self._calculator)

    def get_forces(self, atoms: Atoms) -> NDArray[np.float64]:
        """Return the forces on `atoms` in eV/A, shape (n_atoms, 3)."""
        return self.evaluate(atoms).forces_ev_a.copy()

    def get_potential_energy(self, atoms: Atoms, *, force_consistent: bool = False) -> float:
        """Return the energy that belongs to the forces, in eV."""
        del force_consistent
        return self.evaluate(atoms).energy_ev

    def get_stress(self, atoms: Atoms) -> NDArray[np.float64]:
        """Return the stress in eV/A^3, shape (6,) in Voigt order.

        Raises
        ------
        EngineError
            If the run was set up without it.
        """
        stress = self.evaluate(atoms).stress_ev_a3
        if stress is None:
            raise EngineError(
                "the stress was not computed in this run",
                allowed="the stress in constant-pressure ensembles",
                remedy="use a calculator that computes it together with the forces",
            )
        return stress.copy()

    def evaluate(self, atoms: Atoms) -> Evaluation:
        """Return the results for `atoms`, computed once for the same positions and cell."""
        twin = self._twin
        if (
            self._evaluation is None
            or not np.array_equal(twin.positions, atoms.positions)
            or not np.array_equal(twin.cell.array, atoms.cell.array)
        ):
            self._evaluation = None
            self._place(atoms)
            self._evaluation = self._compute()
        return self._evaluation

    def _place(self, atoms: Atoms) -> None:
        self._twin.positions[:] = atoms.positions
        self._twin.cell[:] = atoms.cell.array

    def _compute(self) -> Evaluation:
        calculator, twin = self._calculator, self._twin
        forces = np.array(calculator.get_property("forces", twin), dtype=np.float64)
        results = calculator.results
        energy = results.get("free_energy", results.get("energy"))
        if energy is None:
            energy = calculator.get_property("energy", twin)
        stress = results.get("stress")
        if stress is None and self._needs_stress:
            stress = calculator.get_property("stress", twin)
        if stress is not None:
            stress = np.array(stress, dtype=np.float64)
            if stress.shape != (_VOIGT_SIZE,):
                stress = full_3x3_to_voigt_6_stress(stress)
        pull = 0.0 if self._springs is None else self._springs.pull(twin.positions, forces)
        return Evaluation(float(energy) + pull, forces, stress)
