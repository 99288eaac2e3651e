"""CHGNet as a learner: graphs of the frames, and files that load as a potential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from ase.data import atomic_numbers
from pymatgen.io.ase import AseAtomsAdaptor

from ..errors import InputError
from .learners import Batch, Learner, labels_of, to_bytes
from .potential_loaders import chgnet_network, optional_package, third_party_quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ase import Atoms

    from .finetune_settings import FineTuneSettings

SUFFIX: Final = ".chgnet.pth"


class ChgnetLearner(Learner):
    """CHGNet on labelled frames; magnetic moments are not learned.

    Parameters
    ----------
    weights
        File to begin with.
    settings
        Of the training.
    frames
        Training and validation frames, labelled.
    device
        Torch device.
    """

    def __init__(
        self,
        weights: Path,
        settings: FineTuneSettings,
        frames: Mapping[str, Sequence[Atoms]],
        device: str,
    ) -> None:
        with optional_package("chgnet", "chgnet"), third_party_quiet():
            model: Any = chgnet_network(weights)[0].to(device)
        model.composition_model.requires_grad_(requires_grad=False)
        model.site_wise.requires_grad_(requires_grad=False)
        super().__init__(model, settings, frames)
        self._device = device
        self._stress = settings.weight_stress > 0
        self._known: dict[tuple[str, int], Any] = {}
        self._elements = sorted({s for part in frames.values() for f in part for s in f.symbols})

    def predict(self, split: str, indices: Sequence[int]) -> tuple[Batch, Batch]:
        """Return labels and predictions of frames."""
        graphs = [self._graph(split, index) for index in indices]
        for graph in graphs:
            graph.atom_frac_coord = graph.atom_frac_coord.detach().requires_grad_()
        with third_party_quiet():
            found = self.model(graphs, task="efs" if self._stress else "ef")
        labels = labels_of(
            [self.frames[split][index] for index in indices],
            stress=self._stress, dtype=torch.float32, device=self._device,
        )  # fmt: skip
        return labels, Batch(
            found["e"], torch.cat(found["f"]), torch.stack(found["s"]) if self._stress else None
        )

    def shift_references(self, shift_ev: Mapping[str, float]) -> None:
        """Add to the weights of the linear model of the composition."""
        weight = self.model.composition_model.fc.weight
        with torch.no_grad():
            for symbol, shift in shift_ev.items():
                weight[0, atomic_numbers[symbol] - 1] += shift

    def weights(self) -> bytes:
        """Return a file of chgnet, with the elements that it was trained on."""
        model: Any = self.model
        state = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
        known = {"state_dict": state, "model_args": model.model_args}
        return to_bytes({"model": known, "elements": self._elements})

    def _graph(self, split: str, index: int) -> Any:  # noqa: ANN401  (chgnet is untyped)
        """Return the graph of a frame, made when it is needed first."""
        if (split, index) not in self._known:
            self._known[split, index] = self._converted(self.frames[split][index], split, index)
        return self._known[split, index]

    def _converted(self, frame: Atoms, split: str, index: int) -> Any:  # noqa: ANN401  (as above)
        structure = AseAtomsAdaptor.get_structure(frame)
        try:
            return self.model.graph_converter(structure).to(self._device)
        except ValueError as error:  # so it says that an atom has no neighbours
            raise InputError(
                "CHGNet cannot learn from a frame with atoms that have no neighbours",
                given=f"frame {index} of {split}, {frame.get_chemical_formula()}",
                allowed="every atom with another one within 6 A",
                remedy="leave out packings of low density (packing_density_scales)",
            ) from error
