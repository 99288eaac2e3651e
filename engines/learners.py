"""What the training loop needs of a network, and what all networks of torch share."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from ..errors import InputError
from ..units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ase import Atoms
    from numpy.typing import NDArray
    from torch import Tensor

    from .finetune_settings import FineTuneSettings

_HUBER_DELTA: Final = 0.1
_LEAST_SINGULAR: Final = 1e-2
"""Of the largest singular value; compositions nearer to each other tell no elements apart."""


@dataclass(frozen=True)
class Batch:
    """Labels or predictions of some frames.

    Attributes
    ----------
    energy
        In eV per atom, (n_frames,).
    forces
        In eV/A, (n_atoms of all, 3).
    stress
        In GPa, (n_frames, 3, 3); ``None`` where none is learned.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor | None


@dataclass(frozen=True)
class Score:
    """Loss and mean absolute errors over some frames, in the units of the loss."""

    loss: float
    energy_ev_per_atom: float
    force_ev_a: float
    stress_gpa: float | None


class Learner(ABC):
    """A network, its optimizer and the frames that it learns from.

    Parameters
    ----------
    model
        In training; parameters that `settings` freeze are left out.
    settings
        Of the training.
    frames
        Training and validation frames.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        settings: FineTuneSettings,
        frames: Mapping[str, Sequence[Atoms]],
    ) -> None:
        self.model, self._settings, self.frames = model, settings, frames
        freeze(model, settings.frozen)
        free = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.n_free = sum(parameter.numel() for parameter in free)
        self._free = free
        self._optimizer = torch.optim.Adam(free, settings.learning_rate)
        self._criterion = criterion_of(settings)

    @abstractmethod
    def predict(self, split: str, indices: Sequence[int]) -> tuple[Batch, Batch]:
        """Return labels and predictions of frames; the latter can be differentiated."""

    @abstractmethod
    def shift_references(self, shift_ev: Mapping[str, float]) -> None:
        """Add to the reference energy of each element."""

    @abstractmethod
    def weights(self) -> bytes:
        """Return the file of the network as it is, which loads as a potential."""

    def step(self, indices: Sequence[int], rate: float) -> float:
        """Improve the network on training frames, and return their loss before."""
        self.model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad()
        loss = self._loss(*self.predict("train", indices))
        loss.backward()
        if self._settings.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self._free, self._settings.gradient_clip)
        self._optimizer.step()
        return float(loss.detach())

    def score(self, split: str = "validation") -> Score:
        """Return loss and errors over all frames of a split."""
        self.model.eval()
        n_frames = len(self.frames[split])
        loss, sums, counts = 0.0, np.zeros(3), np.zeros(3)
        for start in range(0, n_frames, self._settings.batch):
            indices = range(start, min(start + self._settings.batch, n_frames))
            labels, found = self.predict(split, indices)
            loss += len(indices) * float(self._loss(labels, found).detach())
            for i, (label, value) in enumerate(_pairs(labels, found)):
                sums[i] += float((value.detach() - label).abs().double().sum())
                counts[i] += label.numel()
        means = sums / np.maximum(counts, 1)
        stress = float(means[2]) if counts[2] else None
        return Score(loss / n_frames, float(means[0]), float(means[1]), stress)

    def refit_references(self) -> dict[str, float]:
        """Take the mean error off the training energies, and return the shifts in eV."""
        self.model.eval()
        n_frames = len(self.frames["train"])
        residual = []
        for start in range(0, n_frames, self._settings.batch):
            indices = range(start, min(start + self._settings.batch, n_frames))
            labels, found = self.predict("train", indices)
            residual.append((labels.energy - found.energy.detach()).double().cpu().numpy())
        shift = reference_shift(self.frames["train"], np.concatenate(residual))
        self.shift_references(shift)
        return shift

    def state(self) -> bytes:
        """Return all that a training goes on from."""
        return to_bytes(
            {"model": self.model.state_dict(), "optimizer": self._optimizer.state_dict()}
        )

    def restore(self, state: bytes) -> None:
        """Go back to a state."""
        known = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
        self.model.load_state_dict(known["model"])
        self._optimizer.load_state_dict(known["optimizer"])

    def _loss(self, labels: Batch, found: Batch) -> Tensor:
        own = self._settings
        weights = (own.weight_energy, own.weight_force, own.weight_stress)
        parts = [
            weight * self._criterion(value, label)
            for weight, (label, value) in zip(weights, _pairs(labels, found), strict=False)
        ]
        return torch.stack(parts).sum()


def labels_of(frames: Sequence[Atoms], *, stress: bool, dtype: torch.dtype, device: str) -> Batch:
    """Return the labels of frames as they are learned; with `stress`, those as well."""
    kind: dict[str, Any] = {"dtype": dtype, "device": device}
    energies = [frame.get_potential_energy() / len(frame) for frame in frames]
    forces = np.vstack([frame.get_forces() for frame in frames])
    gpa = [frame.get_stress(voigt=False) * EV_PER_A3_IN_GPA for frame in frames if stress]
    return Batch(
        torch.as_tensor(energies, **kind),
        torch.as_tensor(forces, **kind),
        torch.as_tensor(np.stack(gpa), **kind) if stress else None,
    )


def _pairs(labels: Batch, found: Batch) -> list[tuple[Tensor, Tensor]]:
    pairs = [(labels.energy, found.energy), (labels.forces, found.forces)]
    if labels.stress is not None and found.stress is not None:
        pairs.append((labels.stress, found.stress))
    return pairs


def criterion_of(settings: FineTuneSettings) -> torch.nn.Module:
    """Return the loss of one quantity."""
    match settings.loss:
        case "MSE":
            return torch.nn.MSELoss()
        case "MAE":
            return torch.nn.L1Loss()
        case "Huber":
            return torch.nn.HuberLoss(delta=_HUBER_DELTA)


def freeze(model: torch.nn.Module, frozen: Sequence[str]) -> None:
    """Leave parameters whose names begin like one of `frozen` out of the training.

    Raises
    ------
    InputError
        If no parameter is called so, or none is left.
    """
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    kept = {name for name in names if any(_begins(name, start) for start in frozen)}
    wrong = [start for start in frozen if not any(_begins(name, start) for name in names)]
    if wrong or len(kept) == len(names):
        raise InputError(
            "frozen parts of a network do not exist" if wrong else "a network is frozen as a whole",
            given=wrong or list(frozen),
            allowed=list(dict.fromkeys(name.partition(".")[0] for name in names)),
            remedy="name some of the parts, or parameters in them",
        )
    for name, parameter in model.named_parameters():
        if name in kept:
            parameter.requires_grad_(requires_grad=False)


def _begins(name: str, start: str) -> bool:
    return name == start or name.startswith(f"{start}.")


def reference_shift(
    frames: Sequence[Atoms], residual_ev_per_atom: NDArray[np.float64]
) -> dict[str, float]:
    """Return the least shifts of the elements' energies that fit the residuals, in eV.

    Frames of few compositions do not tell all elements apart: of the shifts that fit equally
    well, the one of the least norm is taken.
    """
    elements = sorted({symbol for frame in frames for symbol in frame.symbols})
    counts = np.array([[list(f.symbols).count(s) for s in elements] for f in frames], dtype=float)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    shift, *_ = np.linalg.lstsq(fractions, residual_ev_per_atom, rcond=_LEAST_SINGULAR)
    return dict(zip(elements, shift.tolist(), strict=True))


def to_bytes(content: Any) -> bytes:  # noqa: ANN401  (anything that torch can save)
    """Return the file that ``torch.save`` would write."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
