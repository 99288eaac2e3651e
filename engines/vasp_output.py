"""What VASP wrote, read once: the last structure and energy, and whether they can be believed."""

from __future__ import annotations

import gzip
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, cast
from xml.etree import ElementTree as ET

import numpy as np

from ..errors import EngineError, PotentialError
from .vasp_levels import POTCAR_FUNCTIONAL, known_titles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure
    from pymatgen.io.vasp import Vasprun

STAND_IN: Final = "stand-in"
"""In the subversion of what was not written by VASP."""
_GPA_PER_KBAR: Final = 0.1
_SOFT_STOP: Final = (b"soft stop encountered", b"hard stop encountered")


@dataclass(frozen=True)
class VaspOrigin:
    """What wrote the files of a run, and with which POTCARs.

    Attributes
    ----------
    version, subversion
        As VASP states them.
    titles
        Of the POTCARs, e.g. ``PAW_PBE Na_pv 19Sep2006``.
    """

    version: str
    subversion: str
    titles: tuple[str, ...]

    @property
    def is_stand_in(self) -> bool:
        """Whether a stand-in for VASP wrote it."""
        return STAND_IN in self.subversion.lower()


@dataclass(frozen=True)
class VaspOutcome(VaspOrigin):
    """The end of a VASP run.

    Attributes
    ----------
    structure
        The last one, in the order of the POSCAR, with velocities in A/fs after MD.
    energy_ev
        Of the last step: extrapolated to no smearing; of machine-learned MD the last step's,
        whether DFT or the force field evaluated it.
    forces_ev_a
        Shape (n_atoms, 3).
    stress_gpa
        Shape (3, 3), with ASE's sign: negative where the cell wants to grow.
    n_steps
        Ionic or MD steps.
    n_steps_asked
        The NSW of this run.
    electronic_converged
        Of the last step that DFT evaluated.
    was_stopped
        By a STOPCAR.
    free_energy_ev
        Whose derivatives the forces are: with the entropy of smearing; NaN where the force
        field evaluated the last step.
    """

    structure: Structure
    energy_ev: float
    forces_ev_a: NDArray[np.float64]
    stress_gpa: NDArray[np.float64]
    n_steps: int
    n_steps_asked: int
    electronic_converged: bool
    was_stopped: bool
    free_energy_ev: float = float("nan")

    @property
    def max_force_ev_a(self) -> float:
        """Largest force on an atom in eV/A."""
        return float(np.linalg.norm(self.forces_ev_a, axis=1).max())

    @property
    def max_stress_gpa(self) -> float:
        """Largest component of the stress in GPa."""
        return float(np.abs(self.stress_gpa).max())

    def unconverged(
        self, *, fmax_ev_a: float | None = None, stress_tolerance_gpa: float | None = None
    ) -> list[str]:
        """Say why this is no converged result; empty where it is one.

        Parameters
        ----------
        fmax_ev_a
            Largest force allowed after a relaxation; ``None`` after a single point.
        stress_tolerance_gpa
            Largest component of the stress allowed; ``None`` for a fixed cell.
        """
        reasons = []
        if not self.electronic_converged:
            reasons.append("the electrons did not converge in the last step")
        if fmax_ev_a is not None and not self.max_force_ev_a <= fmax_ev_a:
            reasons.append(
                f"a force of {self.max_force_ev_a:.3g} eV/A is left, above {fmax_ev_a:g}"
            )
        limit = stress_tolerance_gpa
        if limit is not None and not self.max_stress_gpa <= limit:
            reasons.append(f"a stress of {self.max_stress_gpa:.3g} GPa is left, above {limit:g}")
        return reasons


@dataclass(frozen=True)
class MDFrame:
    """One step of molecular dynamics, in the order of the POSCAR, positions wrapped."""

    frac: NDArray[np.float64]
    cell: NDArray[np.float64]
    energy_ev: float
    kinetic_ev: float
    stress_gpa: NDArray[np.float64] | None


def read_outcome(directory: Path) -> VaspOutcome:
    """Read the run in `directory`, plain or gzipped.

    Raises
    ------
    EngineError
        If its files are missing, cut short or hold no complete step.
    """
    return outcome_of(read_run(directory), directory)


