"""Labelled frames of a salt at a pair potential, as few as a training can do with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.build import bulk
from pair_potential import Pair

from haloflow.engines.labels import label_frames, write_labelled
from haloflow.engines.nep_settings import NepSettings

if TYPE_CHECKING:
    from pathlib import Path

TINY = {
    "cutoff_radial_a": 5.0, "cutoff_angular_a": 4.0, "n_max": (3, 2), "basis_size": (4, 4),
    "l_max": (2, 0, 0), "neurons": 6, "batch": 4,
}  # fmt: skip
ELEMENTS = ("Cl", "Na")


def tiny_settings(**more) -> NepSettings:
    return NepSettings(**{**TINY, **more})


def rattled_salt(n: int, seed: int, spread_a: float = 0.15, trajectory: str = "salt"):
    """Return rattled cubes of eight atoms at several volumes, without labels."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = bulk("NaCl", "rocksalt", a=5.6 * rng.uniform(0.96, 1.05), cubic=True)
        atoms.positions += rng.normal(scale=spread_a, size=atoms.positions.shape)
        atoms.info = {"trajectory": trajectory, "temperature_k": 300.0}
        frames.append(atoms)
    return frames


def write_tiny_sets(folder: Path, n: int = 24) -> tuple[Path, Path]:
    """Write training and validation frames and return their paths."""
    for name, count, seed in (("train", n, 1), ("validation", 6, 2)):
        frames = label_frames(rattled_salt(count, seed), Pair(), folder / name, signature="pair")
        write_labelled(folder / f"{name}.xyz", frames)
    return folder / "train.xyz", folder / "validation.xyz"
