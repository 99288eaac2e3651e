"""A batched model without torch: each structure by itself, so the bits are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase.build import bulk
from ase.stress import full_3x3_to_voigt_6_stress

from haloflow.engines.batching import BatchedModel
from haloflow.engines.evaluator import Evaluation

SIGMA_A, EPSILON_EV, CUTOFF_A = 3.4, 0.0104, 5.0


class OutOfRoomError(RuntimeError):
    pass


class BatchedArgon(BatchedModel):
    """Truncated Lennard-Jones argon in boxes wider than 10 A.

    As in MACE, forces of all are lost beside one that has no energy. Copper cannot be
    evaluated; `most` structures fit at once, and none above `largest` atoms.
    """

    def __init__(self, most=1000, largest=1000):
        super().__init__()
        self.most, self.largest = most, largest
        self.sizes = []

    def _forward(self, structures):
        longest = max(len(one.numbers) for one in structures)
        if len(structures) > self.most or longest > self.largest:
            raise OutOfRoomError
        if any((one.numbers == 29).any() for one in structures):
            msg = "no parameters for Cu"
            raise ValueError(msg)
        self.sizes.append(len(structures))
        answers = [self._one(one) for one in structures]
        if not all(np.isfinite(answer.energy_ev) for answer in answers):
            answers = [
                replace(answer, forces_ev_a=np.full_like(answer.forces_ev_a, np.nan))
                for answer in answers
            ]
        return answers

    @staticmethod
    def _one(structure):
        cell = structure.cell_a
        apart = structure.positions_a[:, None] - structure.positions_a
        fraction = apart @ np.linalg.inv(cell)
        apart = (fraction - np.round(fraction)) @ cell
        square = (apart**2).sum(axis=2) + np.diag(np.full(len(apart), 1e9))
        close = np.where(square < CUTOFF_A**2, SIGMA_A**2 / square, 0.0) ** 3
        energy = 2.0 * EPSILON_EV * (close**2 - close).sum()
        pull = (24.0 * EPSILON_EV * (2.0 * close**2 - close) / square)[:, :, None] * apart
        virial = -0.5 * np.einsum("ijk,ijl->kl", pull, apart) / abs(np.linalg.det(cell))
        return Evaluation(float(energy), pull.sum(axis=1), full_3x3_to_voigt_6_stress(virial))

    def _is_out_of_memory(self, error):
        return isinstance(error, OutOfRoomError)


def argon(seed=0):
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True) * 2
    atoms.rattle(0.05, seed=seed)
    return atoms