def outcome_of(run: Vasprun, directory: Path) -> VaspOutcome:
    """Take the end of a parsed run from `directory`; as `read_outcome`."""
    last: dict[str, Any] = _learned(run)[-1] if _learned(run) else run.ionic_steps[-1]
    try:
        energy = _energy(last) if _learned(run) else float(run.final_energy)
        return VaspOutcome(
            version=str(run.vasp_version),
            subversion=str(run.generator.get("subversion", "")),
            titles=tuple(run.potcar_symbols),
            structure=_last_structure(directory, run),
            energy_ev=energy,
            forces_ev_a=np.array(last["forces"], dtype=float),
            stress_gpa=-_GPA_PER_KBAR * np.array(last["stress"], dtype=float),
            n_steps=len(_learned(run) or run.ionic_steps),
            n_steps_asked=int(run.parameters.get("NSW", 0)),
            electronic_converged=bool(run.converged_electronic),
            was_stopped=was_stopped(directory),
            free_energy_ev=float(last.get("e_fr_energy", "nan")),
        )
    except (KeyError, IndexError) as error:
        raise EngineError(
            "the last step of a VASP run is not complete",
            given=f"{directory}: no {error}",
            remedy="run the step again; it goes on from the last whole structure",
        ) from error


def read_frames(directory: Path) -> Iterator[MDFrame]:
    """Yield the whole steps of the run in `directory`, also of one that was cut short.

    With machine learning on the fly, those that the force field evaluated are among them. One
    step is held in memory at a time.

    Raises
    ------
    EngineError
        There is no vasprun.xml.
    """
    path = _require(directory)
    with _opened(path) as stream, suppress(ET.ParseError, EOFError):  # cut short: the end
        yield from _frames(stream)


def _opened(path: Path) -> IO[bytes]:
    """Open a file that may be compressed."""
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _frames(stream: IO[bytes]) -> Iterator[MDFrame]:
    place: dict[str, NDArray[np.float64]] = {}
    stress = None
    in_electronic_step = False
    for event, element in ET.iterparse(stream, events=("start", "end")):  # noqa: S314  (expat refuses bombs)
        tag, name = element.tag, element.get("name")
        if tag == "scstep":
            in_electronic_step = event == "start"
        elif event == "start":
            continue
        elif tag == "structure" and name is None:
            place = {v.get("name", ""): _rows(v) for v in element.iter("varray")}
            stress = None
        elif tag == "varray" and name == "stress":
            stress = -_GPA_PER_KBAR * _rows(element)
        elif tag == "energy" and not in_electronic_step and place:
            known = {i.get("name"): float(i.text or "nan") for i in element.iter("i")}
            if "e_0_energy" in known:
                yield MDFrame(
                    place["positions"],
                    place["basis"],
                    known["e_0_energy"],
                    known.get("kinetic", np.nan),
                    stress,
                )
                place = {}
        if event == "end" and tag in {"structure", "scstep", "calculation", "dos", "eigenvalues"}:
            element.clear()


def _rows(varray: ET.Element) -> NDArray[np.float64]:
    return np.array([[float(x) for x in (v.text or "").split()] for v in varray.iter("v")])


def last_structure(directory: Path) -> Structure | None:
    """Return the CONTCAR of a run in the order of its POSCAR, with velocities if it has any.

    ``None`` where there is none, or not a whole one.
    """
    from pymatgen.io.vasp import Poscar  # noqa: PLC0415  (a second to import)

    path = _found(directory, "CONTCAR")
    if path is None:
        return None
    try:
        poscar = Poscar.from_file(path, check_for_potcar=False)
    except Exception:  # noqa: BLE001  (a file cut short anywhere fails in pymatgen in any way)
        return None
    structure: Structure = poscar.structure
    return structure if np.isfinite(structure.cart_coords).all() else None


def read_origin(directory: Path) -> VaspOrigin:
    """Read what wrote the run in `directory`, from the head of its vasprun.xml.

    Raises
    ------
    EngineError
        The file is missing, or was cut short before it said so.
    """
    words, rows = _head(directory)
    titles = tuple(row[-1] for row in rows)
    return VaspOrigin(words.get("version", ""), words.get("subversion", ""), titles)


def neutral_electrons(directory: Path) -> float:
    """Return the valence electrons of the atoms of a run; errors as of `read_origin`."""
    return sum(float(count) * float(valence) for count, _, _, valence, _ in _head(directory)[1])


