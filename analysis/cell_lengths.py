"""Cell lengths of the repeated cell over a run at constant pressure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .blocks import mean_quantity
from .frames import as_frames

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..quantity import Quantity


@dataclass(frozen=True, slots=True)
class CellLengths:
    """Time averages of a cell, each with its error.

    Attributes
    ----------
    lengths_a
        a, b and c of the cell that `repeats` multiply, A.
    angles_deg
        alpha, beta and gamma, degrees.
    volume_a3
        Volume of that cell, A3.
    """

    lengths_a: tuple[Quantity, Quantity, Quantity]
    angles_deg: tuple[Quantity, Quantity, Quantity]
    volume_a3: Quantity


def cell_lengths(cells: ArrayLike, repeats: tuple[int, int, int] = (1, 1, 1)) -> CellLengths:
    """Average the cell lengths of a trajectory.

    Parameters
    ----------
    cells
        Row vectors, A, shape (n_frames, 3, 3).
    repeats
        Repeats of the crystal's cell along each vector; lengths are divided by them.

    Raises
    ------
    AnalysisError
        For cells that are not finite or have no volume, or repeats below 1.
    """
    if min(repeats) < 1:
        raise AnalysisError("repeats of a cell must be positive", given=repeats, allowed="1, 2 ...")
    boxes = np.atleast_3d(np.asarray(cells, dtype=np.float64))
    _, boxes = as_frames(np.zeros((len(boxes), 1, 3)), boxes)
    vectors = boxes / np.asarray(repeats, dtype=np.float64)[:, None]
    length = np.linalg.norm(vectors, axis=2)
    following, last = vectors[:, [1, 2, 0]], vectors[:, [2, 0, 1]]
    cosine = np.einsum("fki,fki->fk", following, last) / (
        length[:, [1, 2, 0]] * length[:, [2, 0, 1]]
    )
    angle = np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0)))
    a, b, c = (mean_quantity(length[:, k]) for k in range(3))
    alpha, beta, gamma = (mean_quantity(angle[:, k]) for k in range(3))
    volume = mean_quantity(np.abs(np.linalg.det(vectors)))
    return CellLengths((a, b, c), (alpha, beta, gamma), volume)
