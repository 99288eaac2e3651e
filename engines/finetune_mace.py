"""MACE as a learner: a foundation model, or a small one with random weights."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from ase.data import atomic_numbers, chemical_symbols

from ..errors import CoverageError, InputError
from ..units import EV_PER_A3_IN_GPA
from .durable import write_durably
from .learners import Batch, Learner, labels_of, to_bytes
from .potential_loaders import allow_e3nn, optional_package, third_party_quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ase import Atoms

    from .finetune_settings import FineTuneSettings
    from .mace_shape import MaceShape
    from .potential_loaders import Setting

_BLOCK: Final = "RealAgnosticResidualInteractionBlock"


class MaceLearner(Learner):
    """MACE on labelled frames.

    Parameters
    ----------
    model
        As :func:`foundation` or :func:`new_mace` gives it.
    settings
        Of the training.
    frames
        Training and validation frames, labelled.
    device
        Torch device.

    Raises
    ------
    CoverageError
        If the model does not know an element of the frames.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401  (mace is untyped)
        settings: FineTuneSettings,
        frames: Mapping[str, Sequence[Atoms]],
        device: str,
    ) -> None:
        self._dtype = next(model.parameters()).dtype
        self._numbers = [int(number) for number in model.atomic_numbers]
        known = [chemical_symbols[number] for number in self._numbers]
        asked = sorted({s for part in frames.values() for f in part for s in f.symbols})
        if missing := sorted(set(asked) - set(known)):
            raise CoverageError(
                f"the MACE to begin with does not cover {', '.join(missing)}",
                given=asked,
                allowed=known,
                remedy="begin with another model, or leave these frames out",
            )
        super().__init__(model.to(device), settings, frames)
        self._device, self._elements = device, asked
        self._stress = settings.weight_stress > 0
        self._known: dict[tuple[str, int], Any] = {}

    def predict(self, split: str, indices: Sequence[int]) -> tuple[Batch, Batch]:
        """Return labels and predictions of frames."""
        from mace.tools.torch_geometric import Batch as Graphs  # noqa: PLC0415  (heavy)

        frames = [self.frames[split][index] for index in indices]
        with _default_dtype(self._dtype), third_party_quiet():
            graphs = Graphs.from_data_list([self._graph(split, index) for index in indices])
            found = self.model(
                graphs.to(self._device).to_dict(),
                training=self.model.training,
                compute_stress=self._stress,
            )
        n_atoms = torch.as_tensor([len(f) for f in frames], dtype=self._dtype, device=self._device)
        stress = found["stress"] * EV_PER_A3_IN_GPA if self._stress else None
        labels = labels_of(frames, stress=self._stress, dtype=self._dtype, device=self._device)
        return labels, Batch(found["energy"] / n_atoms, found["forces"], stress)

    def shift_references(self, shift_ev: Mapping[str, float]) -> None:
        """Add to the atomic energies."""
        energies: Any = self.model.atomic_energies_fn
        for symbol, shift in shift_ev.items():
            index = self._numbers.index(atomic_numbers[symbol])
            energies.atomic_energies[..., index] += shift

    def weights(self) -> bytes:
        """Return a file of MACE, with the elements that it was trained on."""
        with third_party_quiet():
            model: Any = copy.deepcopy(self.model).cpu().eval()
            model.trained_elements = self._elements
            return to_bytes(model)

    def _graph(self, split: str, index: int) -> Any:  # noqa: ANN401  (mace is untyped)
        """Return the graph of a frame, made when it is needed first."""
        if (split, index) not in self._known:
            self._known[split, index] = _graph_of(
                self.frames[split][index], self._numbers, float(self.model.r_max)
            )
        return self._known[split, index]


