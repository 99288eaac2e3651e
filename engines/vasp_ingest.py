"""VASP runs made elsewhere: which calculation they are, and whether they can be taken."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from ..errors import InputError
from ..identity import file_sha256
from .vasp_inputs import MDSegment, dynamics, mesh_of, relaxation, static
from .vasp_levels import VASP_LEVELS, VaspLevel
from .vasp_output import (
    neutral_electrons,
    outcome_of,
    read_origin,
    read_run,
    require_genuine,
    require_potcars,
)
from .vasp_relax import STRESS_TOLERANCE_GPA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pymatgen.core import Structure
    from pymatgen.io.vasp import Vasprun

    from .vasp_inputs import Ensemble, MachineLearning, VaspInputs
    from .vasp_output import VaspOutcome

FILES: Final = ("vasprun.xml", "vasprun.xml.gz")
_WORDS: Final = {"METAGGA": "--", "GGA": "PE", "IVDW": 0, "PREC": "NORMAL", "GGA_COMPAT": True}
"""Tags that decide the level, as an INCAR gives them, and VASP's defaults with PBE POTCARs."""
_SWITCHES: Final = (
    "LREAL", "LASPH", "ADDGRID", "LHFCALC", "LUSE_VDW", "LDAU", "LSORBIT", "LNONCOLLINEAR",
)  # fmt: skip
"""The same among what VASP says of every run; all are off by default."""
_SMEARINGS: Final = (-5, -4, 0)
"""ISMEAR of any crystal: tetrahedra and Gaussian smearing."""
_SMEARINGS_OF_METALS: Final = (*_SMEARINGS, -1, 1, 2)
_SIGMA_OF_METALS_EV: Final = 0.2
_TETRAHEDRA: Final = (-5, -4)
_ELECTRONS: Final = 1e-3
_FULL_CELL: Final = 3
_RESCALED, _MICROCANONICAL = -1, -3
"""SMASS of velocities that are scaled, and of constant energy."""
_ANDERSEN: Final = 1
_MOST_UNCONVERGED: Final = 0.01
"""Of the steps of DFT in molecular dynamics."""
_FEWEST_STEPS: Final = 2
_ERR_COLUMNS: Final = 5
_GPA_PER_KBAR: Final = 0.1
_GAMMA: Final = (1, 1, 1)
Kind = Literal["relax", "static", "md"]


@dataclass(frozen=True)
class ForeignRun:
    """A run that can be taken.

    Attributes
    ----------
    path, sha256
        Its vasprun.xml.
    kind
        ``relax``, ``static`` or ``md``.
    level
        Of `VASP_LEVELS`.
    outcome
        How it ended, sites in the order of its POSCAR.
    segment, start
        Of molecular dynamics: what it did, and its first structure.
    note
        What is to be known of it.
    is_whole
        Whether molecular dynamics came to the step it was asked for.
    """

    path: Path
    sha256: str
    kind: Kind
    level: str
    outcome: VaspOutcome
    segment: MDSegment | None = None
    start: Structure | None = None
    note: str = ""
    is_whole: bool = True


def examine(folder: Path, *, for_tests: bool = False) -> ForeignRun:
    """Read the run in `folder` and hold it against the same gates as one of haloflow's own.

    Raises
    ------
    EngineError
        Its files are damaged, or not by VASP.
    PotentialError
        It has POTCARs of another release.
    InputError
        It is no relaxation, energy or molecular dynamics, did not converge, or is of no level
        that haloflow has.
    """
    path = next(folder / name for name in FILES if (folder / name).is_file())
    origin = read_origin(folder)
    require_genuine(origin, folder, for_tests=for_tests)
    require_potcars(origin.titles, folder)
    run = read_run(folder)
    kind = _kind_of(run, folder)
    outcome = outcome_of(run, folder)
    level = _level_of(run, kind, folder)
    if kind == "md":
        short = _require_electrons(run, folder)
        segment = _segment_of(run)
        notes = [short, _peculiar(segment), learnt_errors(folder)]
        return ForeignRun(
            path, file_sha256(path), kind, level.name, outcome, segment,
            run.initial_structure, "; ".join(filter(None, notes)), is_whole=not short,
        )  # fmt: skip
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


