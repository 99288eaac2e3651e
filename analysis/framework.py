"""Whether a framework still stands: the numbers behind the guards of a running simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .displacement import remove_drift
from .evidence import Evidence
from .frames import as_frames, as_mask
from .neighbours import nearest_distance_a

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def framework_melted(
    start: tuple[ArrayLike, ArrayLike],
    now: tuple[ArrayLike, ArrayLike],
    framework: ArrayLike,
) -> Evidence:
    """Judge whether framework atoms have left their places since the start of a run.

    It holds when the mean squared displacement of the framework, its drift removed, exceeds
    the square of the mean distance of its atoms from each other at the start: chains that
    slide by less than a repeat, or polyhedra that turn, have not melted.

    Parameters
    ----------
    start, now
        Unwrapped positions (n_atoms, 3) and cell (3, 3), A, at the start and now.
    framework
        Boolean mask (n_atoms,).
    """
    frames, boxes = as_frames(
        np.stack([np.asarray(start[0]), np.asarray(now[0])]),
        np.stack([np.asarray(start[1]), np.asarray(now[1])]),
    )
    mask = as_mask(framework, frames.shape[1], "framework")
    fractional = np.einsum("fai,fij->faj", frames, np.linalg.inv(boxes))
    moved = (fractional[1] - fractional[0]) @ boxes[1]
    relative = remove_drift(moved[None], mask)[0, mask]
    msd = float(np.einsum("ai,ai->a", relative, relative).mean())
    nearest = float(nearest_distance_a(frames[0], boxes[0], mask, mask).mean())
    return Evidence(
        holds=msd > nearest**2,
        criterion="MSD of the framework beyond the square of the distance between its atoms",
        numbers={"msd_a2": msd, "nearest_neighbour_a": nearest},
    )
