"""Potentials by name: what they are, whether they fit a chemistry, and their calculators.

A name is one of `list_potentials`, or points to a model: ``mace:PATH``, ``nep:PATH``,
``nep:CHECKSUM`` of a trained one, ``ase:MODULE:CLASS?KEYWORD=VALUE``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from ..errors import CoverageError, InputError, PotentialError, UnknownNameError
from ..identity import canonical, content_hash
from .dispersion import DispersionCorrected
from .domain import domain_path
from .gpaw_levels import gpaw_level, is_gpaw
from .potential_loaders import Setting, covered_elements, optional_package, set_threads
from .potential_registry import Recipe, find_recipe, registered
from .vasp_levels import is_vasp, potcar_symbols, vasp_level
from .weights import cached_sha256, package_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ase.calculators.calculator import Calculator

_HASH_DIGITS = 12
_BROKEN_MODEL = (
    AssertionError, AttributeError, EOFError, ImportError, KeyError, OSError, RuntimeError,
    TypeError, ValueError, UnpicklingError,
)  # fmt: skip


@dataclass(frozen=True)
class PotentialIdentity:
    """What makes two potentials the same.

    Attributes
    ----------
    name
        As the user gave it.
    level
        Level of theory: energies of different levels are never mixed. The name, or for a
        model file its name with the start of its hash, wherever it lies, and the keywords
        that change its numbers.
    theory
        The same in words.
    package, package_version
        What evaluates it.
    weights_sha256
        Hash of the weights, or of the calculator's source file.
    elements
        Chemical symbols covered; ``None`` while only the loaded model knows.
    settings
        Everything else that changes the numbers: precision, dispersion, keywords.
    """

    name: str
    level: str
    theory: str
    package: str
    package_version: str
    weights_sha256: str
    elements: tuple[str, ...] | None
    settings: tuple[tuple[str, Setting], ...] = ()

    def as_parameters(self) -> dict[str, object]:
        """Return what goes into the identity of a step (not the path of a file)."""
        return {
            "level": self.level,
            "package": self.package,
            "package_version": self.package_version,
            "weights_sha256": self.weights_sha256,
            "settings": dict(self.settings),
        }


@dataclass(frozen=True)
class Potential:
    """A loaded potential: its identity, with the elements known, and an ASE calculator."""

    identity: PotentialIdentity
    calculator: Calculator


@dataclass(frozen=True)
class PotentialRow:
    """One line of the list of potentials.

    Attributes
    ----------
    installed_version
        Of `package`; ``None`` if it is not installed.
    weights_here
        Whether the weights lie on this machine.
    """

    name: str
    theory: str
    package: str
    extra: str
    installed_version: str | None
    weights_here: bool
    elements: tuple[str, ...] | None

    @property
    def available(self) -> bool:
        """Whether it can be loaded without a network."""
        return self.installed_version is not None and self.weights_here


def list_potentials() -> list[PotentialRow]:
    """Return all potentials that have a name, usable or not; touches no network."""
    return [
        PotentialRow(
            name=recipe.name,
            theory=recipe.theory,
            package=recipe.package,
            extra=recipe.extra,
            installed_version=_version_or_none(recipe.package),
            weights_here=recipe.weights.present(),
            elements=recipe.elements,
        )
        for recipe in registered().values()
    ]


def identify(name: str) -> PotentialIdentity:
    """Return the identity of a potential without importing the package that evaluates it.

    The weights of a MACE foundation model are downloaded once, if they are not here.

    Parameters
    ----------
    name
        A registered name or a model by path.

    Raises
    ------
    UnknownNameError, InputError
        If the name is not known or a path is written wrongly.
    MissingDependencyError, PotentialError
        If the package or the weights cannot be had.
    """
    if is_vasp(name):
        return _vasp_identity(name)
    if is_gpaw(name):
        return _gpaw_identity(name)
    return _identity(find_recipe(name))


def level_of(name: str) -> str:
    """Return the level of theory of a potential, as documents state it.

    A name that no potential bears, e.g. that of a functional, is a level of its own.

    Raises
    ------
    InputError, PotentialError
        If a path is written wrongly or leads to no file.
    """
    try:
        return _level(find_recipe(name))
    except UnknownNameError:
        return name


def model_file(name: str) -> Path | None:
    """Return the weights of a potential that is a model file; ``None`` for all others.

    Raises
    ------
    UnknownNameError, InputError, PotentialError
        As `identify`.
    """
    if is_vasp(name):
        return None
    recipe = find_recipe(name)
    return recipe.weights.obtain() if recipe.by_path else None


def load_potential(name: str, *, device: str = "cpu", threads: int = 1) -> Potential:
    """Load a potential; the calculator is made once per process and identity.

    Parameters
    ----------
    name
        A registered name or a model by path.
    device
        Torch device.
    threads
        Torch threads of this process from now on.

    Raises
    ------
    UnknownNameError, InputError, MissingDependencyError, PotentialError
        As `identify`; also if the model cannot be loaded.
    """
    if is_vasp(name):
        raise InputError(
            "VASP evaluates this level, in runs of its own; nothing else can be done with it",
            given=name,
            allowed="relaxation, hull, energies, melt-quench and molecular dynamics at this level",
            remedy="choose a potential for what moves atoms by itself",
        )
    if threads < 1:
        raise InputError(
            "the number of threads is not positive",
            given=threads,
            allowed="1 or more",
            remedy="give the number of cores that one worker may use",
        )
    if is_gpaw(name):
        return _gpaw_potential(name, threads)
    recipe = find_recipe(name)
    identity = _identity(recipe)
    if recipe.uses_torch:
        set_threads(threads, recipe.extra)
    calculator = _loaded(identity, device)
    elements = identity.elements or covered_elements(calculator)
    return Potential(replace(identity, elements=elements), calculator)


def parts_of(potential: Potential | None) -> dict[str, str]:
    """Return what a calculator says that its last numbers were made with, beside its package."""
    return dict(getattr(potential.calculator, "parts", {})) if potential else {}


def require_coverage(identity: PotentialIdentity, elements: Iterable[str]) -> None:
    """Refuse a potential that does not know all `elements` (chemical symbols).

    A potential that does not say what it knows passes.

    Raises
    ------
    CoverageError
        Naming the registered potentials that do cover them.
    """
    wanted = set(elements)
    if identity.elements is None or not (missing := wanted.difference(identity.elements)):
        return
    others = [
        name
        for name, recipe in registered().items()
        if recipe.elements is not None and wanted.issubset(recipe.elements)
    ]
    raise CoverageError(
        f"{identity.name} does not cover {', '.join(sorted(missing))}",
        given=sorted(wanted),
        allowed=identity.elements,
        remedy=f"choose a potential that covers all of them: {', '.join(others)}"
        if others
        else "train a potential of your own and give it by path; none with a name covers them all",
    )


def _vasp_identity(name: str) -> PotentialIdentity:
    """Identify a level of VASP by its settings and POTCARs; the version is known after a run."""
    level = vasp_level(name)
    elements = tuple(potcar_symbols())
    return PotentialIdentity(name, name, level.theory, "vasp", "6", level.sha256(), elements)


def _gpaw_identity(name: str) -> PotentialIdentity:
    """Identify a level of GPAW by its settings, its PAW datasets, its own version and libxc's."""
    from .gpaw_host import dataset_elements, datasets_hash, gpaw_host  # noqa: PLC0415  (one level's)

    level, host = gpaw_level(name), gpaw_host()
    known = {
        "settings": level.settings(),
        "datasets": datasets_hash(),
        "libxc": host.libxc,
        "gpaw": host.version,
    }
    return PotentialIdentity(
        name, name, level.theory, "gpaw", host.version, content_hash(known), dataset_elements()
    )