def _head(directory: Path) -> tuple[dict[str, str], list[list[str]]]:
    """Return what wrote a run, and the rows of its kinds of atoms."""
    path = _require(directory)
    words: dict[str, str] = {}
    with _opened(path) as stream, suppress(ET.ParseError, EOFError):  # an error says so below
        for _, element in ET.iterparse(stream, events=("end",)):  # noqa: S314  (idem)
            if element.tag == "generator":
                words = {i.get("name", ""): (i.text or "").strip() for i in element.iter("i")}
            elif element.tag == "array" and element.get("name") == "atomtypes":
                rows = [[(c.text or "").strip() for c in row] for row in element.iter("rc")]
                return words, [row for row in rows if row]
    raise EngineError(
        "the vasprun.xml of a VASP run is damaged or cut short",
        given=f"{path}, which ends before its POTCARs are named",
        remedy="look at vasp.out and std_err.txt there",
    )


def require_genuine(outcome: VaspOrigin, where: Path, *, for_tests: bool) -> None:
    """Refuse what a stand-in for VASP wrote, except for tests.

    Raises
    ------
    EngineError
        It carries the stamp of a stand-in.
    """
    if outcome.is_stand_in and not for_tests:
        raise EngineError(
            "these files were written by a stand-in for VASP, not by VASP",
            given=f"{where}, subversion {outcome.subversion}",
            allowed="a stand-in in stores that are marked for tests only",
            remedy="check ATOMATE2_VASP_CMD: it must start VASP",
        )


def require_potcars(titles: Iterable[str], where: Path) -> None:
    """Refuse POTCARs of another release than all energies are made with.

    Raises
    ------
    PotentialError
        Naming those that do not belong.
    """
    known = set().union(*known_titles().values())
    wrong = [title for title in titles if title.replace(" ", "") not in known]
    if wrong:
        raise PotentialError(
            f"POTCARs that do not belong to the set of {POTCAR_FUNCTIONAL} used here",
            given=f"{', '.join(wrong)} in {where}",
            allowed="one set for all energies, such as PAW_PBE Na_pv 19Sep2006",
            remedy="point PMG_VASP_PSP_DIR to the release potpaw_PBE.64",
        )


def _require(directory: Path) -> Path:
    path = _found(directory, "vasprun.xml")
    if path is None:
        raise EngineError(
            "a VASP run left no vasprun.xml",
            given=str(directory),
            remedy="look at vasp.out and std_err.txt there",
        )
    return path


def read_run(directory: Path) -> Vasprun:
    """Parse the vasprun.xml of the run in `directory`.

    Raises
    ------
    EngineError
        It is missing, damaged, or holds no step.
    """
    from pymatgen.io.vasp import Vasprun  # noqa: PLC0415  (a second to import)

    path = _require(directory)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"[\s\S]* is an unconverged VASP run")
            run = Vasprun(
                path,
                parse_dos=False,
                parse_eigen=False,
                parse_potcar_file=False,
            )
    except Exception as error:  # a file cut short anywhere fails in pymatgen in any way
        raise EngineError(
            "the vasprun.xml of a VASP run is damaged or cut short",
            given=f"{path}: {type(error).__name__}: {error}",
            remedy="see whether the disk is full or VASP was killed; look at vasp.out and "
            "std_err.txt there",
        ) from error
    return run


def _learned(run: Vasprun) -> list[dict[str, Any]]:
    """Return the steps of MD with machine learning, DFT's and the force field's; else none."""
    whole: list[dict[str, Any]] = [step for step in run.md_data if "energy" in step]
    return whole


def _energy(step: dict[str, Any]) -> float:
    return float(step["energy"]["e_0_energy"])


def _last_structure(directory: Path, run: Vasprun) -> Structure:
    """Return the CONTCAR, which has velocities, where it is the structure of the last step."""
    final: Structure = (_learned(run) or run.ionic_steps)[-1]["structure"]
    if int(run.parameters.get("IBRION", -1)) == 0:
        written = last_structure(directory)
        return final if written is None or len(written) != len(final) else written
    return final


def was_stopped(directory: Path) -> bool:
    """Whether the run in `directory` ended because a STOPCAR asked for it."""
    path = _found(directory, "OUTCAR")
    if path is None:
        return False
    with _opened(path) as file:
        return any(words in line for line in file for words in _SOFT_STOP)


def _found(directory: Path, name: str) -> Path | None:
    for path in (directory / name, directory / f"{name}.gz"):
        if path.is_file() and path.stat().st_size:
            return path
    return None