def learnt_errors(folder: Path) -> str:
    """Say how wrong a force field was that was learnt on the fly, by its ML_LOGFILE; or nothing."""
    plain, packed = folder / "ML_LOGFILE", folder / "ML_LOGFILE.gz"
    if plain.is_file():
        text = plain.read_bytes()
    elif packed.is_file():
        text = gzip.decompress(packed.read_bytes())
    else:
        return ""
    rows = [line.split() for line in text.decode(errors="replace").splitlines()]
    errors = [row[1:] for row in rows if row[:1] == ["ERR"] and len(row) == _ERR_COLUMNS]
    if not errors:
        return ""
    step, energy, force, stress = (float(value) for value in errors[-1])
    return (
        f"force field at step {step:.0f}: training errors {1000 * energy:.2g} meV/atom, "
        f"{1000 * force:.3g} meV/A, {_GPA_PER_KBAR * stress:.2g} GPa"
    )


def _require_electrons(run: Vasprun, folder: Path) -> str:
    """Refuse molecular dynamics whose electrons did not converge, or of a single step."""
    most = int(run.parameters.get("NELM", 60))
    loose = sum(len(step["electronic_steps"]) >= most for step in run.ionic_steps)
    n_steps = len(run.md_data) or len(run.ionic_steps)
    if loose > _MOST_UNCONVERGED * len(run.ionic_steps) or n_steps < _FEWEST_STEPS:
        raise InputError(
            "molecular dynamics by VASP cannot be taken",
            given=f"{folder}: {n_steps} steps, electrons not converged in {loose}",
            allowed="two steps or more, electrons converged in 99 % of those of DFT",
            remedy="go on with it, or leave it out",
        )
    asked = int(run.parameters.get("NSW", 0))
    return f"{n_steps} of {asked} steps" if n_steps < asked else ""


def _peculiar(segment: MDSegment) -> str:
    """Say what molecular dynamics is no plain run of DFT at one temperature; or nothing."""
    said = []
    if segment.learning in {"run", "refit"}:
        said.append("forces of a field that was learnt before, none of DFT")
    if segment.start_k != segment.end_k:
        said.append(f"a ramp from {segment.start_k:g} to {segment.end_k:g} K, named by its middle")
    return "; ".join(said)


def _segment_of(run: Vasprun) -> MDSegment:
    """Return what molecular dynamics did, by its INCAR."""
    known = {**run.parameters, **run.incar}
    mass = float(known.get("SMASS", _MICROCANONICAL))
    algorithm = int(known.get("MDALGO", 0))
    ensemble: Ensemble = "nvt"
    if int(known.get("ISIF", 2)) >= _FULL_CELL:
        ensemble = "npt"
    elif algorithm == 0 and mass == _RESCALED:
        ensemble = "rescale"
    elif (algorithm == 0 and mass == _MICROCANONICAL) or (
        algorithm == _ANDERSEN and not known.get("ANDERSEN_PROB")
    ):
        ensemble = "nve"
    start = float(known.get("TEBEG", 0.0))
    return MDSegment(
        "production",
        len(run.md_data) or len(run.ionic_steps),
        start,
        float(known.get("TEEND", start)),
        float(known["POTIM"]),
        ensemble,
        pressure_gpa=_GPA_PER_KBAR * float(known.get("PSTRESS", 0.0)),
        learning=_learning(known),
    )


def _learning(known: Mapping[str, Any]) -> MachineLearning | None:
    """Return what a run does with a field learnt on the fly; without a word it trains one."""
    if not known.get("ML_LMLFF"):
        return None
    word = str(known.get("ML_MODE", "train")).strip().lower()
    return "run" if word == "run" else "refit" if word.startswith("refit") else "train"


