"""How frames lie on disk: chunk files (HDF5) and the index that lists and checksums them."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import h5py

from ..errors import TrajectoryError
from .durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

FORMAT: Final = 1
INDEX_NAME: Final = "index.json"
THERMO: Final = (
    "step",
    "time_fs",
    "temperature_k",
    "target_temperature_k",
    "energy_ev",
    "kinetic_energy_ev",
    "conserved_energy_ev",
    "volume_a3",
    "pressure_gpa",
)


@dataclass(frozen=True)
class TrajectoryFile:
    """One chunk file of a trajectory.

    Attributes
    ----------
    path
        Where it lies.
    sha256
        Checksum of the whole file.
    n_bytes, n_frames
        Its size and the number of frames in it.
    """

    path: Path
    sha256: str
    n_bytes: int
    n_frames: int


@dataclass(frozen=True)
class Frames:
    """Some consecutive frames in memory.

    Attributes
    ----------
    positions_a
        (n_frames, n_atoms, 3) float32, unwrapped.
    cells_a
        (n_frames, 3, 3), rows are cell vectors.
    thermo
        (n_frames, number of thermo columns).
    """

    positions_a: NDArray[np.float32]
    cells_a: NDArray[np.float64]
    thermo: NDArray[np.float64]


def pack_chunk(numbers: NDArray[np.int64], frames: Frames) -> bytes:
    """Return the bytes of a chunk file; equal frames give equal bytes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["haloflow_trajectory"] = FORMAT
        file["numbers"] = numbers
        file.create_dataset(
            "positions_a",
            data=frames.positions_a,
            chunks=(min(len(frames.positions_a), 16), len(numbers), 3),
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )
        file["cells_a"] = frames.cells_a
        file["thermo"] = frames.thermo
        file["thermo"].attrs["columns"] = THERMO
    return buffer.getvalue()


def check_chunk(chunk: TrajectoryFile) -> bytes:
    """Return what is in a chunk file.

    Raises
    ------
    TrajectoryError
        If it is missing or damaged.
    """
    if not chunk.path.is_file():
        raise TrajectoryError(
            "a trajectory file is missing",
            given=str(chunk.path),
            remedy="restore it from a backup; or run the sweep again, which makes it anew",
        )
    data = chunk.path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != chunk.sha256:
        raise TrajectoryError(
            "the checksum of a trajectory file does not match its content",
            given=f"{chunk.path} with sha256 {found} and {len(data)} bytes",
            allowed=f"sha256 {chunk.sha256} and {chunk.n_bytes} bytes",
            remedy="restore it from a backup; or run the sweep again, which makes it anew",
        )
    return data


def open_chunk(chunk: TrajectoryFile) -> h5py.File:
    """Read a chunk file, check it, and return it opened.

    Raises
    ------
    TrajectoryError
        If it is missing, damaged, or of another format.
    """
    file = h5py.File(io.BytesIO(check_chunk(chunk)), "r")
    if file.attrs.get("haloflow_trajectory") != FORMAT:
        raise TrajectoryError(
            "a trajectory file has another format",
            given=f"{chunk.path}, format {file.attrs.get('haloflow_trajectory')}",
            allowed=f"format {FORMAT}",
            remedy="read it with the version of haloflow that wrote it",
        )
    return file


def read_index(directory: Path) -> tuple[str, list[TrajectoryFile]]:
    """Return the signature of the run and the chunk files listed in `directory`.

    Raises
    ------
    TrajectoryError
        If there is no index or it cannot be read.
    """
    path = directory / INDEX_NAME
    if not path.is_file():
        raise TrajectoryError(
            "there is no trajectory here",
            given=str(directory),
            allowed=f"a directory with an {INDEX_NAME}",
            remedy="name the directory of a run that has stored at least one chunk",
        )
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        chunks = [
            TrajectoryFile(directory / row["file"], row["sha256"], row["n_bytes"], row["n_frames"])
            for row in content["chunks"]
        ]
        return str(content["signature"]), chunks
    except (ValueError, KeyError, TypeError) as error:
        raise TrajectoryError(
            "the index of a trajectory cannot be read",
            given=f"{path} ({type(error).__name__}: {error})",
            remedy="delete the run's directory and run again",
        ) from error


def write_index(directory: Path, signature: str, chunks: Sequence[TrajectoryFile]) -> None:
    """Replace the index of `directory` in one step."""
    rows: list[Mapping[str, str | int]] = [
        {
            "file": chunk.path.name,
            "sha256": chunk.sha256,
            "n_bytes": chunk.n_bytes,
            "n_frames": chunk.n_frames,
        }
        for chunk in chunks
    ]
    text = json.dumps({"format": FORMAT, "signature": signature, "chunks": rows}, indent=1)
    write_durably(directory / INDEX_NAME, text.encode())
