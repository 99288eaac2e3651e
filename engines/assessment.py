"""How well a model repeats labels, and whether it keeps atoms apart."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ase import Atoms

from ..errors import InputError
from ..units import EV_PER_A3_IN_GPA
from .evaluator import forget_history

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

MEV_IN_EV: Final = 1000.0
DIMER_DISTANCES_A: Final = tuple(np.round(np.arange(0.5, 1.21, 0.05), 2).tolist())
_DIMER_CELL_A: Final = 20.0
_TIMED_EVALUATIONS: Final = 20


@dataclass(frozen=True)
class Errors:
    """Errors of a model against labels.

    Attributes
    ----------
    energy_mae_mev_per_atom, energy_rmse_mev_per_atom
        Of the energies as they are.
    force_mae_mev_a, force_rmse_mev_a
        Of the components of forces.
    stress_mae_gpa, stress_rmse_gpa
        Of the components of the stress.
    force_rms_mev_a
        Root mean square of the labels' components, to compare with.
    force_mae_of_element_mev_a, force_rmse_of_element_mev_a
        By element.
    n_frames
        Frames compared.
    """

    energy_mae_mev_per_atom: float
    energy_rmse_mev_per_atom: float
    force_mae_mev_a: float
    force_rmse_mev_a: float
    stress_mae_gpa: float
    stress_rmse_gpa: float
    force_rms_mev_a: float
    force_mae_of_element_mev_a: dict[str, float]
    force_rmse_of_element_mev_a: dict[str, float]
    n_frames: int


@dataclass(frozen=True)
class Comparison:
    """Labels and a model's values of some frames, first axis: label, model.

    Attributes
    ----------
    energies
        In eV per atom, (2, n_frames).
    forces
        In eV/A, (2, n_atoms of all frames, 3).
    stresses
        In eV/A^3, Voigt, (2, n_frames, 6).
    symbols, frame_of
        Element and frame of each atom, (n_atoms of all frames,).
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    stresses: NDArray[np.float64]
    symbols: NDArray[np.str_]
    frame_of: NDArray[np.int64]

    def errors(self) -> Errors:
        """Return the errors over all frames."""
        energy, forces, stress = (values[1] - values[0] for values in self._values())
        of_element = {
            str(symbol): _both(forces[self.symbols == symbol]) for symbol in np.unique(self.symbols)
        }
        (energy_mae, energy_rmse), (force_mae, force_rmse) = _both(energy), _both(forces)
        stress_mae, stress_rmse = _both(stress)
        return Errors(
            energy_mae * MEV_IN_EV,
            energy_rmse * MEV_IN_EV,
            force_mae * MEV_IN_EV,
            force_rmse * MEV_IN_EV,
            stress_mae * EV_PER_A3_IN_GPA,
            stress_rmse * EV_PER_A3_IN_GPA,
            _both(self.forces[0])[1] * MEV_IN_EV,
            {symbol: both[0] * MEV_IN_EV for symbol, both in of_element.items()},
            {symbol: both[1] * MEV_IN_EV for symbol, both in of_element.items()},
            len(energy),
        )

    def of_frames(self, indices: Sequence[int]) -> Comparison:
        """Return the comparison of some of the frames."""
        atoms = np.isin(self.frame_of, indices)
        return Comparison(
            self.energies[:, indices],
            self.forces[:, atoms],
            self.stresses[:, indices],
            self.symbols[atoms],
            np.searchsorted(np.sort(indices), self.frame_of[atoms]),
        )

    def shifted(self, shift_ev: Mapping[str, float]) -> Comparison:
        """Return the comparison with energies of elements added to the model's."""
        per_atom = np.array([shift_ev.get(str(symbol), 0.0) for symbol in self.symbols])
        n_frames = self.energies.shape[1]
        total = np.bincount(self.frame_of, weights=per_atom, minlength=n_frames)
        n_atoms = np.bincount(self.frame_of, minlength=n_frames)
        moved = self.energies + np.array([[0.0], [1.0]]) * (total / n_atoms)
        return replace(self, energies=moved)

    def _values(self) -> tuple[NDArray[np.float64], ...]:
        return self.energies, self.forces, self.stresses


def errors_of(calculator: Any, frames: Sequence[Atoms]) -> Errors:  # noqa: ANN401  (ASE calculators share no base class)
    """Compare a calculator with the labels of `frames`.

    Raises
    ------
    InputError
        If there are no frames.
    """
    return compare(calculator, frames).errors()


def compare(
    calculator: Any,  # noqa: ANN401  (as above)
    frames: Sequence[Atoms],
    on_progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Evaluate `frames`, and put what comes out beside their labels.

    Raises
    ------
    InputError
        If there are no frames.
    """
    if not frames:
        raise InputError(
            "errors need labelled frames",
            given="none",
            remedy="give the test frames of a training set",
        )
    energies, forces, stresses = [], [], []
    for done, frame in enumerate(frames, start=1):
        forget_history(calculator)
        calculator.calculate(frame.copy(), ["energy", "forces", "stress"])
        found = calculator.results
        energy = found.get("free_energy", found["energy"])
        energies.append(np.array([frame.get_potential_energy(), energy]) / len(frame))
        forces.append(np.stack([frame.get_forces(), found["forces"]]))
        stresses.append(np.stack([frame.get_stress(), found["stress"]]))
        if on_progress is not None:
            on_progress(done, len(frames))
    return Comparison(
        np.stack(energies, axis=1),
        np.concatenate(forces, axis=1),
        np.stack(stresses, axis=1),
        np.concatenate([frame.get_chemical_symbols() for frame in frames]),
        np.repeat(np.arange(len(frames)), [len(frame) for frame in frames]),
    )


def weakest_repulsion_ev_a(
    calculator: Any,  # noqa: ANN401  (as above)
    elements: Sequence[str],
    distances_a: Sequence[float] = DIMER_DISTANCES_A,
) -> dict[str, float]:
    """Return the smallest force that drives each pair of atoms apart at short distances.

    Parameters
    ----------
    calculator
        Any ASE calculator.
    elements
        Chemical symbols; each pair of them is scanned, e.g. ``"Cl-Na"``.
    distances_a
        Distances of the scan.
    """
    found = {}
    for first, second in combinations_with_replacement(sorted(elements), 2):
        forces = []
        for distance in distances_a:
            dimer = Atoms(
                [first, second],
                positions=[[0.0, 0.0, 0.0], [distance, 0.0, 0.0]],
                cell=[_DIMER_CELL_A] * 3,
                pbc=True,
            )
            forget_history(calculator)
            calculator.calculate(dimer, ["forces"])
            forces.append(float(calculator.results["forces"][1, 0]))
        found[f"{first}-{second}"] = min(forces)
    return found


def us_per_atom_step(calculator: Any, frame: Atoms) -> float:  # noqa: ANN401  (as above)
    """Return the processor time of one evaluation, microseconds per atom."""
    atoms = frame.copy()
    calculator.calculate(atoms, ["energy", "forces"])
    rng = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(_TIMED_EVALUATIONS):
        atoms.positions += rng.normal(scale=1e-4, size=atoms.positions.shape)
        calculator.calculate(atoms, ["energy", "forces"])
    return 1e6 * (time.process_time() - start) / (_TIMED_EVALUATIONS * len(atoms))


def _both(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean absolute and the root mean square of all components."""
    return float(np.abs(differences).mean()), float(np.sqrt(np.square(differences).mean()))