def _kind_of(run: Vasprun, folder: Path) -> Kind:
    steps, motion = int(run.parameters.get("NSW", 0)), int(run.parameters.get("IBRION", -1))
    if steps == 0 or motion == -1:
        return "static"
    if motion == 0:
        return "md"
    if motion in {1, 2, 3}:
        return "relax"
    raise InputError(
        "a VASP run is no relaxation, energy or molecular dynamics",
        given=f"{folder} with IBRION = {motion}",
        allowed="NSW = 0, or IBRION = 0, 1, 2, 3",
        remedy="leave it out",
    )


def _level_of(run: Vasprun, kind: str, folder: Path) -> VaspLevel:
    """Return the level whose settings the run has."""
    charge = _charge(run, folder)
    differing = {
        level.name: _differences(run, level, kind) + charge for level in VASP_LEVELS.values()
    }
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
    start = run.initial_structure
    inputs = _inputs(run, level, kind)
    pairs = {key: (run.incar.get(key, default), default) for key, default in _WORDS.items()}
    known = {**run.incar, **run.parameters}
    pairs |= {key: (known.get(key, False), False) for key in _SWITCHES}
    said = [
        f"{key} {found} instead of {inputs.incar.get(key, default)}"
        for key, (found, default) in pairs.items()
        if _plain(found) != _plain(inputs.incar.get(key, default))
    ]
    spin = int(known.get("ISPIN", 1)), int(inputs.incar.get("ISPIN", 1))
    if spin[0] != spin[1]:
        said.append("ISPIN {} instead of {}".format(*spin))
    said += _smearing(known, inputs)
    cutoff = float(run.parameters.get("ENMAX", run.incar.get("ENCUT", 0)))
    if cutoff != float(inputs.incar["ENCUT"]):
        said.append(f"ENCUT {cutoff:g} instead of {inputs.incar['ENCUT']:g}")
    accuracy = float(run.parameters.get("EDIFF", 1e-4))
    if accuracy > float(inputs.incar["EDIFF"]) * 1.001:
        said.append(f"EDIFF {accuracy:g} above {inputs.incar['EDIFF']:g}")
    mesh = tuple(run.kpoints.kpts[0])
    least = _GAMMA if kind == "md" else mesh_of(level.name, start)
    if len(mesh) != len(least) or any(n < m for n, m in zip(mesh, least, strict=True)):
        said.append(f"mesh {mesh} below {least}")
    return said


def _charge(run: Vasprun, folder: Path) -> list[str]:
    """Say whether a cell is charged."""
    neutral = neutral_electrons(folder)
    found = float(run.parameters.get("NELECT", neutral))
    if abs(found - neutral) <= _ELECTRONS:
        return []
    return [f"NELECT {found:g} instead of {neutral:g} of the neutral cell"]


def _smearing(known: dict[str, Any], inputs: VaspInputs) -> list[str]:
    """Say in what the smearing differs; pure metals may have more of it."""
    is_metal = all(element.is_metal for element in inputs.structure.elements)
    scheme, sigma = int(known.get("ISMEAR", 1)), float(known.get("SIGMA", _SIGMA_OF_METALS_EV))
    allowed = _SMEARINGS_OF_METALS if is_metal else _SMEARINGS
    most = _SIGMA_OF_METALS_EV if is_metal else float(inputs.incar.get("SIGMA", sigma))
    said = [] if scheme in allowed else [f"ISMEAR {scheme} instead of one of {allowed}"]
    if scheme not in _TETRAHEDRA and sigma > most:
        said.append(f"SIGMA {sigma:g} above {most:g}")
    return said


def _inputs(run: Vasprun, level: VaspLevel, kind: str) -> VaspInputs:
    """Return the input that a calculation of `level` would have."""
    if kind == "md":
        return dynamics(level.name, run.initial_structure, _segment_of(run), seed=0)
    make = relaxation if kind == "relax" else static
    return make(level.name, run.initial_structure)


def _plain(value: Any) -> Any:  # noqa: ANN401  (tags have any type)
    """Return a value as VASP understands it: words in capitals, six letters of them."""
    if not isinstance(value, str):
        return value
    word = value.strip().strip(".").upper()
    return {"T": True, "TRUE": True, "F": False, "FALSE": False}.get(word, word[:6])
