"""What VASP needs on this machine: its commands, the POTCARs, the packages that run it."""

from __future__ import annotations

import os
import shlex
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .availability import Finding, State
from .vasp_host import vasp_host
from .vasp_levels import POTCAR_FUNCTIONAL, known_titles, potcar_symbols

if TYPE_CHECKING:
    from collections.abc import Iterable

_PACKAGES: Final = ("custodian", "atomate2", "pymatgen-core")
_CONTAINERS: Final = ("apptainer", "singularity", "docker", "podman", "podman-hpc", "shifter")
SET_COMMANDS: Final = (
    "set ATOMATE2_VASP_CMD and ATOMATE2_VASP_GAMMA_CMD, e.g. to 'srun vasp_std' and "
    "'srun vasp_gam', in the environment or in ~/.atomate2.yaml; load VASP's module first"
)
SET_POTCARS: Final = (
    "set PMG_VASP_PSP_DIR, in the environment or in ~/.config/.pmgrc.yaml, to the folder that "
    "holds POT_PAW_PBE_64 (`pmg config -p` makes it of VASP's potpaw_PBE.64)"
)


def check_vasp(elements: Iterable[str]) -> list[Finding]:
    """Examine what levels of VASP need here; nothing of it stops other sweeps.

    Parameters
    ----------
    elements
        Whose POTCARs are looked for.
    """
    return [_packages(), *_commands(), _potcars(sorted(set(elements)))]


def _packages() -> Finding:
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        line = f"pip install -c constraints.txt {' '.join(missing)}"
        return Finding("VASP", State.MISSING, f"not installed: {', '.join(missing)}", line)
    return Finding("VASP", State.OK, f"run by {', '.join(found)}")


def _commands() -> list[Finding]:
    host = vasp_host()
    return [
        _command(name, os.path.expandvars(line))
        for name, line in (("vasp_std", host.command), ("vasp_gam", host.gamma_command))
    ]


def _command(name: str, line: str) -> Finding:
    """Look for the launcher and for VASP: the first word, and the last that is no option."""
    subject = f"VASP, {name}"
    try:
        words = shlex.split(line)
    except ValueError as error:
        return Finding(
            subject, State.MISSING, f"`{line}` is no command line: {error}", SET_COMMANDS
        )
    programs = list(dict.fromkeys(w for w in (*words[:1], *words[-1:]) if w and w[0] not in "-<>"))
    boxed = any(Path(word).name in _CONTAINERS for word in words)
    if boxed:  # the last word is a program of the image
        programs = programs[:1]
    missing = [program for program in programs if shutil.which(program) is None]
    if missing or not programs:
        said = f"`{line}`: {' and '.join(missing) or 'nothing'} not found here"
        return Finding(subject, State.MISSING, said, SET_COMMANDS)
    inside = ", which starts VASP in a container, where it was not looked for" if boxed else ""
    return Finding(subject, State.OK, f"`{line}`: {shutil.which(programs[-1])}{inside}")


def _potcars(elements: list[str]) -> Finding:
    """Look for the POTCAR of each element, and hold its title against those of the release."""
    from pymatgen.core import SETTINGS  # noqa: PLC0415  (a second to import)

    subject = f"VASP, POTCARs of {POTCAR_FUNCTIONAL}"
    folder = SETTINGS.get("PMG_VASP_PSP_DIR")
    if not folder:
        return Finding(subject, State.MISSING, "pymatgen has no PMG_VASP_PSP_DIR", SET_POTCARS)
    known, missing, strange = known_titles(), [], []
    for element in elements:
        symbol = potcar_symbols().get(element, element)
        title = _title_of(symbol, Path(folder).expanduser())
        if title is None:
            missing.append(symbol)
        elif title.replace(" ", "") not in known.get(symbol, ()):
            strange.append(f"{symbol} is `{title}`")
    said = [f"not found: {', '.join(missing)}"] if missing else []
    if strange:
        said.append(f"of another release: {', '.join(strange)}")
    if said:
        return Finding(subject, State.MISSING, f"{folder}: {'; '.join(said)}", SET_POTCARS)
    return Finding(subject, State.OK, f"{folder}: {', '.join(elements)}")


def _title_of(symbol: str, folder: Path) -> str | None:
    """Return the first line of a POTCAR, wherever pymatgen would find it."""
    from monty.io import zopen  # noqa: PLC0415  (idem)
    from monty.os.path import zpath  # noqa: PLC0415  (idem)
    from pymatgen.core import SETTINGS  # noqa: PLC0415  (idem)
    from pymatgen.io.vasp.inputs import PotcarSingle  # noqa: PLC0415  (idem)

    usual = PotcarSingle.functional_dir[POTCAR_FUNCTIONAL]
    release = folder / SETTINGS.get("PMG_VASP_PSP_SUB_DIRS", {}).get(POTCAR_FUNCTIONAL, usual)
    for place in (release / f"POTCAR.{symbol}", release / symbol / "POTCAR"):
        path = Path(zpath(str(place)))
        if path.is_file():
            try:
                with zopen(path, "rt", encoding="utf-8") as file:
                    return str(file.readline()).strip()
            except (OSError, ValueError):  # it is there, and is no text
                return "unreadable"
    return None
