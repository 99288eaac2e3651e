"""A fast potential with countable evaluations, for tests of everything around physics.

A name such as ``ase:pair_potential:Pair?size_a=2.5`` makes it a level of theory. Worker
processes learn by the environment where to count, how long to dawdle and at which number of
atoms to fail; the physics, and so the identity of a step, stays the same.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from vesin import NeighborList

if TYPE_CHECKING:
    from ase import Atoms

COUNT_FILE = "PAIR_POTENTIAL_COUNT_FILE"
DELAY_S = "PAIR_POTENTIAL_DELAY_S"
FAILING_WHILE = "PAIR_POTENTIAL_FAILING_WHILE"
LEVEL = "ase:pair_potential:Pair?depth_ev=0.05&size_a=2.5"


class Pair(Calculator):
    """Smoothly cut Lennard-Jones, deeper between different elements, so that salts are stable.

    Parameters
    ----------
    size_a, depth_ev
        Of the potential; its depth between equal elements is a quarter.
    nan_after
        Evaluations after which nothing is finite any more; 0 for never, -1 for from the first on.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, size_a: float = 2.5, depth_ev: float = 0.05, nan_after: int = 0) -> None:
        super().__init__()
        self._size_a, self._depth_ev, self._nan_after = size_a, depth_ev, nan_after
        self._cutoff_a = 2.2 * size_a
        self._n_evaluations = 0

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        self._obey_the_environment()
        first, second, vectors, distances = NeighborList(
            cutoff=self._cutoff_a, full_list=True, n_threads=1
        ).compute(
            points=self.atoms.positions,
            box=self.atoms.cell.array,
            periodic=self.atoms.pbc,
            quantities="ijDd",
        )
        s6 = (self._size_a / distances) ** 6
        window = (1 - (distances / self._cutoff_a) ** 2) ** 2
        slope = -4 * distances / self._cutoff_a**2 * (1 - (distances / self._cutoff_a) ** 2)
        numbers = self.atoms.numbers
        depth = self._depth_ev * np.where(numbers[first] == numbers[second], 0.25, 1.0)
        well = 4 * depth * (s6**2 - s6)
        steepness = 4 * depth * (6 * s6 - 12 * s6**2) / distances
        pull = ((steepness * window + well * slope) / distances)[:, None] * vectors
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, first, pull)
        stress = 0.5 * (vectors.T @ pull) / self.atoms.get_volume()
        self._n_evaluations += 1
        broken = self._nan_after and self._n_evaluations > max(self._nan_after, 0)
        self.results = {
            "energy": np.nan if broken else 0.5 * float(well @ window),
            "forces": np.full_like(forces, np.nan) if broken else forces,
            "stress": stress.flat[[0, 4, 8, 5, 2, 1]],
        }

    def _obey_the_environment(self) -> None:
        flag = Path(os.environ.get(FAILING_WHILE, "/none"))
        if flag.exists() and len(self.atoms) == int(flag.read_text()):
            raise RuntimeError("the pair potential was told to fail")
        if (delay := os.environ.get(DELAY_S)) is not None:
            time.sleep(float(delay))
        if (count := os.environ.get(COUNT_FILE)) is not None:
            with Path(count).open("ab") as file:
                file.write(b".")
