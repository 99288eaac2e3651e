"""Potentials that torch-sim evaluates, many structures at once, on a GPU or a processor.

torch-sim holds the batch, finds the neighbours on the device, and finds out how much fits into
its memory. What moves the atoms stays the integrators of :mod:`~haloflow.engines.dynamics`:
torch-sim's own draw the noise of all structures from one generator, so that a structure that
leaves a batch would change the others.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
import torch_sim
from ase.stress import full_3x3_to_voigt_6_stress
from torch_sim.autobatching import DEFAULT_OOM_ERROR_MESSAGES, determine_max_batch_size
from torch_sim.transforms import pbc_wrap_batched

from .batching import BatchedModel, Structure
from .evaluator import Evaluation
from .potential_loaders import third_party_quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch_sim.models.interface import ModelInterface

_PROBED_ATOMS: Final = 100_000
_PROBED_SHARE: Final = 0.8
"""Of what was found to fit: neighbours fluctuate."""


class TorchSimModel(BatchedModel):
    """A model of torch-sim as a batched model.

    Parameters
    ----------
    model
        With energy, forces and stress.
    """

    def __init__(self, model: ModelInterface) -> None:
        super().__init__()
        self.model = model

    def _forward(self, structures: Sequence[Structure]) -> list[Evaluation]:
        found = self.model(self._state(structures))
        energies = found["energy"].double().cpu().numpy()
        forces = found["forces"].double().cpu().numpy()
        stresses = found["stress"].double().cpu().numpy()
        ends = np.cumsum([len(one.numbers) for one in structures])[:-1]
        return [
            Evaluation(float(energy), own, np.array(full_3x3_to_voigt_6_stress(stress)))
            for energy, own, stress in zip(energies, np.split(forces, ends), stresses, strict=True)
        ]

    def _state(self, structures: Sequence[Structure]) -> torch_sim.SimState:
        """Return the batch, wrapped in float64 so that a far walk costs no digits."""
        device = self.model.device
        sizes = torch.tensor([len(one.numbers) for one in structures])
        system = torch.repeat_interleave(torch.arange(len(structures)), sizes).to(device)
        positions = _tensor([one.positions_a for one in structures], device)
        rows = _tensor([one.cell_a[None] for one in structures], device)
        cell = rows.mT.contiguous()
        numbers = torch.as_tensor(np.concatenate([one.numbers for one in structures]))
        return torch_sim.SimState(
            positions=pbc_wrap_batched(positions, cell, system),
            masses=torch.ones(len(positions), dtype=torch.float64, device=device),
            cell=cell,
            pbc=True,
            atomic_numbers=numbers.to(device),
            system_idx=system,
        )

    def _is_out_of_memory(self, error: Exception) -> bool:
        if not any(text in str(error) for text in DEFAULT_OOM_ERROR_MESSAGES):
            return False
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return True

    def _probe(self, structures: Sequence[Structure]) -> float | None:
        """Let torch-sim try how many copies of the largest and the smallest structure fit."""
        if torch.device(self.model.device).type != "cuda":
            return None
        needs = [self._needs(one) for one in structures]
        extremes = {int(np.argmin(needs)), int(np.argmax(needs))}
        rooms = []
        for i in extremes:
            state = self._state([structures[i]])
            with third_party_quiet():
                most = determine_max_batch_size(state, self.model, max_atoms=_PROBED_ATOMS)
            tried_all = (most + 1) * state.n_atoms > _PROBED_ATOMS / 2
            rooms.append(math.inf if tried_all else _PROBED_SHARE * most * needs[i])
        return min(rooms)


def _tensor(arrays: Sequence[np.ndarray[Any, np.dtype[np.float64]]], device: Any) -> torch.Tensor:  # noqa: ANN401  (torch is not typed here)
    return torch.as_tensor(np.concatenate(arrays), dtype=torch.float64).to(device)
