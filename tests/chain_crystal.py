"""A crystal of straight chains of octahedra along x, each rolled as told."""

from __future__ import annotations

import numpy as np

REPEAT_A = 3.9
SPACING_A = 8.0
BRIDGE_A = REPEAT_A / 2
TERMINAL_A = 2.4


def chain_crystal(rolls_rad, n_along, n_chains):
    """Return positions (n_frames, n_atoms, 3), cell and species of Ta, O and Cl.

    Parameters
    ----------
    rolls_rad
        Angle of the first Cl from y towards z, shape (n_frames, n_chains * n_along); the
        octahedra of a chain follow each other.
    n_along, n_chains
        Octahedra in each chain, chains side by side along y.
    """
    rolls = np.atleast_2d(rolls_rad)
    number = np.arange(n_along * n_chains)
    centre = np.zeros((len(number), 3))
    centre[:, 0] = REPEAT_A * (number % n_along)
    centre[:, 1] = SPACING_A * (number // n_along)
    centre += [0.3, 0.4, 0.5]
    oxygen = np.broadcast_to(centre + np.array([BRIDGE_A, 0, 0]), (len(rolls), *centre.shape))
    around = rolls[..., None] + np.pi / 2 * np.arange(4)
    chlorine = centre[:, None] + TERMINAL_A * np.stack(
        [np.zeros_like(around), np.cos(around), np.sin(around)], axis=-1
    )
    metal = np.broadcast_to(centre, oxygen.shape)
    positions = np.concatenate([metal, oxygen, chlorine.reshape(len(rolls), -1, 3)], axis=1)
    cell = np.diag([REPEAT_A * n_along, SPACING_A * n_chains, SPACING_A])
    return positions, cell, ["Ta"] * len(number) + ["O"] * len(number) + ["Cl"] * 4 * len(number)
