"""The packages that numbers are made with."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    *("ase", "numpy", "scipy", "pymatgen", "jobflow", "torch", "torch-sim-atomistic", "dftd3"),
    "packmol",
)


@cache
def installed_packages() -> dict[str, str]:
    """Return the versions of those that are installed, by name."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # an optional one
            continue
    return found
