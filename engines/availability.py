"""What is installed for potentials, what is missing or at odds, and the pip line that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from ..errors import install_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from packaging.specifiers import SpecifierSet

_EVALUATED_BY: Final = {
    "chgnet": "chgnet", "mace": "mace-torch", "sevennet": "sevenn", "nep": "calorine",
    "gpaw": "gpaw",
}  # fmt: skip
POTENTIAL_EXTRAS: Final = tuple(_EVALUATED_BY)
_E3NN_TRAP: Final = (Version("0.5"), Version("2.6"))


class State(StrEnum):
    """How a package stands."""

    OK = "ok"
    NOTE = "note"
    MISSING = "missing"
    CLASH = "clash"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes
    ----------
    subject
        Package or extra.
    state
        ``missing`` stops some potentials from loading, ``clash`` may do so.
    message
        What was found.
    remedy
        A command to copy, or nothing.
    blocks
        Whether a potential that is installed cannot be relied on because of it.
    """

    subject: str
    state: State
    message: str
    remedy: str = ""
    blocks: bool = False


@dataclass(frozen=True)
class Installed:
    """The distributions of an environment.

    Attributes
    ----------
    version
        Of a distribution by name; ``None`` if it is not installed.
    requires
        Its requirement lines.
    """

    version: Callable[[str], str | None]
    requires: Callable[[str], list[str]]


def this_environment() -> Installed:
    """Return the distributions that this interpreter sees."""

    def version(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:  # that is the answer
            return None

    return Installed(version, lambda name: metadata.requires(name) or [])


def missing_for(scheme: str, installed: Installed | None = None) -> str:
    """Return what evaluates potentials of a scheme and is not there, and the line that mends it.

    Empty where it is there.
    """
    package = _EVALUATED_BY.get(scheme)
    if package is None or (installed or this_environment()).version(package) is not None:
        return ""
    return f"{package} is not installed here: {pip_line([scheme])}"


def check_potentials(installed: Installed | None = None) -> list[Finding]:
    """Examine the packages behind all potentials without importing any.

    Parameters
    ----------
    installed
        Environment to examine; this one by default.
    """
    environment = installed or this_environment()
    findings: list[Finding] = []
    seen: set[str] = set()
    for extra in POTENTIAL_EXTRAS:
        for needed in _of_extra(environment.requires("haloflow"), extra):
            name = canonicalize_name(needed.name)
            if name in seen:
                continue
            seen.add(name)
            findings.append(_against(environment, needed, "haloflow", extra))
            if environment.version(name) is not None:
                findings += _clashes(environment, name, extra)
    return findings + _e3nn_note(environment)


def pip_line(extras: Iterable[str]) -> str:
    """Return the command that installs `extras` as pinned by the constraints file."""
    return install_line(*extras)


def _of_extra(lines: list[str], extra: str) -> list[Requirement]:
    requirements = [Requirement(line) for line in lines]
    return [r for r in requirements if r.marker and _applies(r, extra) and not _applies(r, "")]


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _against(environment: Installed, needed: Requirement, by: str, extra: str) -> Finding:
    """Compare one requirement with what is installed."""
    version = environment.version(needed.name)
    if version is None:
        message = f"not installed, needed by {by}" + (f"[{extra}]" if by == "haloflow" else "")
        blocks = by != "haloflow" or environment.version(_EVALUATED_BY[extra]) is not None
        return Finding(needed.name, State.MISSING, message, pip_line([extra]), blocks)
    if not _fits(needed.specifier, version):
        message = f"{by} needs {needed.name}{needed.specifier}, installed is {version}"
        return Finding(needed.name, State.CLASH, message, pip_line([extra]), blocks=True)
    return Finding(needed.name, State.OK, version)


def _fits(specifier: SpecifierSet, version: str) -> bool:
    return specifier.contains(version, prereleases=True)


def _clashes(environment: Installed, name: str, extra: str) -> list[Finding]:
    """Return the requirements of the distribution `name` that are not fulfilled."""
    by = f"{name} {environment.version(name)}"
    needs = [Requirement(line) for line in environment.requires(name)]
    findings = [_against(environment, need, by, extra) for need in needs if _applies(need, "")]
    return [finding for finding in findings if finding.state is not State.OK]


def _e3nn_note(environment: Installed) -> list[Finding]:
    e3nn, torch = environment.version("e3nn"), environment.version("torch")
    if e3nn is None or torch is None:
        return []
    if Version(e3nn) >= _E3NN_TRAP[0] or Version(torch) < _E3NN_TRAP[1]:
        return []
    message = (
        f"e3nn {e3nn} alone does not import under torch {torch} (its constants need an "
        "allow-listed type); haloflow lists it before it loads MACE or SevenNet"
    )
    return [Finding("e3nn", State.NOTE, message)]
