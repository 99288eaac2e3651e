"""VASP runs made elsewhere: which calculation they are, and whether they can be taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from ..errors import InputError
from ..identity import file_sha256
from .vasp_inputs import mesh_of, relaxation, static
from .vasp_levels import VASP_LEVELS, VaspLevel
from .vasp_output import outcome_of, read_origin, read_run, require_genuine, require_potcars
from .vasp_relax import STRESS_TOLERANCE_GPA

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.io.vasp import Vasprun

    from .vasp_output import VaspOutcome

FILES: Final = ("vasprun.xml", "vasprun.xml.gz")
_WORDS: Final = {"METAGGA": "--", "GGA": "PE", "IVDW": 0, "PREC": "NORMAL"}
"""Tags that decide the level, as an INCAR gives them, and VASP's defaults with PBE POTCARs."""
_SWITCHES: Final = ("LREAL", "LASPH", "ADDGRID", "LHFCALC", "LUSE_VDW", "LDAU")
"""The same among what VASP says of every run; all are off by default."""
_FULL_CELL: Final = 3


@dataclass(frozen=True)
class ForeignRun:
    """A run that can be taken.

    Attributes
    ----------
    path, sha256
        Its vasprun.xml.
    kind
        ``relax`` or ``static``.
    level
        Of `VASP_LEVELS`.
    outcome
        How it ended, sites in the order of its POSCAR.
    """

    path: Path
    sha256: str
    kind: Literal["relax", "static"]
    level: str
    outcome: VaspOutcome


def examine(folder: Path, *, for_tests: bool = False) -> ForeignRun:
    """Read the run in `folder` and hold it against the same gates as one of haloflow's own.

    Raises
    ------
    EngineError
        Its files are damaged, or not by VASP.
    PotentialError
        It has POTCARs of another release.
    InputError
        It is no relaxation or energy, did not converge, or is of no level that haloflow has.
    """
    path = next(folder / name for name in FILES if (folder / name).is_file())
    origin = read_origin(folder)
    require_genuine(origin, folder, for_tests=for_tests)
    require_potcars(origin.titles, folder)
    run = read_run(folder)
    kind = _kind_of(run, folder)
    outcome = outcome_of(run, folder)
    level = _level_of(run, kind, folder)
    moves_cell = int(run.parameters.get("ISIF", 2)) >= _FULL_CELL
    left = outcome.unconverged(
        fmax_ev_a=level.fmax_ev_a if kind == "relax" else None,
        stress_tolerance_gpa=STRESS_TOLERANCE_GPA if kind == "relax" and moves_cell else None,
    )
    if outcome.was_stopped:
        left.append("a STOPCAR ended it")
    if left:
        raise InputError(
            "a VASP run did not converge",
            given=f"{folder}: {'; '.join(left)}",
            remedy="go on with it, or leave it out",
        )
    return ForeignRun(path, file_sha256(path), kind, level.name, outcome)


def _kind_of(run: Vasprun, folder: Path) -> Literal["relax", "static"]:
    steps, motion = int(run.parameters.get("NSW", 0)), int(run.parameters.get("IBRION", -1))
    if steps == 0 or motion == -1:
        return "static"
    if motion in {1, 2, 3}:
        return "relax"
    raise InputError(
        "a VASP run is neither a relaxation nor an energy",
        given=f"{folder} with IBRION = {motion}",
        allowed="NSW = 0, or IBRION = 1, 2, 3",
        remedy="look at molecular dynamics with `haloflow analyze`",
    )


def _level_of(run: Vasprun, kind: str, folder: Path) -> VaspLevel:
    """Return the level whose settings the run has."""
    differing = {level.name: _differences(run, level, kind) for level in VASP_LEVELS.values()}
    for name, found in differing.items():
        if not found:
            return VASP_LEVELS[name]
    nearest = min(differing, key=lambda name: len(differing[name]))
    raise InputError(
        "a VASP run is of no level that haloflow has",
        given=f"{folder}; nearest is {nearest}: {', '.join(differing[nearest])}",
        allowed=list(VASP_LEVELS),
        remedy="energies of other settings do not go on one hull; compute it again at a level",
    )


def _differences(run: Vasprun, level: VaspLevel, kind: str) -> list[str]:
    """Say in what a run differs from a calculation of `level`, as far as its energy goes."""
    make = relaxation if kind == "relax" else static
    start = run.initial_structure
    inputs = make(level.name, start)
    pairs = {key: (run.incar.get(key, default), default) for key, default in _WORDS.items()}
    known = {**run.incar, **run.parameters}
    pairs |= {key: (known.get(key, False), False) for key in _SWITCHES}
    said = [
        f"{key} {found} instead of {inputs.incar.get(key, default)}"
        for key, (found, default) in pairs.items()
        if _plain(found) != _plain(inputs.incar.get(key, default))
    ]
    cutoff = float(run.parameters.get("ENMAX", run.incar.get("ENCUT", 0)))
    if cutoff != float(inputs.incar["ENCUT"]):
        said.append(f"ENCUT {cutoff:g} instead of {inputs.incar['ENCUT']:g}")
    accuracy = float(run.parameters.get("EDIFF", 1e-4))
    if accuracy > float(inputs.incar["EDIFF"]) * 1.001:
        said.append(f"EDIFF {accuracy:g} above {inputs.incar['EDIFF']:g}")
    mesh, least = tuple(run.kpoints.kpts[0]), mesh_of(level.name, start)
    if len(mesh) != len(least) or any(n < m for n, m in zip(mesh, least, strict=True)):
        said.append(f"mesh {mesh} below {least}")
    return said


def _plain(value: Any) -> Any:  # noqa: ANN401  (tags have any type)
    """Return a value as VASP understands it: words in capitals, six letters of them."""
    if not isinstance(value, str):
        return value
    word = value.strip().strip(".").upper()
    return {"T": True, "TRUE": True, "F": False, "FALSE": False}.get(word, word[:6])
