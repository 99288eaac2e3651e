"""What a NEP student is and how it is trained, checked before the training begins."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from itertools import combinations_with_replacement
from typing import Any, Final

from ase.data import atomic_numbers, covalent_radii

from ..errors import InputError

ZBL_FILE: Final = "zbl.in"
_ZBL_RANGE_A: Final = (1.4, 3.0)
_ZBL_PHI: Final = ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
"""Universal screening: a sum of a exp(-b x); Ziegler, Biersack, Littmark (1985)."""
_LEAST_ANGULAR_A: Final = 3.0
_MOST_CUTOFF_A: Final = 12.0
_RATE_STEPS: Final = 30
_NOT_PHYSICS: Final = ("checkpoint_epochs",)
_ARCHITECTURE: Final = (
    "cutoff_radial_a", "cutoff_angular_a", "n_max", "basis_size", "l_max", "neurons",
    "repulsion_radii",
)  # fmt: skip


@dataclass(frozen=True)
class NepSettings:
    """Architecture and training of a NEP4.

    Attributes
    ----------
    cutoff_radial_a, cutoff_angular_a
        Reach of the two kinds of descriptors.
    n_max, basis_size
        Radial functions less one, and polynomials less one behind each; radial, angular.
    l_max
        Highest order of three-, four- (0 or 2) and five-body descriptors (0 or 1).
    neurons
        In the hidden layer.
    repulsion_radii
        The Ziegler-Biersack-Littmark repulsion of a pair of elements ends at this times the sum
        of their covalent radii, from 1.4 to 3 A, and is whole below half of that; ``None`` for
        none. Where no frame shows a distance, nothing else keeps atoms apart.
    epochs
        Passes over the training frames.
    batch
        Frames per step of the optimizer.
    learning_rate, final_learning_rate
        At the start and at the end; it falls geometrically, in steps.
    weight_energy, weight_force, weight_virial
        Of the mean squared errors in the loss, per atom in eV, in eV/A, per atom in eV.
    seed
        Of first weights and the order of frames.
    checkpoint_epochs
        At most so many epochs are lost when the process is killed.
    """

    cutoff_radial_a: float = 6.5
    cutoff_angular_a: float = 5.0
    n_max: tuple[int, int] = (6, 5)
    basis_size: tuple[int, int] = (8, 8)
    l_max: tuple[int, int, int] = (4, 2, 0)
    neurons: int = 30
    repulsion_radii: float | None = 0.75
    epochs: int = 200
    batch: int = 4
    learning_rate: float = 0.01
    final_learning_rate: float = 1e-5
    weight_energy: float = 1.0
    weight_force: float = 1.0
    weight_virial: float = 1.0
    seed: int = 1
    checkpoint_epochs: int = 1

    def __post_init__(self) -> None:
        for name in ("n_max", "basis_size", "l_max"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, least, most in (
            ("cutoff_radial_a", _LEAST_ANGULAR_A, _MOST_CUTOFF_A),
            ("cutoff_angular_a", _LEAST_ANGULAR_A, self.cutoff_radial_a),
            ("neurons", 1, 200),
            ("epochs", 1, 100_000),
            ("batch", 1, 10_000),
            ("learning_rate", 1e-6, 1.0),
            ("final_learning_rate", 1e-7, self.learning_rate),
            ("weight_energy", 0.0, math.inf),
            ("weight_force", 0.0, math.inf),
            ("weight_virial", 0.0, math.inf),
            ("seed", 1, 2**31 - 2),
            ("checkpoint_epochs", 1, 100_000),
        ):
            self._require(name, getattr(self, name), least, most)
        if self.repulsion_radii is not None:
            self._require("repulsion_radii", self.repulsion_radii, 0.5, 1.0)

    def _require(self, name: str, value: float, least: float, most: float) -> None:
        if not (math.isfinite(value) and least <= value <= most):
            raise InputError(
                f"{name} of a NEP student is out of range",
                given=value,
                allowed=f"{least:g} to {most:g}",
                remedy=f"correct {name}",
            )

    def physics(self) -> dict[str, Any]:
        """Return what decides the trained student."""
        return {k: v for k, v in asdict(self).items() if k not in _NOT_PHYSICS}

    def architecture(self) -> dict[str, Any]:
        """Return what two students share of which one goes on with the other's weights."""
        return {name: getattr(self, name) for name in _ARCHITECTURE}

    def nep_in(self, elements: tuple[str, ...]) -> str:
        """Return the text of a ``nep.in`` for torchnep."""
        n_max, basis, l_max = self.n_max, self.basis_size, self.l_max
        interval = max(1, self.epochs // _RATE_STEPS)
        n_steps = max(1, (self.epochs - 1) // interval)
        factor = (self.final_learning_rate / self.learning_rate) ** (1 / n_steps)
        lines = [
            "version 4",
            f"type {len(elements)} {' '.join(elements)}",
            f"cutoff {self.cutoff_radial_a:g} {self.cutoff_angular_a:g}",
            f"n_max {n_max[0]} {n_max[1]}",
            f"basis_size {basis[0]} {basis[1]}",
            f"l_max {l_max[0]} {l_max[1]} {l_max[2]}",
            f"neuron {self.neurons}",
            f"lambda_e {self.weight_energy:g}",
            f"lambda_f {self.weight_force:g}",
            f"lambda_v {self.weight_virial:g}",
            f"batch {self.batch}",
            f"epoch {self.epochs}",
            f"lr {self.learning_rate:g}",
            f"stop_lr {self.final_learning_rate:g}",
            "lr_scheduler step",
            f"scheduler_patience {interval}",
            f"scheduler_factor {factor:.6f}",
        ]
        if self.repulsion_radii is not None:
            lines.append(f"zbl {ZBL_FILE}")
        return "\n".join(lines) + "\n"

    def zbl_in(self, elements: tuple[str, ...]) -> str:
        """Return the text of the file of pair repulsions that ``nep.in`` names; empty for none."""
        if self.repulsion_radii is None:
            return ""
        phi = " ".join(f"{number:g}" for pair in _ZBL_PHI for number in pair)
        most = min(_ZBL_RANGE_A[1], self.cutoff_angular_a)
        lines = []
        for first, second in combinations_with_replacement(elements, 2):
            radii = sum(covalent_radii[atomic_numbers[symbol]] for symbol in (first, second))
            outer = min(max(self.repulsion_radii * radii, _ZBL_RANGE_A[0]), most)
            lines.append(f"{outer / 2:.4f} {outer:.4f} {phi}")
        return "\n".join(lines) + "\n"


def nep_settings(values: dict[str, Any]) -> NepSettings:
    """Return settings from plain `values`, e.g. of a file.

    Raises
    ------
    InputError
        If a name is not known or a value out of range.
    """
    known = [field.name for field in fields(NepSettings)]
    if unknown := sorted(values.keys() - set(known)):
        raise InputError(
            "unknown settings of a NEP student",
            given=unknown,
            allowed=known,
            remedy="correct or remove them",
        )
    return NepSettings(**values)
