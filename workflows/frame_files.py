"""Frames of stored trajectories as files of other formats: unwrapped, with times and energies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..units import FS_PER_PS

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms

    from ..engines.trajectory import TrajectoryReader

_PART: Final = ".part"
_FRAMES_AT_ONCE: Final = 100


def write_frames(reader: TrajectoryReader, place: Path, kind: str, stride: int) -> None:
    """Write every `stride`-th frame to a file, some in memory at a time; whole or not at all.

    Parameters
    ----------
    reader
        Of the trajectory.
    place
        The file.
    kind
        ``extxyz`` or ``traj``.
    stride
        From 1.
    """
    from ase.io import Trajectory, write  # noqa: PLC0415  (slow to import)

    part = place.with_name(f".{place.name}{_PART}")
    part.unlink(missing_ok=True)
    with part.open("w") if kind == "extxyz" else Trajectory(str(part), "w") as out:
        for start in range(0, reader.n_frames, _FRAMES_AT_ONCE * stride):
            for atoms in _atoms(reader, start, start + _FRAMES_AT_ONCE * stride, stride):
                if kind == "extxyz":
                    write(out, atoms, format="extxyz")
                else:
                    out.write(atoms)
    part.replace(place)


def _atoms(reader: TrajectoryReader, start: int, stop: int, stride: int) -> list[Atoms]:
    from ase import Atoms  # noqa: PLC0415  (slow to import)

    thermo = reader.thermo(start, stop, stride)
    positions, cells = reader.positions(start, stop, stride), reader.cells(start, stop, stride)
    return [
        Atoms(
            numbers=reader.numbers,
            positions=frame,
            cell=cell,
            pbc=True,
            info={
                "time_ps": float(thermo["time_fs"][row]) / FS_PER_PS,
                "temperature_k": float(thermo["temperature_k"][row]),
                "energy_ev": float(thermo["energy_ev"][row]),
            },
        )
        for row, (frame, cell) in enumerate(zip(positions, cells, strict=True))
    ]
