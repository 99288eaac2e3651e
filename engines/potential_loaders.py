"""Make ASE calculators out of weights; every heavy import of the room is in here.

The loaders of MACE and SevenNet execute pickled models: give them files that you trust only.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from typing import TYPE_CHECKING, Any, cast

from ase import Atoms
from ase.data import chemical_symbols

from ..errors import MissingDependencyError, PotentialError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ase.calculators.calculator import Calculator

Setting = str | int | float | bool

_PROBE_CELL_A = 20.0

_KNOWN_WARNINGS = (
    r"`torch\.jit\.\w+` is deprecated",
    r"The TorchScript type system doesn't support",
    r"Converting a tensor with requires_grad=True to a scalar",
    r"To copy construct from a tensor",
    r"Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected",
)


@contextlib.contextmanager
def third_party_quiet() -> Iterator[None]:
    """Keep the chatter of model packages from standard output and known warnings from view."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        for message in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)


@contextlib.contextmanager
def optional_package(package: str, extra: str) -> Iterator[None]:
    """Turn a failing import into an error that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or package
        raise MissingDependencyError.of(missing, extra, "this potential") from error


def load_chgnet(weights: Path, settings: Mapping[str, Setting], device: str) -> Calculator:
    """Load pretrained CHGNet weights for inference."""
    with optional_package("chgnet", "chgnet"), third_party_quiet():
        from chgnet.model import CHGNet  # noqa: PLC0415  (heavy)

        from .chgnet_fast import FastCHGNetCalculator  # noqa: PLC0415  (imports torch)

        model = CHGNet.from_file(
            str(weights), mlp_out_bias=False, version=str(settings["model_name"])
        )
        return FastCHGNetCalculator(model, device)


def load_chgnet_file(weights: Path, settings: Mapping[str, Setting], device: str) -> Calculator:  # noqa: ARG001  (one signature for all)
    """Load a CHGNet of a user's own, e.g. a fine-tuned one, which may name its elements."""
    with optional_package("chgnet", "chgnet"), third_party_quiet():
        from .chgnet_fast import FastCHGNetCalculator  # noqa: PLC0415  (imports torch)

        network, elements = chgnet_network(weights)
        calculator = FastCHGNetCalculator(network, device)
        calculator.trained_elements = elements
        return calculator


def chgnet_network(weights: Path) -> tuple[Any, tuple[str, ...] | None]:
    """Return the network of a file of chgnet, and the elements that it names, if it does.

    Nothing in the file is executed: numbers and plain values are read, nothing else.
    """
    import torch  # noqa: PLC0415  (heavy)
    from chgnet.model import CHGNet  # noqa: PLC0415  (heavy)

    state = torch.load(weights, map_location="cpu", weights_only=True)
    return CHGNet.from_dict(state["model"]), tuple(state.get("elements", ())) or None


def load_sevennet(weights: Path, settings: Mapping[str, Setting], device: str) -> Calculator:  # noqa: ARG001  (one signature for all)
    """Load a SevenNet checkpoint."""
    with optional_package("sevenn", "sevennet"), third_party_quiet():
        allow_e3nn()
        from sevenn.calculator import SevenNetCalculator  # noqa: PLC0415  (heavy)

        return SevenNetCalculator(str(weights), device=device)


def load_mace(weights: Path, settings: Mapping[str, Setting], device: str) -> Calculator:
    """Load a MACE model file; `settings` may hold ``dtype`` and ``head``."""
    with optional_package("mace-torch", "mace"), third_party_quiet():
        allow_e3nn()
        import torch  # noqa: PLC0415  (heavy)
        from mace.calculators import MACECalculator  # noqa: PLC0415  (heavy)

        model = torch.load(weights, map_location=device, weights_only=False)
        own = str(next(model.parameters()).dtype).removeprefix("torch.")
        head = {"head": settings["head"]} if "head" in settings else {}
        calculator = MACECalculator(
            models=[model], device=device, default_dtype=settings.get("dtype", own), **head
        )
        calculator.trained_elements = getattr(model, "trained_elements", None)
        return calculator


def load_nep(weights: Path, settings: Mapping[str, Setting], device: str) -> Calculator:  # noqa: ARG001  (one signature for all)
    """Load a NEP potential file; runs on the processor.

    calorine reads the parameters at the first evaluation: one atom is evaluated here, so that
    a damaged file is refused before a run starts.
    """
    with optional_package("calorine", "nep"), third_party_quiet():
        from calorine.calculators import CPUNEP  # noqa: PLC0415  (heavy)

        calculator = CPUNEP(str(weights))
        probe = Atoms(sorted(calculator.supported_species)[:1], cell=[_PROBE_CELL_A] * 3, pbc=True)
        calculator.get_property("energy", probe)
        calculator.reset()
        return calculator


def load_ase(module: str, name: str, keywords: Mapping[str, Setting]) -> Calculator:
    """Call ``name(**keywords)`` of a Python module.

    Raises
    ------
    PotentialError
        If the module has no such name or the call fails.
    """
    factory = getattr(importlib.import_module(module), name, None)
    if factory is None:
        raise PotentialError(
            f"the module {module} holds no {name}",
            given=f"ase:{module}:{name}",
            remedy="name a calculator class, or a function that returns a calculator",
        )
    try:
        return factory(**keywords)
    except (TypeError, ValueError) as error:
        raise PotentialError(
            f"the calculator {module}:{name} cannot be made ({error})",
            given=dict(keywords),
            remedy="correct the keywords after the question mark",
        ) from error


def covered_elements(calculator: Calculator) -> tuple[str, ...] | None:
    """Return the elements that a loaded calculator says it knows."""
    if (trained := getattr(calculator, "trained_elements", None)) is not None:
        return tuple(trained)
    table: Any = getattr(calculator, "z_table", None)
    if table is None:
        return None
    return tuple(chemical_symbols[z] for z in sorted(cast("list[int]", table.zs)))


def set_threads(threads: int, extra: str) -> None:
    """Fix the number of torch threads, which is part of bit-for-bit reproducibility."""
    with optional_package("torch", extra):
        import torch  # noqa: PLC0415  (heavy)

        torch.set_num_threads(threads)


def allow_e3nn() -> None:
    """Let e3nn 0.4 read its constants under torch >= 2.6, which loads listed types only."""
    import torch  # noqa: PLC0415  (heavy)

    torch.serialization.add_safe_globals([slice])
