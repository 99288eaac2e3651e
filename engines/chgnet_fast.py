"""CHGNet for inference: the stock network's numbers at a fraction of its cost.

The stock calculator is written for training: it differentiates twice with
``create_graph=True`` and builds its graph from Python objects. Here

- one plain backward pass gives energy, forces and stress: the network depends on the
  atoms through bond vectors ``v`` only, so ``F_i = sum dE/dv``, ``stress = sum v (x) dE/dv / V``;
- the first layer of each gated MLP acts on atoms, bonds and angles *before* they are
  gathered on the edges, ``[a, b, c] W = a W_a + b W_b + c W_c``;
- core and gate share that product; bonds longer than the bond graph's cutoff, which never
  change, are left out of the bond convolutions.

Weights, cutoffs and float32 arithmetic are those of the package. Positions enter in float64
up to the bond vectors, and site energies are summed in float64. The calculator keeps no
neighbour list between steps: the same atoms give the same bits, whatever came before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from torch.nn.functional import silu
from vesin import NeighborList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms
    from chgnet.model import CHGNet
    from numpy.typing import NDArray
    from torch import Tensor, nn

_Term = tuple["Tensor", "Tensor | None"]


class Graph(NamedTuple):
    """Index tensors: atoms, undirected bonds i-j, short ones among them, and angles."""

    species: Tensor
    i: Tensor
    j: Tensor
    short: Tensor
    apex: Tensor
    first: Tensor
    second: Tensor
    sign: Tensor


class _GatedMLP:
    """A stock ``GatedMLP`` whose first layer is applied block by block, before the gather."""

    def __init__(self, stock: nn.Module, widths: Sequence[int]) -> None:
        core, gate = (
            [layer for layer in mlp.layers if isinstance(layer, torch.nn.Linear)]
            for mlp in (stock.mlp_core, stock.mlp_gate)
        )
        first = torch.cat([core[0].weight, gate[0].weight]).T
        self.blocks = [block.contiguous() for block in first.split(list(widths))]
        self.bias = torch.cat([core[0].bias, gate[0].bias])
        self.later = core[1:] and (core[1], gate[1])
        self.norm_core, self.norm_gate = stock.bn1, stock.bn2

    def __call__(self, *terms: _Term) -> Tensor:
        """Evaluate on rows ``sum_k (features_k W_k)[index_k]`` (``None``: row by row)."""
        total = self.bias
        for block, (features, index) in zip(self.blocks, terms, strict=True):
            part = features @ block
            total = total + (part if index is None else part.index_select(0, index))
        if self.later:
            total = silu(total)
        core, gate = total.chunk(2, dim=1)
        if self.later:
            core, gate = self.later[0](core), self.later[1](gate)
        return silu(self.norm_core(core)) * torch.sigmoid(self.norm_gate(gate))


class FastCHGNetCalculator(Calculator):
    """ASE calculator of a CHGNet without magnetic moments.

    Parameters
    ----------
    model
        A pretrained network of the chgnet package; it is frozen.
    device
        Torch device.

    Notes
    -----
    Energies in eV, forces in eV/A, stress in eV/A^3 (Voigt). Input that is not finite gives
    results that are not finite.
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy", "free_energy", "energies", "forces", "stress",
    ]  # fmt: skip

    def __init__(self, model: CHGNet, device: str = "cpu") -> None:
        super().__init__()
        self.device = device
        self.model = model.to(device).eval().requires_grad_(requires_grad=False)
        self.dtype = model.site_wise.weight.dtype
        width = model.atom_fea_dim
        self.atom_mlps = [_GatedMLP(c.twoBody_atom, [width] * 3) for c in model.atom_conv_layers]
        self.bond_mlps = [_GatedMLP(c.twoBody_bond, [width] * 4) for c in model.bond_conv_layers]
        self.angle_mlps = [_GatedMLP(c.twoBody_bond, [width] * 4) for c in model.angle_layers]
        self.reference = model.composition_model.fc.weight[0].double().cpu().numpy()
        self.cutoff = float(model.graph_converter.atom_graph_cutoff)
        self.angle_cutoff = float(model.graph_converter.bond_graph_cutoff)
        self.trained_elements: tuple[str, ...] | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``self.results`` for `atoms`."""
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        n_atoms, cell = len(atoms), atoms.cell[:]
        if not (np.isfinite(atoms.positions).all() and np.isfinite(cell).all()):
            self.results = _not_finite(n_atoms)
            return
        center, neighbor, vectors = self._bonds(atoms)
        site, slope = self._evaluate(atoms.numbers, center, neighbor, vectors)
        energies = site + self.reference[atoms.numbers - 1]
        forces = np.zeros((n_atoms, 3))
        np.add.at(forces, center, slope)
        np.add.at(forces, neighbor, -slope)
        energy = float(energies.sum())
        self.results = {
            "energy": energy, "free_energy": energy, "energies": energies, "forces": forces,
        }  # fmt: skip
        if atoms.cell.rank == 3:  # noqa: PLR2004  (a volume needs three vectors)
            virial = vectors.T @ slope
            stress = (virial + virial.T) / 2.0 / atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def features(self, atoms: Atoms) -> NDArray[np.float64]:
        """Return what the readout sees of each atom, (n_atoms, n_features).

        Nothing of it enters ``self.results``.
        """
        center, neighbor, vectors = self._bonds(atoms)
        graph = self._graph(atoms.numbers, center, neighbor, vectors)
        v = torch.as_tensor(vectors, dtype=self.dtype, device=self.device)
        with torch.no_grad():
            found: NDArray[np.float64] = self.site_features(graph, v).cpu().double().numpy()
        return found

    def _bonds(
        self, atoms: Atoms
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return the ends of each undirected bond, and its vectors (n_bonds, 3)."""
        center, neighbor, vectors = NeighborList(
            cutoff=self.cutoff, full_list=False, n_threads=1
        ).compute(atoms.positions, atoms.cell[:], atoms.pbc, "ijD")
        return center.astype(np.int64), neighbor.astype(np.int64), vectors

    def _graph(
        self,
        numbers: NDArray[np.int64],
        center: NDArray[np.int64],
        neighbor: NDArray[np.int64],
        vectors: NDArray[np.float64],
    ) -> Graph:
        short = np.flatnonzero(np.linalg.norm(vectors, axis=1) <= self.angle_cutoff)
        indices = (numbers - 1, center, neighbor, short, *_angles(center[short], neighbor[short]))
        return Graph(*(torch.as_tensor(index, device=self.device) for index in indices))

    def _evaluate(
        self,
        numbers: NDArray[np.int64],
        center: NDArray[np.int64],
        neighbor: NDArray[np.int64],
        vectors: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return site energies (n_atoms,) without the references, and dE/dv (n_bonds, 3)."""
        graph = self._graph(numbers, center, neighbor, vectors)
        v = torch.as_tensor(vectors, dtype=self.dtype, device=self.device).requires_grad_()
        site = self.site_energies(graph, v)
        (slope,) = torch.autograd.grad(site.sum(), v)
        return site.detach().cpu().double().numpy(), slope.cpu().double().numpy()

    def site_energies(self, graph: Graph, v: Tensor) -> Tensor:
        """Return the site energies of bond vectors `v` (n_bonds, 3)."""
        return self.model.mlp(self.site_features(graph, v))[:, 0]

    def site_features(self, graph: Graph, v: Tensor) -> Tensor:
        """Return what the readout makes site energies of, (n_atoms, n_features)."""
        model, (species, i, j, short, apex, first, second, sign) = self.model, graph
        length = torch.norm(v, dim=1)
        unit = (v / length[:, None])[short]
        basis = model.bond_basis_expansion.rbf_expansion_ag(length)
        weight_short = model.bond_weights_bg(
            model.bond_basis_expansion.rbf_expansion_bg(length[short])
        )
        atom = model.atom_embedding(species)
        bond = model.bond_embedding(basis)
        weight = model.bond_weights_ag(basis).repeat(2, 1)
        weight_angle = weight_short[first] * weight_short[second]
        angle = model.angle_embedding(
            model.angle_basis_expansion(unit[first] * sign[:, None], unit[second])
        )
        center, other = torch.cat([i, j]), torch.cat([j, i])
        both = torch.arange(len(v), device=v.device).repeat(2)
        for layer, convolution in enumerate(model.atom_conv_layers):
            message = self.atom_mlps[layer]((atom, center), (bond, both), (atom, other)) * weight
            atom = atom + convolution.mlp_out(torch.zeros_like(atom).index_add(0, center, message))
            if layer == len(self.bond_mlps):
                break
            near = bond[short]
            terms = (near, first), (near, second), (angle, None), (atom, apex)
            message = self.bond_mlps[layer](*terms) * weight_angle
            near = near + model.bond_conv_layers[layer].mlp_out(
                torch.zeros_like(near).index_add(0, first, message)
            )
            bond = bond.index_copy(0, short, near)
            if layer + 1 < len(self.angle_mlps):
                terms = (near, first), (near, second), (angle, None), (atom, apex)
                angle = angle + self.angle_mlps[layer](*terms)
        return model.readout_norm(atom)


def _angles(center: NDArray[np.int64], neighbor: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """Pair each directed short bond with all others that leave the same atom.

    Returns
    -------
    tuple
        Apex atom, first bond, second bond (each (n_angles,), bonds counted among the short
        ones), and +1 or -1 where the two bonds are stored in equal or opposite sense.
    """
    n_bonds = len(center)
    apex = np.concatenate([center, neighbor])
    order = np.argsort(apex, kind="stable")
    degree = np.bincount(apex)[apex[order]] if n_bonds else np.zeros(0, dtype=np.int64)
    start = np.searchsorted(apex[order], apex[order])
    first = np.repeat(np.arange(len(order)), degree)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(degree) - degree, degree)
    second = start[first] + offset
    first, second = first[first != second], second[first != second]
    first, second = order[first], order[second]
    sign = np.where((first < n_bonds) == (second < n_bonds), 1, -1)
    return apex[first], first % max(n_bonds, 1), second % max(n_bonds, 1), sign


def _not_finite(n_atoms: int) -> dict[str, Any]:
    nan = float("nan")
    per_atom = np.full(n_atoms, nan)
    return {
        "energy": nan, "free_energy": nan, "energies": per_atom,
        "forces": np.full((n_atoms, 3), nan), "stress": np.full(6, nan),
    }  # fmt: skip
