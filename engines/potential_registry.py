"""Names of potentials and what stands behind each: weights, theory, elements, loader."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from ase.data import chemical_symbols

from ..errors import InputError, PotentialError, UnknownNameError
from .dispersion import D3_BJ, D3Parameters
from .gpaw_levels import GPAW_LEVELS
from .potential_loaders import (
    Setting,
    load_ase,
    load_chgnet,
    load_chgnet_file,
    load_mace,
    load_nep,
    load_sevennet,
)
from .trained_models import WEIGHTS, digits_of, find_trained
from .vasp_levels import VASP_LEVELS
from .weights import CachedDownload, LocalFile, ModuleSource, WeightsSource, WheelFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ase.calculators.calculator import Calculator

SCHEMES: Final = (
    "chgnet:PATH",
    "mace:PATH",
    "nep:PATH",
    "nep:CHECKSUM",
    "ase:MODULE:CLASS?KEYWORD=VALUE&...",
)
_NEVER_TRAINED: Final = {"Po", "At", "Rn", "Fr", "Ra"}
_MPTRJ: Final = tuple(s for s in chemical_symbols[1:95] if s not in _NEVER_TRAINED)
"""The 89 elements of the MPtrj training set."""
_MP_R2SCAN: Final = tuple(s for s in _MPTRJ if s != "Yb")
"""CHGNet's r2SCAN transfer learning left ytterbium as it was and gives it no reference energy."""


@dataclass(frozen=True)
class Recipe:
    """How to identify and load one potential.

    Attributes
    ----------
    name
        As given by the user.
    theory
        Level of theory in words.
    package, extra
        Distribution that evaluates it, and haloflow's extra that installs it.
    weights
        The file whose hash identifies the potential.
    loader
        Called with the weights, `settings` and a device.
    elements
        Covered elements; ``None`` where only the loaded model knows.
    settings
        What else changes the numbers.
    dispersion
        D3(BJ) to add.
    by_path
        Whether the name leads to a model file.
    file_name
        Of that file where it was trained; its own where this is empty.
    uses_torch
        Whether the number of torch threads matters.
    """

    name: str
    theory: str
    package: str
    extra: str
    weights: WeightsSource
    loader: Callable[[Path, Mapping[str, Setting], str], Calculator]
    elements: tuple[str, ...] | None = None
    settings: tuple[tuple[str, Setting], ...] = ()
    dispersion: D3Parameters | None = None
    by_path: bool = False
    file_name: str = ""
    uses_torch: bool = True


_CHGNET_WEIGHTS: Final = {
    "r2scan": "pretrained/r2scan/chgnet_r2scan_transfer_learning_e15f36s161m23.pth.tar",
    "0.3.0": "pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar",
}
_SEVENNET_WEIGHTS: Final = {
    "sevennet-0": "pretrained_potentials/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
    "sevennet-l3i5": "pretrained_potentials/SevenNet_l3i5/checkpoint_l3i5.pth",
}
_PBE_MP: Final = "PBE/PBE+U (MPtrj, Materials Project corrections)"
_MACE_RELEASES: Final = "https://github.com/ACEsuit/{}/releases/download/{}"
_MACE_FILES: Final = {
    "small": ("mace_mp_0/2023-12-10-mace-128-L0_energy_epoch-249.model", _PBE_MP),
    "medium": ("mace_mp_0/2023-12-03-mace-128-L1_epoch-199.model", _PBE_MP),
    "large": ("mace_mp_0/MACE_MPtrj_2022.9.model", _PBE_MP),
    "medium-0b3": ("mace_mp_0b3/mace-mp-0b3-medium.model", _PBE_MP),
    "medium-mpa-0": ("mace_mpa_0/mace-mpa-0-medium.model", "PBE/PBE+U (MPtrj and sAlex)"),
    "small-omat-0": ("mace_omat_0/mace-omat-0-small.model", "PBE/PBE+U (OMat24; ASL licence)"),
    "medium-omat-0": ("mace_omat_0/mace-omat-0-medium.model", "PBE/PBE+U (OMat24; ASL licence)"),
    "matpes-pbe-0": ("mace_matpes_0/MACE-matpes-pbe-omat-ft.model", "PBE (MatPES; ASL licence)"),
    "matpes-r2scan-0": (
        "mace_matpes_0/MACE-matpes-r2scan-omat-ft.model",
        "r2SCAN (MatPES; ASL licence)",
    ),
}


@lru_cache(maxsize=1)
def registered() -> dict[str, Recipe]:
    """Return the potentials that have a name of their own."""
    recipes = [
        _chgnet("chgnet-r2scan", "r2scan", "r2SCAN (transfer-learned from MPtrj)", _MP_R2SCAN),
        _chgnet("chgnet-r2scan-d3", "r2scan", "r2SCAN + D3(BJ)", _MP_R2SCAN, D3_BJ["r2scan"]),
        _chgnet("chgnet-0.3.0", "0.3.0", _PBE_MP, _MPTRJ),
        _chgnet("chgnet-0.3.0-d3", "0.3.0", f"{_PBE_MP} + D3(BJ)", _MPTRJ, D3_BJ["pbe"]),
    ]
    recipes += [
        Recipe(
            name, _PBE_MP, "sevenn", "sevennet", WheelFile("sevenn", relative, "sevennet"),
            load_sevennet, _MPTRJ,
        )
        for name, relative in _SEVENNET_WEIGHTS.items()
    ]  # fmt: skip
    recipes += [
        Recipe(
            f"mace-{key}", theory, "mace-torch", "mace", CachedDownload(_mace_url(file)),
            load_mace, settings=(("dtype", "float32"),),
        )
        for key, (file, theory) in _MACE_FILES.items()
    ]  # fmt: skip
    return {recipe.name: recipe for recipe in recipes}