def starting_model(start: Path, make: Callable[[], Any]) -> Any:  # noqa: ANN401  (mace is untyped)
    """Return the model that a training begins with, made once and kept in the file `start`.

    Code that e3nn has compiled bears names by the order of compilation in its process, and lies
    in the file of a model: only from one file come the same bits.
    """
    with optional_package("mace-torch", "mace"), third_party_quiet():
        allow_e3nn()
        if not start.exists():
            write_durably(start, to_bytes(make()))
        model = torch.load(start, map_location="cpu", weights_only=False)
        return model.requires_grad_(requires_grad=True)


def foundation(weights: Path, settings: Mapping[str, Setting]) -> Any:  # noqa: ANN401  (idem)
    """Return the model of a MACE file, with one head, in the precision that is asked for."""
    from mace.tools.scripts_utils import remove_pt_head  # noqa: PLC0415  (heavy)

    model = torch.load(weights, map_location="cpu", weights_only=False)
    heads = list(getattr(model, "heads", None) or ["Default"])
    if len(heads) > 1:
        head = settings.get("head")
        if head not in heads:
            raise InputError(
                "a MACE of several heads is fine-tuned in one of them",
                given=f"head {head}",
                allowed=heads,
                remedy="write mace:PATH?head=NAME",
            )
        with _default_dtype(next(model.parameters()).dtype):
            model = remove_pt_head(model, head)
    dtype = settings.get("dtype")
    return model.to(getattr(torch, str(dtype))) if dtype else model


def new_mace(shape: MaceShape, frames: Sequence[Atoms]) -> Any:  # noqa: ANN401  (idem)
    """Return a MACE for the elements of `frames`, in single precision.

    Its forces begin in the size of the labels'; its atomic energies are zero until they are
    refitted.
    """
    from e3nn import o3  # noqa: PLC0415  (heavy)
    from mace import modules  # noqa: PLC0415  (heavy)

    numbers = sorted({int(number) for frame in frames for number in frame.numbers})
    graphs = [_graph_of(frame, numbers, shape.cutoff_a) for frame in frames]
    n_edges = sum(graph.edge_index.shape[1] for graph in graphs)
    hidden = "+".join(
        f"{shape.channels}x{order}{'eo'[order % 2]}" for order in range(shape.max_l + 1)
    )
    block = modules.interaction_classes[_BLOCK]
    force = np.sqrt(np.mean(np.vstack([f.get_forces() for f in frames]) ** 2))
    with _default_dtype(torch.float32), torch.random.fork_rng(devices=[]):
        torch.manual_seed(shape.seed)
        return modules.ScaleShiftMACE(
            r_max=shape.cutoff_a, num_bessel=shape.n_bessel, num_polynomial_cutoff=5,
            max_ell=shape.max_ell, interaction_cls=block, interaction_cls_first=block,
            num_interactions=shape.n_layers, num_elements=len(numbers),
            hidden_irreps=o3.Irreps(hidden), MLP_irreps=o3.Irreps("16x0e"),
            gate=torch.nn.functional.silu, atomic_energies=np.zeros(len(numbers)),
            avg_num_neighbors=n_edges / sum(map(len, frames)), atomic_numbers=numbers,
            correlation=shape.correlation, radial_type="bessel",
            radial_MLP=[shape.radial_neurons] * 2, atomic_inter_scale=float(force),
            atomic_inter_shift=0.0,
        )  # fmt: skip


def _graph_of(frame: Atoms, numbers: Sequence[int], cutoff_a: float) -> Any:  # noqa: ANN401  (mace is untyped)
    from mace.data import AtomicData, Configuration  # noqa: PLC0415  (heavy)
    from mace.tools import AtomicNumberTable  # noqa: PLC0415  (heavy)

    configuration = Configuration(
        atomic_numbers=frame.numbers,
        positions=frame.positions,
        properties={},
        property_weights={},
        cell=frame.cell.array,
        pbc=tuple(frame.pbc.tolist()),
    )
    return AtomicData.from_config(configuration, AtomicNumberTable(list(numbers)), cutoff_a)


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Let mace make its tensors in `dtype`, and leave no trace of it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
