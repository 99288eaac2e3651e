"""Frames of a trajectory, as a store gives them and a client of its API gets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Frames:
    """Frames of a trajectory.

    Attributes
    ----------
    species
        Element symbols, (n_atoms,).
    frames
        Their numbers in the trajectory, (n,).
    times_ps
        (n,).
    positions_a
        (n, n_atoms, 3); of the API to 0.001 A.
    cells_a
        (n, 3, 3), rows are cell vectors.
    """

    species: list[str]
    frames: NDArray[np.int64]
    times_ps: NDArray[np.float64]
    positions_a: NDArray[np.float64]
    cells_a: NDArray[np.float64]