def _mace_url(file: str) -> str:
    repository = "mace-foundations" if file.startswith("mace_matpes") else "mace-mp"
    return _MACE_RELEASES.format(repository, file)


def _chgnet(
    name: str,
    model: str,
    theory: str,
    elements: tuple[str, ...],
    dispersion: D3Parameters | None = None,
) -> Recipe:
    return Recipe(
        name, theory, "chgnet", "chgnet", WheelFile("chgnet", _CHGNET_WEIGHTS[model], "chgnet"),
        load_chgnet, elements, (("model_name", model),), dispersion,
    )  # fmt: skip


def find_recipe(name: str) -> Recipe:
    """Return the recipe of a registered name or of one of the `SCHEMES`.

    Raises
    ------
    UnknownNameError
        With near matches.
    InputError
        If a scheme is not written as it should be.
    PotentialError
        If a file is missing or damaged.
    """
    if name in registered():
        return registered()[name]
    if digits_of(name) is not None:
        return _trained(name)
    scheme, found, rest = name.partition(":")
    if found and scheme == "chgnet":
        return _chgnet_file(name, rest)
    if found and scheme in ("mace", "nep"):
        path, keywords = _split_keywords(rest)
        return _mace_file(name, path, keywords) if scheme == "mace" else _nep_file(name, path)
    if found and scheme == "ase":
        return _ase_calculator(name, rest)
    raise UnknownNameError.of(
        "potential", name, [*registered(), *GPAW_LEVELS, *VASP_LEVELS, *SCHEMES]
    )


def _trained(name: str) -> Recipe:
    """Return the recipe of a model by its checksum: that of its file, under its own name."""
    model = find_trained(name)
    keywords = name.partition("?")[1:]
    by_path = find_recipe(f"{model.architecture}:{model.path(WEIGHTS)}{''.join(keywords)}")
    weights = model.file(WEIGHTS)
    assert weights is not None
    elements = by_path.elements or model.elements or None
    return replace(by_path, name=name, file_name=weights.name, elements=elements)


def _split_keywords(text: str) -> tuple[str, dict[str, Setting]]:
    body, _, query = text.partition("?")
    return body, {key: _value(item) for key, item in parse_qsl(query, keep_blank_values=True)}


def _value(text: str) -> Setting:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, (str, int, float, bool)) else text


def _mace_file(name: str, path: str, keywords: dict[str, Setting]) -> Recipe:
    allowed = ("dtype", "head")
    if unknown := [key for key in keywords if key not in allowed]:
        raise InputError(
            "unknown keyword of a MACE model",
            given=unknown,
            allowed=allowed,
            remedy="write for example mace:PATH?dtype=float32",
        )
    return Recipe(
        name, "as the model file was trained", "mace-torch", "mace",
        LocalFile(Path(path).expanduser().absolute()), load_mace,
        settings=tuple(sorted(keywords.items())), by_path=True,
    )  # fmt: skip


def _chgnet_file(name: str, path: str) -> Recipe:
    file = LocalFile(Path(path).expanduser().absolute())
    return Recipe(
        name, "as the model file was trained", "chgnet", "chgnet", file, load_chgnet_file,
        by_path=True,
    )  # fmt: skip


def _nep_file(name: str, path: str) -> Recipe:
    file = LocalFile(Path(path).expanduser().absolute())
    return Recipe(
        name, "as the model file was trained", "calorine", "nep", file, load_nep,
        _nep_elements(file.obtain()), by_path=True, uses_torch=False,
    )  # fmt: skip


def _nep_elements(path: Path) -> tuple[str, ...]:
    """Read the elements from the first line, e.g. ``nep4 3 Na Ta Cl``."""
    with path.open(errors="replace") as file:
        words = file.readline().split()
    elements = tuple(words[2:])
    if len(words) < 3 or not words[0].startswith("nep") or str(len(elements)) != words[1]:  # noqa: PLR2004  (kind, count, first element)
        raise PotentialError(
            "the file is not a NEP potential",
            given=f"{path}, which begins with {' '.join(words)[:60]!r}",
            allowed="a first line such as: nep4 3 Na Ta Cl",
            remedy="name the nep.txt that the training wrote",
        )
    if unknown := [symbol for symbol in elements if symbol not in chemical_symbols[1:]]:
        raise PotentialError(
            "a NEP potential names what is no element",
            given=f"{path} with {', '.join(unknown)}",
            remedy="restore the file from a copy, or train it again",
        )
    return elements


def _ase_calculator(name: str, rest: str) -> Recipe:
    body, keywords = _split_keywords(rest)
    module, _, factory = body.partition(":")
    if not module or not factory:
        raise InputError(
            "an ASE calculator is not written as it should be",
            given=name,
            allowed=SCHEMES[-1],
            remedy="write for example ase:ase.calculators.lj:LennardJones?sigma=3.4&epsilon=0.01",
        )

    def load(_weights: Path, settings: Mapping[str, Setting], _device: str) -> Calculator:
        return load_ase(module, factory, settings)

    return Recipe(
        name, f"{factory} of {module}", _distribution(module), "", ModuleSource(module), load,
        settings=tuple(sorted(keywords.items())), uses_torch=False,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _distribution(module: str) -> str:
    """Return the installed distribution that holds `module`, or its first part."""
    top = module.partition(".")[0]
    try:
        return metadata.distribution(top).name
    except metadata.PackageNotFoundError:
        return metadata.packages_distributions().get(top, [top])[0]
