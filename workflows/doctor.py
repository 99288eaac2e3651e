"""The examination of an installation: what is missing or clashing, and the line that mends it."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil
from packaging.requirements import Requirement

from ..engines.availability import State, check_potentials, pip_line
from ..engines.gpaw_host import dataset_elements, gpaw_host, is_installed, require_gpaw
from ..engines.potentials import list_potentials
from ..engines.vasp_check import check_vasp
from ..errors import HaloflowError
from ..stores.connection import is_there, open_store
from ..stores.purpose import is_for_tests
from ..systems.phases import load_phases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..engines.availability import Finding
    from ..engines.potentials import PotentialRow

Verdict = Literal["ok", "note", "problem"]
OLDEST_PYTHON = (3, 11)
LITTLE_MEMORY_BYTES = 4e9
BYTES_PER_GB = 1e9
_PROBE = {"_id": "doctor"}
_PIP = "pip install -c constraints.txt"


@dataclass(frozen=True)
class Check:
    """One line of the examination; a ``problem`` stops sweeps from running."""

    subject: str
    verdict: Verdict
    message: str
    remedy: str = ""


def examination(store_uri: str) -> list[Check]:
    """Return all checks of this machine and of a store.

    Parameters
    ----------
    store_uri
        Folder or URI; a store that is not there is not made.
    """
    return [
        check_python(sys.version_info[:3]),
        *check_packages(metadata.requires("haloflow") or []),
        *check_installed_potentials(),
        *check_gpaw(),
        *check_vasp_here(store_uri),
        check_packmol(),
        check_store(store_uri),
        *check_machine(),
    ]


def check_python(found: tuple[int, ...]) -> Check:
    """Check the version of the interpreter."""
    version = ".".join(map(str, found))
    if found[:2] < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return Check("Python", "problem", version, f"make the environment with {oldest} or newer")
    return Check("Python", "ok", f"{version}, {sys.executable}")


def check_packages(lines: Iterable[str]) -> list[Check]:
    """Check the requirement `lines` that hold without any extra; one line if all are met."""
    found, wrong = [], []
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        remedy = f"{_PIP} '{requirement.name}{requirement.specifier}'"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(Check(requirement.name, "problem", "not installed", remedy))
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            message = f"{version}, needed is {requirement.specifier}"
            wrong.append(Check(requirement.name, "problem", message, remedy))
        found.append(f"{requirement.name} {version}")
    return wrong or [Check("core packages", "ok", ", ".join(found))]


def check_installed_potentials() -> list[Check]:
    """List which potentials can be used, and what stands behind those that cannot."""
    rows = list_potentials()
    usable = [row.name for row in rows if row.available]
    checks = []
    if usable:
        checks.append(Check("potentials", "ok", ", ".join(usable)))
    else:
        line = pip_line(["chgnet"])
        checks.append(Check("potentials", "problem", "none can be used", line))
    checks += _not_here([row for row in rows if not row.available])
    findings = [one for one in check_potentials() if one.state is not State.OK]
    return checks + [_as_check(one) for one in findings]


def _not_here(rows: Iterable[PotentialRow]) -> list[Check]:
    """Say per extra which potentials cannot be loaded, and what brings them."""
    packages: dict[str, list[str]] = {}
    weights = []
    for row in rows:
        if row.installed_version is None:
            packages.setdefault(row.extra, []).append(row.name)
        else:
            weights.append(row.name)
    checks = [
        Check("potentials", "note", f"not installed: {', '.join(names)}", pip_line([extra]))
        for extra, names in packages.items()
    ]
    if weights:
        message = f"weights not here: {', '.join(weights)}"
        remedy = "nothing with a network: downloaded at their first use"
        checks.append(Check("potentials", "note", message, remedy))
    return checks


def _as_check(finding: Finding) -> Check:
    message = f"{finding.state.value}: {finding.message}"
    verdict: Verdict = "problem" if finding.blocks else "note"
    return Check(finding.subject, verdict, message, finding.remedy)


def check_gpaw() -> list[Check]:
    """Check a GPAW that is installed: its libxc must leave r2SCAN as it is."""
    if not is_installed():
        return []
    try:
        require_gpaw()
        host = gpaw_host()
        elements = len(dataset_elements())
    except HaloflowError as error:
        return [Check("GPAW", "problem", error.problem, error.remedy or "make gpaw")]
    message = (
        f"{host.version}, libxc {host.libxc} without Fermi hole curvature, PAW datasets "
        f"{host.data_version} of {elements} elements"
    )
    return [Check("GPAW", "ok", message)]


def check_vasp_here(store_uri: str) -> list[Check]:
    """Check what levels of VASP need; whatever is missing stops no sweep without them."""
    elements = set().union(*(phase.elements for phase in load_phases().values()))
    findings = check_vasp(elements)
    return [
        *(
            Check(f.subject, "ok", f.message) if f.state is State.OK else _as_check(f)
            for f in findings
        ),
        *_check_stamps(store_uri),
    ]


def _check_stamps(uri: str) -> list[Check]:
    """Tell a store that takes what a stand-in for VASP wrote."""
    if not is_there(uri):
        return []
    try:
        with open_store(uri) as store:
            marked = is_for_tests(store)
    except (HaloflowError, OSError):  # the check of the store says it
        return []
    if not marked:
        return [Check("VASP, stand-ins", "ok", "what a stand-in for VASP wrote is refused")]
    message = "this store is marked for tests: it takes numbers that no VASP computed"
    return [Check("VASP, stand-ins", "note", message, "keep results in another store")]


def check_packmol() -> Check:
    """Check that glasses can be packed."""
    try:
        from packmol.cli import get_binary_path  # noqa: PLC0415  (may be missing)

        binary = Path(get_binary_path())
    except (ImportError, OSError) as error:
        return Check("packmol", "problem", f"cannot be used: {error}", f"{_PIP} packmol")
    if not os.access(binary, os.X_OK):
        return Check("packmol", "problem", f"{binary} cannot be executed", f"{_PIP} packmol")
    return Check("packmol", "ok", metadata.version("packmol"))


def check_store(uri: str) -> Check:
    """Check that the store can be reached and written; a missing one is not made."""
    if not is_there(uri):
        return _check_place(Path(uri).expanduser().absolute())
    try:
        with open_store(uri) as store:
            store.meta.update([_PROBE], key="_id")
            store.meta.remove_docs(_PROBE)
            n_candidates = store.candidates.count()
            name = store.name
    except (HaloflowError, OSError) as error:
        return Check("store", "problem", str(error), "name another one with --store")
    return Check("store", "ok", f"{name}, writable, {n_candidates} candidates")


def _check_place(folder: Path) -> Check:
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(parent, os.W_OK):
        remedy = "name a folder you may write to with --store"
        return Check("store", "problem", f"{parent} is not writable", remedy)
    free = _gigabytes(shutil.disk_usage(parent).free)
    return Check("store", "ok", f"{folder} will be made by the first run; {free} free")


def check_machine() -> list[Check]:
    """Report cores and memory."""
    memory = psutil.virtual_memory().total
    enough = memory >= LITTLE_MEMORY_BYTES
    remedy = "" if enough else "run with --workers 1"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        Check("cores", "ok", f"{cores}"),
        Check("memory", "ok" if enough else "note", _gigabytes(memory), remedy),
    ]


def _gigabytes(n_bytes: float) -> str:
    return f"{n_bytes / BYTES_PER_GB:.1f} GB"
