"""The GPAW of this machine: versions, datasets, and whether its libxc spoils r2SCAN."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from ase.data import chemical_symbols

from ..errors import MissingDependencyError, PotentialError
from ..identity import content_hash
from .gpaw_levels import R2SCAN
from .weights import cached_sha256, package_root, package_version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EXTRA: Final = "gpaw"
_SAME_ENERGY_DENSITY: Final = 1e-9


@dataclass(frozen=True)
class GpawHost:
    """What is installed.

    Attributes
    ----------
    version, libxc, data_version
        Of GPAW, libxc, and the package of PAW datasets.
    """

    version: str
    libxc: str
    data_version: str


def is_installed() -> bool:
    """Tell whether GPAW is there, right or wrong."""
    return package_root("gpaw") is not None


@lru_cache(maxsize=1)
def gpaw_host() -> GpawHost:
    """Return what is installed; loads GPAW's compiled part, no more.

    Raises
    ------
    MissingDependencyError
        If GPAW or its datasets are not installed.
    """
    version = package_version("gpaw", EXTRA)
    data_version = package_version("gpaw-data", EXTRA)
    try:
        import _gpaw  # noqa: PLC0415  (loads libxc)
    except ImportError as error:
        raise PotentialError(
            f"the compiled part of GPAW cannot be loaded ({error})",
            given=f"GPAW {version}",
            remedy="make gpaw",
        ) from error
    return GpawHost(version, getattr(_gpaw, "libxc_version", "none"), data_version)


def dataset(element: str) -> Path:
    """Return the PAW dataset of `element`, which is part of what a level is.

    Raises
    ------
    MissingDependencyError, PotentialError
        If the package of datasets is not installed, or has none of `element`.
    """
    root = package_root("gpaw_data")
    if root is None:
        raise MissingDependencyError.of("gpaw-data", EXTRA, "this level")
    path = root / "setups" / f"{element}.PBE.gz"
    if not path.is_file():
        raise PotentialError(
            f"gpaw-data holds no PAW dataset of {element}",
            given=str(path),
            remedy="make gpaw",
        )
    return path


@lru_cache(maxsize=1)
def dataset_elements() -> tuple[str, ...]:
    """Return the elements that have a dataset, by atomic number."""
    folder = dataset("H").parent
    return tuple(s for s in chemical_symbols[1:] if (folder / f"{s}.PBE.gz").is_file())


@lru_cache(maxsize=1)
def datasets_hash() -> str:
    """Return the hash of all datasets that a level may use."""
    return content_hash({symbol: cached_sha256(dataset(symbol)) for symbol in dataset_elements()})


@lru_cache(maxsize=1)
def enforces_fermi_hole_curvature() -> bool:
    """Measure whether the r2SCAN that GPAW evaluates is that of Furness et al.

    Where it is enforced, libxc replaces a squared gradient above 8 n tau by that: the energy no
    longer depends on it.
    """
    from gpaw.xc.libxc import LibXC  # noqa: PLC0415  (heavy)

    kernel = LibXC(R2SCAN)
    density, gradient2 = 0.05, 0.02
    tau = 0.5 * gradient2 / (8 * density)
    found = []
    for used in (gradient2, 0.5 * gradient2):
        energy = np.zeros(1)
        arrays = [np.full((1, 1), value) for value in (density, used, tau)]
        outputs = [np.zeros((1, 1)) for _ in arrays]
        pairs = zip(arrays, outputs, strict=True)
        kernel.calculate(energy, *(array for pair in pairs for array in pair))
        found.append(float(energy[0]))
    return abs(found[0] - found[1]) < _SAME_ENERGY_DENSITY


def require_gpaw(threads: int = 1) -> None:
    """Make GPAW ready to evaluate: right libxc, datasets of gpaw-data alone, so many threads.

    Raises
    ------
    MissingDependencyError, PotentialError
        If it is not installed, or its libxc changes r2SCAN.
    """
    host = gpaw_host()
    import gpaw  # noqa: PLC0415  (heavy)

    if enforces_fermi_hole_curvature():
        raise PotentialError(
            "the libxc of this GPAW enforces the Fermi hole curvature, so r2SCAN neither "
            "converges nor gives the energies of others",
            given=f"GPAW {host.version} with libxc {host.libxc}",
            allowed="libxc 7 or later, or one that was built with --disable-fhc",
            remedy="make gpaw",
        )
    gpaw.setup_paths[:] = [str(dataset("H").parent)]
    _set_blas_threads(threads)


def parts(elements: Iterable[str]) -> dict[str, str]:
    """Return what energies of these elements are made with, for the provenance."""
    host = gpaw_host()
    enforced = "on" if enforces_fermi_hole_curvature() else "off"
    return {
        "gpaw": host.version,
        "gpaw-data": host.data_version,
        "libxc": f"{host.libxc}, Fermi hole curvature {enforced}",
    } | {f"PAW {s}": f"{s}.PBE sha256 {cached_sha256(dataset(s))}" for s in sorted(set(elements))}


def _set_blas_threads(threads: int) -> None:
    root = package_root("scipy_openblas32")
    libraries = [] if root is None else sorted((root / "lib").glob("libscipy_openblas.*"))
    for library in libraries:  # of another build of GPAW, the environment decides
        ctypes.CDLL(str(library)).scipy_openblas_set_num_threads(threads)
