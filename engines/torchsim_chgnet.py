"""CHGNet for torch-sim: the network of :mod:`~haloflow.engines.chgnet_fast` on a whole batch.

Neighbours come from torch-sim in both directions; one of each pair is kept, as the network
wants it. Bond vectors are made in float64, and energies, forces and stresses summed in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch_sim.models.interface import ModelInterface
from torch_sim.neighbors import torchsim_nl
from torch_sim.transforms import compute_cell_shifts

from .chgnet_fast import FastCHGNetCalculator, Graph

if TYPE_CHECKING:
    from torch import Tensor
    from torch_sim import SimState


class CHGNetModel(ModelInterface):
    """CHGNet without magnetic moments.

    Parameters
    ----------
    network
        Calculator that holds the frozen network, on the device where it shall run.
    """

    def __init__(self, network: FastCHGNetCalculator) -> None:
        super().__init__()
        self.network = network
        self._device = torch.device(network.device)
        self._dtype = torch.float64
        self._compute_forces = self._compute_stress = True
        self._memory_scales_with = "n_atoms_x_density"
        self.reference = torch.as_tensor(network.reference, device=self._device)

    def forward(self, state: SimState, **_kwargs: object) -> dict[str, Tensor]:
        """Return energy (n_systems,), forces (n_atoms, 3) and stress (n_systems, 3, 3)."""
        i, j, vectors = self._bonds(state)
        system, species = state.system_idx, state.atomic_numbers - 1
        site, slope = self._evaluate(species, i, j, vectors)
        zero = torch.zeros(state.n_systems, dtype=torch.float64, device=self._device)
        energy = zero.index_add(0, system, site + self.reference[species])
        forces = torch.zeros_like(state.positions).index_add(0, i, slope).index_add(0, j, -slope)
        pulls = vectors[:, :, None] * slope[:, None, :]
        virial = zero[:, None, None].expand(-1, 3, 3).contiguous().index_add(0, system[i], pulls)
        volume = torch.linalg.det(state.cell).abs()[:, None, None]
        return {"energy": energy, "forces": forces, "stress": (virial + virial.mT) / 2 / volume}

    def _bonds(self, state: SimState) -> tuple[Tensor, Tensor, Tensor]:
        """Return the ends i, j and the float64 vectors of the bonds, each of them once."""
        cell, system = state.row_vector_cell, state.system_idx
        cutoff = torch.as_tensor(self.network.cutoff, dtype=torch.float64, device=self._device)
        (i, j), of_system, shifts = torchsim_nl(state.positions, cell, state.pbc, cutoff, system)
        step = shifts.round().long()
        own_image = torch.where(step[:, 0] != 0, step[:, 0], step[:, 1])
        own_image = torch.where(own_image != 0, own_image, step[:, 2])
        once = (i < j) | ((i == j) & (own_image > 0))
        i, j, of_system, shifts = i[once], j[once], of_system[once], shifts[once]
        order = torch.argsort(i, stable=True)
        i, j, of_system, shifts = i[order], j[order], of_system[order], shifts[order]
        far = compute_cell_shifts(cell, shifts.double(), of_system)
        return i, j, state.positions[j] - state.positions[i] + far

    def _evaluate(
        self, species: Tensor, i: Tensor, j: Tensor, vectors: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return site energies (n_atoms,) without the references, and dE/dv (n_bonds, 3)."""
        network = self.network
        short = torch.nonzero(torch.linalg.norm(vectors, dim=1) <= network.angle_cutoff)[:, 0]
        graph = Graph(species, i, j, short, *_angles(i[short], j[short]))
        v = vectors.to(network.dtype).requires_grad_()
        with torch.enable_grad():
            site = network.site_energies(graph, v)
            (slope,) = torch.autograd.grad(site.sum(), v)
        return site.detach().double(), slope.double()


def _angles(center: Tensor, neighbor: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pair directed short bonds that leave the same atom, as `chgnet_fast` does on arrays."""
    n_bonds = len(center)
    apex = torch.cat([center, neighbor])
    order = torch.argsort(apex, stable=True)
    sorted_apex = apex[order]
    degree = torch.bincount(apex)[sorted_apex] if n_bonds else apex
    start = torch.searchsorted(sorted_apex, sorted_apex)
    first = torch.repeat_interleave(torch.arange(len(order), device=apex.device), degree)
    offset = torch.arange(len(first), device=apex.device)
    offset = offset - torch.repeat_interleave(torch.cumsum(degree, 0) - degree, degree)
    second = start[first] + offset
    other = first != second
    first, second = order[first[other]], order[second[other]]
    same_sense = (first < n_bonds) == (second < n_bonds)
    sign = torch.where(same_sense, 1, -1)
    return apex[first], first % max(n_bonds, 1), second % max(n_bonds, 1), sign
