"""Whether a run stays inside what the CHGNet or MACE that drives it was trained on.

An atom is represented by what the readout of its network sees of it: the gradients of its energy
with respect to the weights of a MACE's readouts, and the features that CHGNet's begins with. Over
frames of a glass from 600 to 2500 K, packed too densely and too loosely, ranks of grades and of
true force errors correlate by 0.69 and 0.71 for these gradients of two MACE students, by 0.38 and
0.63 for the scalars that the readouts begin with; for two fine-tuned CHGNets by 0.63 and 0.84 for
these features, by 0.60 and 0.83 for gradients (of four layers, and so projected to 300 numbers),
and hardly for the activations of the last layer, of which three or four directions are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import InputError
from .active_set import ElementDomain, FeatureReadout
from .domain import Domain, NepDomain, domain_path
from .potential_loaders import third_party_quiet
from .potentials import load_potential, model_file
from .trained_models import TRAINED_SCHEMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ase import Atoms

    from .active_set import FloatArray, Readout

_LEAST_REST: Final = 0.003
"""Of the spread of the features of an element's atoms."""


class FeatureDomain(Domain):
    """That of a CHGNet or a MACE.

    Parameters
    ----------
    model, parts, teacher
        As of every domain.
    calculator
        The model's, which shows its features.
    """

    def __init__(
        self,
        model: Path,
        calculator: Any,  # noqa: ANN401  (chgnet's and mace's share no base class)
        parts: Mapping[str, ElementDomain] | None = None,
        teacher: str = "",
    ) -> None:
        super().__init__(model, parts, teacher)
        self._calculator, self._energies = calculator, readout_of(calculator)

    @classmethod
    def of_frames(
        cls,
        model: Path,
        calculator: Any,  # noqa: ANN401  (as above)
        frames: Iterable[Atoms],
        teacher: str = "",
    ) -> FeatureDomain:
        """Return the domain of the network `model` that was trained on `frames`.

        Raises
        ------
        InputError
            If there are no frames, or the network shows no features.
        """
        return cls(model, calculator, teacher=teacher).learn(frames)

    @classmethod
    def load(cls, model: Path, calculator: Any) -> FeatureDomain:  # noqa: ANN401  (as above)
        """Read the domain that lies beside the network `model`.

        Raises
        ------
        PotentialError
            If it is missing, damaged, or of another network.
        """
        return cls(model, calculator).read()

    def _describe(self, atoms: Atoms) -> FloatArray:
        return features_of(self._calculator, atoms)

    def _part(self, symbol: str, descriptors: FloatArray) -> ElementDomain:
        return ElementDomain.of(self._readout(symbol), descriptors, least_rest=_LEAST_REST)

    def _readout(self, symbol: str) -> Readout:  # noqa: ARG002  (one for all elements)
        return self._energies


def load_domain(level: str, *, device: str = "cpu", threads: int = 1) -> Domain | None:
    """Return the domain that lies beside a model's weights; ``None`` where there is none.

    Parameters
    ----------
    level
        Name of a potential.
    device, threads
        As of `load_potential`, whose calculator it shares.

    Raises
    ------
    UnknownNameError, InputError, MissingDependencyError
        As `load_potential`.
    PotentialError
        If it is damaged, or of another model.
    """
    model = trained_file(level)
    if model is None or not domain_path(model).is_file():
        return None
    if level.startswith("nep:"):
        return NepDomain.load(model)
    potential = load_potential(level, device=device, threads=threads)
    return FeatureDomain.load(model, potential.calculator)


def trained_file(level: str) -> Path | None:
    """Return the weights of a model that was trained for some frames; ``None`` for all others."""
    scheme, found, _ = level.partition(":")
    return model_file(level) if found and scheme in TRAINED_SCHEMES else None


def features_of(calculator: Any, atoms: Atoms) -> FloatArray:  # noqa: ANN401  (as above)
    """Return what the readout of a network sees of each atom, (n_atoms, n_descriptors).

    Nothing of the calculator changes.

    Raises
    ------
    InputError
        If it is neither CHGNet nor MACE, or a MACE of several heads.
    """
    if hasattr(calculator, "features"):
        found: FloatArray = calculator.features(atoms)
        return found
    return _mace_features(calculator, _mace_of(calculator), atoms)


def readout_of(calculator: Any) -> FeatureReadout:  # noqa: ANN401  (as above)
    """Return what makes energies of what `features_of` returns.

    Raises
    ------
    InputError
        As `features_of`.
    """
    if hasattr(calculator, "features"):
        return FeatureReadout()
    model = _mace_of(calculator)
    last = model.readouts[-1]
    if not hasattr(last, "linear_1"):
        return FeatureReadout()
    n_last = model.products[-1].linear.irreps_out.count("0e")
    return FeatureReadout(n_last, last.hidden_irreps.dim)


def _mace_of(calculator: Any) -> Any:  # noqa: ANN401  (as above)
    models: list[Any] = getattr(calculator, "models", [])
    if len(models) != 1 or not hasattr(models[0], "products"):
        raise InputError(
            "a network shows nothing of what it knows of an atom",
            given=type(calculator).__name__,
            allowed="one CHGNet, or one MACE of energies",
            remedy="run it without a domain: its runs are not watched then",
        )
    if len(heads := getattr(models[0], "heads", None) or []) > 1:
        raise InputError(
            "a MACE of several heads has no domain",
            given=f"heads {', '.join(heads)}",
            allowed="one head, whose energies its readouts make",
            remedy="fine-tune it in one of them with mace:PATH?head=NAME, or leave its domain out",
        )
    return models[0]


def _mace_features(calculator: Any, model: Any, atoms: Atoms) -> FloatArray:  # noqa: ANN401  (as above)
    """Return the scalars after each layer, and slope and output of the last readout's hidden one.

    Scalars come first among what a layer gives.
    """
    import torch  # noqa: PLC0415  (heavy)

    with torch.no_grad(), third_party_quiet():
        batch = calculator._atoms_to_batch(atoms).to_dict()  # noqa: SLF001  (as its own get_descriptors, which takes all layers for alike)
        found = model(batch, compute_force=False)["node_feats"]
    layers = [product.linear.irreps_out for product in model.products]
    each = found.split([irreps.dim for irreps in layers], dim=1)
    seen = [part[:, : irreps.count("0e")] for part, irreps in zip(each, layers, strict=True)]
    last = model.readouts[-1]
    if hasattr(last, "linear_1"):
        before = last.linear_1(each[-1]).detach().requires_grad_()
        hidden = last.non_linearity(before)
        if hasattr(last, "linear_mid"):
            hidden = last.non_linearity(last.linear_mid(hidden))
        (slope,) = torch.autograd.grad(last.linear_2(hidden).sum(), before)
        seen += [slope, hidden.detach()]
    return np.column_stack([part.cpu().double().numpy() for part in seen])
