"""Trajectories with known answers: a walk of sodium, and a crystal of chains that rattles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from ase import Atoms

from haloflow.engines.trajectory import THERMO, TrajectoryWriter
from haloflow.systems.crystals import crystal_model
from haloflow.systems.phases import get_phase

FRAME_PS = 0.1
D_A2_PS = 0.5


@dataclass(frozen=True)
class Frames:
    """Unwrapped positions (n, n_atoms, 3), cells (n, 3, 3), symbols (n_atoms,)."""

    positions: np.ndarray
    cells: np.ndarray
    species: np.ndarray

    @property
    def wrapped(self):
        fractions = self.positions @ np.linalg.inv(self.cells)
        return (fractions - np.floor(fractions)) @ self.cells

    def images(self, *, wrapped=True):
        """Return ASE's atoms of every frame."""
        positions = self.wrapped if wrapped else self.positions
        return [
            Atoms(self.species, positions=frame, cell=cell, pbc=True)
            for frame, cell in zip(positions, self.cells, strict=True)
        ]

    def store(self, folder, *, step_fs=1000 * FRAME_PS, chunk_frames=400):
        """Write them as the MD runner does; return the chunk files."""
        numbers = np.asarray(Atoms(self.species).numbers, dtype=np.int64)
        writer = TrajectoryWriter(folder, numbers, chunk_frames=chunk_frames, signature="sample")
        for index, (frame, cell) in enumerate(zip(self.positions, self.cells, strict=True)):
            known = {"step": index, "time_fs": index * step_fs, "temperature_k": 600.0}
            writer.append(frame, cell, [known.get(name, 0.0) for name in THERMO])
        writer.close()
        return folder


@cache
def walk(n_frames=2000, n_mobile=32, *, seed=3, breathing=0.0, drift_a=0.0, shared=0.0):
    """Na walks with D = 0.5 A2/ps; Ta, O and Cl rattle by 0.1 A in a triclinic cell.

    Parameters
    ----------
    breathing
        Relative standard deviation of the cell from frame to frame.
    drift_a
        Step of the whole sample along each axis in every frame.
    shared
        Share of the variance of a step that pairs of Na have in common: the collective
        diffusivity is 1 + `shared` times the tracer one.
    """
    rng = np.random.default_rng(seed)
    cell = np.array([[14.0, 0.0, 0.0], [2.0, 13.0, 0.0], [-1.0, 3.0, 15.0]])
    species = np.repeat(["Na", "Ta", "O", "Cl"], [n_mobile, n_mobile, n_mobile, 4 * n_mobile])
    sd = np.sqrt(2.0 * D_A2_PS * FRAME_PS)
    own = rng.normal(0.0, sd, (n_frames, n_mobile, 3))
    common = rng.normal(0.0, sd, (n_frames, n_mobile // 2, 3)).repeat(2, axis=1)
    moved = np.zeros((n_frames, len(species), 3))
    moved[:, :n_mobile] = np.cumsum(np.sqrt(1 - shared) * own + np.sqrt(shared) * common, axis=0)
    moved += rng.normal(0.0, 0.1, moved.shape) * (species != "Na")[:, None]
    moved += drift_a * np.arange(n_frames)[:, None, None]
    scale = 1.0 + breathing * rng.normal(size=n_frames)
    cells = cell * scale[:, None, None]
    start = rng.uniform(0.0, 1.0, (len(species), 3))
    fractions = start + moved @ np.linalg.inv(cell)
    return Frames(fractions @ cells, cells, species)


@cache
def chains(n_frames=150, n_mobile=16, *, seed=5, rattle_a=0.1, hop=0.02):
    """Return crystalline NaTaOCl4 whose atoms rattle and whose Na hop 3.7 A now and then."""
    model = crystal_model(get_phase("NaTaOCl4_Cm"), min_mobile=n_mobile, max_atoms=400)
    species = np.array([site.specie.symbol for site in model])
    rng = np.random.default_rng(seed)
    positions = np.repeat(model.cart_coords[None], n_frames, axis=0)
    mobile = species == "Na"
    steps = rng.normal(size=(n_frames, int(mobile.sum()), 3))
    steps *= 3.7 / np.linalg.norm(steps, axis=2, keepdims=True)
    steps *= rng.random((n_frames, int(mobile.sum()), 1)) < hop
    positions[:, mobile] += np.cumsum(steps, axis=0)
    positions += rng.normal(0.0, rattle_a, positions.shape)
    cells = np.broadcast_to(model.lattice.matrix, (n_frames, 3, 3)).copy()
    return Frames(positions, cells, species)
