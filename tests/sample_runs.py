"""MD runs as their step leaves them: a trajectory in the store and its document."""

from __future__ import annotations

import sample_documents
from pymatgen.core import Lattice, Structure

from haloflow.engines.trajectory import TrajectoryReader
from haloflow.identity import content_hash
from haloflow.makers.step import step_directory
from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import FileReference, MDDocument


def run_of(workshop, temperature_k, frames, *, level="chgnet-r2scan-d3", status=Status.OK):
    """Place a trajectory where the MD step would, and return that step's document."""
    identity = content_hash([temperature_k, frames.species.tolist(), len(frames.positions)])
    files_dir = workshop.store.files_dir
    folder = step_directory(files_dir, identity) / "production" / "trajectory"
    frames.store(folder, chunk_frames=1000)
    files = [
        FileReference(
            path=chunk.path.relative_to(files_dir).as_posix(),
            sha256=chunk.sha256,
            n_bytes=chunk.n_bytes,
            role="trajectory-production",
        )
        for chunk in TrajectoryReader(folder).files
    ]
    last = Structure(
        Lattice(frames.cells[-1]),
        frames.species.tolist(),
        frames.positions[-1],
        coords_are_cartesian=True,
    )
    return MDDocument(
        identity=identity,
        status=status,
        provenance=sample_documents.provenance(level),
        files=files,
        level=level,
        ensemble="nvt",
        temperature_k=temperature_k,
        timestep_fs=2.0,
        n_steps=len(frames.positions) * 50,
        n_steps_target=len(frames.positions) * 50,
        seed=1,
        density_g_cm3=Quantity(float(last.density)),
        trajectory_interval_steps=50,
        structure=last,
    )
