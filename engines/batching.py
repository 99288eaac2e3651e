"""Many structures in one evaluation: asked for one by one, answered together.

A :class:`BatchedModel` splits what it is asked into batches that fit into memory, and keeps a
structure that cannot be evaluated from harming the others. A :class:`BatchedCalculator` is what
a run sees of it: an ASE calculator that waits, in a run beside others, until all of them ask.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from .evaluator import Evaluation
from .lockstep import current_lockstep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)
_VOIGT_SIZE = 6


@dataclass(frozen=True)
class Structure:
    """Atoms in a periodic box, as they are evaluated.

    Attributes
    ----------
    numbers
        Atomic numbers, (n_atoms,).
    positions_a
        (n_atoms, 3), wrapped or not.
    cell_a
        Cell vectors in rows, (3, 3).
    """

    numbers: NDArray[np.int64]
    positions_a: NDArray[np.float64]
    cell_a: NDArray[np.float64]

    @property
    def is_finite(self) -> bool:
        """Whether it can be evaluated at all."""
        return bool(np.isfinite(self.positions_a).all() and np.isfinite(self.cell_a).all())


class BatchedModel(ABC):
    """A potential that evaluates many structures at once."""

    def __init__(self) -> None:
        self._room: float | None = None

    @abstractmethod
    def _forward(self, structures: Sequence[Structure]) -> list[Evaluation]:
        """Evaluate all at once."""

    @abstractmethod
    def _is_out_of_memory(self, error: Exception) -> bool:
        """Tell whether fewer structures would not have raised `error`; free what can be freed."""

    def _probe(self, structures: Sequence[Structure]) -> float | None:
        """Return the largest sum of `_needs` that fits; ``None`` where nothing limits it."""
        del structures
        return None

    def _needs(self, structure: Structure) -> float:
        """Return what a structure takes of the room: atoms times their number density."""
        n_atoms = len(structure.numbers)
        volume_nm3 = abs(float(np.linalg.det(structure.cell_a))) / 1000.0
        return n_atoms * n_atoms / volume_nm3 if volume_nm3 else float(n_atoms)

    def evaluate(self, asked: Sequence[Structure]) -> list[Evaluation | Exception]:
        """Return one answer for each structure, in order.

        What is not finite gives results that are not finite; what cannot be evaluated gives
        its exception, and the others their results.
        """
        answers: list[Evaluation | Exception] = [_not_finite(one) for one in asked]
        sound = [i for i, one in enumerate(asked) if one.is_finite]
        structures = [asked[i] for i in sound]
        with np.errstate(all="ignore"):  # guards look after numbers that are not finite
            if len(sound) > 1 and self._room is None:
                self._room = self._probed(structures)
            found = [answer for part in self._parts(structures) for answer in self._attempt(part)]
        for i, answer in zip(sound, found, strict=True):
            answers[i] = answer
        return answers

    def _probed(self, structures: Sequence[Structure]) -> float | None:
        """Return the room; ``None``, until the next evaluation, where one spoils the probe."""
        try:
            return self._probe(structures) or np.inf
        except Exception as error:  # noqa: BLE001  (any model may raise anything; told below)
            self._is_out_of_memory(error)
            _log.warning("the room of a batch could not be probed: %s", error)
            return None

    def _parts(self, structures: Sequence[Structure]) -> list[list[Structure]]:
        """Split structures, in order, into parts that fit; one that never fits stands alone."""
        parts: list[list[Structure]] = []
        left = 0.0
        for one in structures:
            needed = self._needs(one)
            if not parts or needed > left:
                parts.append([])
                left = self._room or np.inf
            parts[-1].append(one)
            left -= needed
        return parts

    def _attempt(self, part: Sequence[Structure]) -> list[Evaluation | Exception]:
        """Evaluate `part`, and where that fails, less of it at a time."""
        room = self._room
        try:
            return self._unspoilt(part, self._forward(part))
        except Exception as error:  # noqa: BLE001  (any model may raise anything)
            short = self._is_out_of_memory(error)
            if len(part) == 1:
                return [error]
        smaller = [[one] for one in part]
        if short:
            self._room = sum(self._needs(one) for one in part) / 2.0
            smaller = self._parts(part)
        answers = [answer for some in smaller for answer in self._attempt(some)]
        if any(isinstance(answer, Exception) for answer in answers):
            self._room = room  # one was too large by itself: the others need no smaller parts
        return answers

    def _unspoilt(
        self, part: Sequence[Structure], answers: list[Evaluation]
    ) -> list[Evaluation | Exception]:
        """Evaluate apart what has no finite numbers: in MACE, all forces of a batch lose theirs.

        The first to be left out are those without an energy, which no other structure changes.
        """
        found: list[Evaluation | Exception] = list(answers)
        suspects = [i for i, one in enumerate(answers) if not np.isfinite(one.energy_ev)]
        if not suspects:
            suspects = [i for i, one in enumerate(answers) if not _has_forces(one)]
        if not suspects or len(part) == 1:
            return found
        rest = [i for i in range(len(part)) if i not in suspects]
        for some in (*([i] for i in suspects), rest):
            again = self._attempt([part[i] for i in some]) if some else []
            for i, answer in zip(some, again, strict=True):
                found[i] = answer
        return found


class BatchedCalculator(Calculator):
    """ASE calculator of one structure that a batched model evaluates beside others.

    Parameters
    ----------
    model
        Shared by all runs of the process.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]
    atoms: Any

    def __init__(self, model: BatchedModel) -> None:
        super().__init__()
        self.model = model

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what changed: all or nothing, by what an evaluation depends on."""
        del tol
        own = self.atoms
        same = (
            own is not None
            and np.array_equal(own.positions, atoms.positions)
            and np.array_equal(own.cell.array, atoms.cell.array)
            and np.array_equal(own.numbers, atoms.numbers)
        )
        return [] if same else list(all_changes)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``self.results`` for `atoms`."""
        super().calculate(atoms, properties, system_changes)
        own = self.atoms
        structure = Structure(own.numbers, own.positions, own.cell.array)
        together = current_lockstep()
        if together is None:
            (answer,) = self.model.evaluate([structure])
            if isinstance(answer, Exception):
                raise answer
        else:
            answer = together.wait(self.model, structure)
        self.atoms = own
        self.results = {
            "energy": answer.energy_ev,
            "free_energy": answer.energy_ev,
            "forces": answer.forces_ev_a,
            "stress": answer.stress_ev_a3,
        }


def _has_forces(answer: Evaluation) -> bool:
    return bool(np.isfinite(answer.forces_ev_a).all())


def _not_finite(structure: Structure) -> Evaluation:
    nan = float("nan")
    forces = np.full((len(structure.numbers), 3), nan)
    return Evaluation(nan, forces, np.full(_VOIGT_SIZE, nan))