def _gpaw_potential(name: str, threads: int) -> Potential:
    from .gpaw_calculator import GpawCalculator  # noqa: PLC0415  (one level's)
    from .gpaw_host import require_gpaw  # noqa: PLC0415  (as above)

    identity = _gpaw_identity(name)
    require_gpaw(threads)
    return Potential(identity, GpawCalculator(gpaw_level(name)))


def _identity(recipe: Recipe) -> PotentialIdentity:
    version = (
        package_version(recipe.package, recipe.extra)
        if recipe.extra
        else _version_or_none(recipe.package) or "without a version"
    )
    sha256 = cached_sha256(recipe.weights.obtain())
    settings = _settings(recipe)
    if recipe.dispersion is not None:
        settings["d3_version"] = package_version("dftd3", recipe.extra)
        settings |= recipe.dispersion.as_settings()
    if recipe.by_path and (domain := domain_path(recipe.weights.obtain())).is_file():
        own = domain_path(Path(recipe.file_name)).name if recipe.file_name else ""
        settings["domain"] = _content_name(domain, own)
    return PotentialIdentity(
        name=recipe.name,
        level=_level(recipe),
        theory=recipe.theory,
        package=recipe.package,
        package_version=version,
        weights_sha256=sha256,
        elements=recipe.elements,
        settings=tuple(sorted(settings.items())),
    )


def _level(recipe: Recipe) -> str:
    scheme, found, rest = recipe.name.partition(":")
    if not found:
        return recipe.name
    target = rest.partition("?")[0]
    if recipe.by_path:
        target = _content_name(recipe.weights.obtain(), recipe.file_name)
    keywords = "&".join(f"{key}={_text(value)}" for key, value in sorted(_settings(recipe).items()))
    return f"{scheme}:{target}?{keywords}" if keywords else f"{scheme}:{target}"


def _settings(recipe: Recipe) -> dict[str, Setting]:
    """Return the keywords; a file among them is its name and content, wherever it lies."""
    return {
        key: _content_name(Path(value))
        if isinstance(value, str) and Path(value).is_file()
        else value
        for key, value in recipe.settings
    }


def _content_name(path: Path, name: str = "") -> str:
    return f"{name or path.name}@{cached_sha256(path)[:_HASH_DIGITS]}"


def _text(value: Setting) -> str:
    return value if isinstance(value, str) else json.dumps(canonical(value))


@lru_cache(maxsize=8)
def _loaded(identity: PotentialIdentity, device: str) -> Calculator:
    recipe = find_recipe(identity.name)
    weights = recipe.weights.obtain()
    try:
        calculator = recipe.loader(weights, dict(recipe.settings), device)
    except _BROKEN_MODEL as error:
        raise PotentialError(
            f"{recipe.name} cannot be loaded ({type(error).__name__}: {error})",
            given=f"{weights} on device {device}",
            remedy=f"check that the file is a model of {recipe.package} {identity.package_version} "
            "and that the device exists",
        ) from error
    if recipe.dispersion is None:
        return calculator
    with optional_package("dftd3", recipe.extra):
        return DispersionCorrected(calculator, recipe.dispersion)


def _version_or_none(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # that is the answer
        return None
