"""Trajectories of any kind, read in blocks: our own folders, and what ASE reads."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ..engines.trajectory import TrajectoryReader
from ..engines.trajectory_files import INDEX_NAME
from ..errors import HaloflowError, InputError
from ..units import FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ase import Atoms

Block = tuple[NDArray[np.float64], NDArray[np.float64]]
Frame = tuple[NDArray[np.str_], NDArray[np.float64], NDArray[np.float64]]

_SYMBOLS = np.array(chemical_symbols)
_COORDINATES_PER_BLOCK = 3_000_000
_DUMP_ATOMS = "ITEM: ATOMS "
_ALLOWED = "a format that ASE reads: XDATCAR, extxyz, vasprun.xml, traj, LAMMPS dump..."
_PARTS = ("production", "equilibration")


@dataclass(frozen=True)
class Trajectory:
    """Frames on disk, of which only a block is in memory at a time.

    Attributes
    ----------
    path
        Where they lie.
    species
        Element symbols, shape (n_atoms,).
    unwrapped
        Whether positions are known to be continuous.
    n_frames
        ``None`` where only reading to the end tells.
    frame_ps
        Time between frames, ps; ``None`` where the file does not tell.
    temperature_k
        Mean temperature of the run; ``None`` where the file does not tell.
    blocks
        Call it for an iterator over (positions (n, n_atoms, 3), cells (n, 3, 3)), both in A.
    """

    path: Path
    species: NDArray[np.str_]
    unwrapped: bool
    n_frames: int | None
    frame_ps: float | None
    temperature_k: float | None
    blocks: Callable[[], Iterator[Block]]


def open_trajectory(path: Path, types: tuple[str, ...] = ()) -> Trajectory:
    """Open the trajectory at `path`: a file that ASE reads, or a folder of ours.

    Parameters
    ----------
    path
        XDATCAR, extxyz, vasprun.xml, ASE traj, LAMMPS text dump..., or the folder of a
        trajectory, of an MD run or of an MD step.
    types
        Elements of the atom types 1, 2, 3... of a LAMMPS dump that names none.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read as a trajectory; while reading, if the
        atoms change from frame to frame or a frame has no periodic cell.
    """
    if path.is_dir():
        return _own(path)
    if not path.is_file():
        raise InputError(
            "there is no trajectory here",
            given=str(path),
            allowed="a file that ASE reads, or the folder of a haloflow MD run",
        )
    frames = _frames_of(path, types)
    first = next(_named(frames(), path), None)
    if first is None:
        raise InputError("a trajectory has no frames", given=str(path))
    return Trajectory(
        path=path,
        species=first[0],
        unwrapped=_tells_unwrapped(path),
        n_frames=None,
        frame_ps=None,
        temperature_k=None,
        blocks=lambda: _blocks(_named(frames(), path), first[0], path),
    )


def _own(path: Path) -> Trajectory:
    places = [path, *(path / part for part in _PARTS)]
    place = next(
        (p for p in places if (p / INDEX_NAME).is_file() or (p / "trajectory").is_dir()), path
    )
    reader = TrajectoryReader(place)
    per_block = _per_block(reader.n_atoms)
    times = reader.times_fs
    step = float(times[1] - times[0]) / FS_PER_PS if len(times) > 1 else None

    def blocks() -> Iterator[Block]:
        for start in range(0, reader.n_frames, per_block):
            stop = start + per_block
            yield reader.positions(start, stop), reader.cells(start, stop)

    return Trajectory(
        path=path,
        species=reader.species,
        unwrapped=True,
        n_frames=reader.n_frames,
        frame_ps=step,
        temperature_k=float(reader.thermo()["temperature_k"].mean()),
        blocks=blocks,
    )


def _per_block(n_atoms: int) -> int:
    return max(2, _COORDINATES_PER_BLOCK // (3 * n_atoms))


def _blocks(frames: Iterator[Frame], species: NDArray[np.str_], path: Path) -> Iterator[Block]:
    n_read = 0
    while some := list(islice(frames, _per_block(len(species)))):
        for at, (symbols, _, cell) in enumerate(some):
            _check_frame(symbols, cell, species, f"frame {n_read + at} of {path.name}")
        n_read += len(some)
        yield np.stack([frame[1] for frame in some]), np.stack([frame[2] for frame in some])


def _check_frame(
    symbols: NDArray[np.str_], cell: NDArray[np.float64], species: NDArray[np.str_], where: str
) -> None:
    if len(symbols) != len(species) or not np.array_equal(symbols, species):
        raise InputError(
            "the atoms change within the trajectory",
            given=f"{where} has {_formula(symbols)}, the first frame {_formula(species)}"
            + _first_other(symbols, species),
            allowed="the same atoms in the same order in every frame",
            remedy="cut the trajectory into parts of one composition, sorted by atom",
        )
    if not np.linalg.det(cell):
        raise InputError(
            "a frame has no periodic cell",
            given=where,
            allowed="three cell vectors in every frame",
            remedy="write the cell with the trajectory (Lattice=... in extxyz)",
        )


def _first_other(symbols: NDArray[np.str_], species: NDArray[np.str_]) -> str:
    """Say which atom is the first of another element, where the numbers agree."""
    if len(symbols) != len(species):
        return ""
    atom = int(np.argmax(symbols != species))
    return f"; atom {atom} is {symbols[atom]}, was {species[atom]}"


def _formula(symbols: NDArray[np.str_]) -> str:
    names, counts = np.unique(symbols, return_counts=True)
    return " ".join(f"{name}{count}" for name, count in zip(names, counts, strict=True))


def _named(frames: Iterator[Frame], path: Path) -> Iterator[Frame]:
    """Pass on `frames`; what a reader cannot make sense of becomes an error with the path."""
    n_read = 0
    while True:
        try:
            frame = next(frames)
        except StopIteration:  # the end
            return
        except HaloflowError:
            raise
        except Exception as error:  # a reader of ASE may raise anything
            raise InputError(
                "the trajectory cannot be read",
                given=f"{path.name} after {n_read} frames ({type(error).__name__}: {error})",
                allowed=_ALLOWED,
                remedy="check that the file is whole and named as ASE expects",
            ) from error
        n_read += 1
        yield frame


def _frames_of(path: Path, types: tuple[str, ...]) -> Callable[[], Iterator[Frame]]:
    from ase.io.formats import (  # noqa: PLC0415  (slow to import)
        UnknownFileTypeError,
        filetype,
        ioformats,
    )

    try:
        kind = filetype(str(path))
    except UnknownFileTypeError:
        kind = ""
    if kind not in ioformats or not ioformats[kind].can_read:
        raise InputError(
            "the format of the trajectory is not known",
            given=path.name,
            allowed=_ALLOWED,
            remedy="name the file by its format, e.g. md.extxyz",
        )
    if kind == "vasp-xdatcar":
        return lambda: _xdatcar(path)
    if kind == "lammps-dump-text":
        return lambda: _dump(path, types)
    return lambda: _by_ase(path, kind)


def _tells_unwrapped(path: Path) -> bool:
    """Tell whether a file is a LAMMPS dump of unwrapped coordinates alone."""
    from ase.io.formats import UnknownFileTypeError, filetype  # noqa: PLC0415  (slow to import)

    try:
        if filetype(str(path)) != "lammps-dump-text":
            return False
    except UnknownFileTypeError:  # no dump then
        return False
    with _open(path) as lines:
        columns = _columns(lines)
    return not columns.isdisjoint({"xu", "xsu"}) and columns.isdisjoint({"x", "xs"})


def _columns(lines: IO[str]) -> set[str]:
    """Return the names of the columns of a LAMMPS dump."""
    return next((set(s.split()) for s in lines if s.startswith(_DUMP_ATOMS)), set())


def _by_ase(path: Path, kind: str) -> Iterator[Frame]:
    from ase.io import iread  # noqa: PLC0415  (slow to import)

    return (_frame(atoms) for atoms in iread(path, index=":", format=kind))


def _frame(atoms: Atoms) -> Frame:
    symbols: NDArray[np.str_] = _SYMBOLS[atoms.numbers]
    return symbols, atoms.positions.copy(), np.array(atoms.cell)


def _xdatcar(path: Path) -> Iterator[Frame]:
    """Read an XDATCAR frame by frame; ASE would hold all of them.

    A header stands at the start and, where the cell changes, before every frame.
    """
    with _open(path) as lines:
        head: list[str] = []
        for line in lines:
            if not line.lower().startswith("direct configuration"):
                head.append(line)
                continue
            if head:
                cell, symbols = _header(head)
                head = []
            rows = "".join(islice(lines, len(symbols)))
            fractional = np.array(rows.split(), dtype=np.float64).reshape(len(symbols), -1)[:, :3]
            yield symbols, fractional @ cell, cell


def _header(lines: list[str]) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    scale = float(lines[1])
    cell = np.array([[float(word) for word in line.split()[:3]] for line in lines[2:5]])
    factor = scale if scale > 0 else (-scale / abs(np.linalg.det(cell))) ** (1 / 3)
    symbols = np.repeat(lines[5].split(), [int(word) for word in lines[6].split()])
    return cell * factor, symbols


def _dump(path: Path, types: tuple[str, ...]) -> Iterator[Frame]:
    from ase.io.lammpsrun import iread_lammps_dump_text  # noqa: PLC0415  (slow to import)

    with _open(path) as lines:
        columns = _columns(lines)
        if not types and columns.isdisjoint({"element", "mass"}):
            raise InputError(
                "the LAMMPS dump names no elements",
                given=f"{path.name} with the columns {' '.join(sorted(columns))}",
                allowed="a column 'element' or 'mass', or the elements of the types 1, 2, 3...",
                remedy="pass --types, e.g. --types Na,Ta,O,Cl",
            )
        if strange := [name for name in types if name not in chemical_symbols]:
            raise InputError(
                "an atom type names no element",
                given=", ".join(strange),
                allowed="symbols of elements, one for each type: --types Na,Ta,O,Cl",
            )
        lines.seek(0)
        order = {"specorder": list(types)} if types else {}
        for atoms in iread_lammps_dump_text(lines, index=slice(None), **order):
            yield _frame(atoms)


def _open(path: Path) -> IO[str]:
    from ase.io.formats import open_with_compression  # noqa: PLC0415  (slow to import)

    opened: IO[str] = open_with_compression(str(path), "r")
    return opened
