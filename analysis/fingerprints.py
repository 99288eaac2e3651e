"""Which frames are worth a label: decorrelated along a run, different from each other.

A frame's fingerprint counts, for each pair of elements, the partners of an atom at each distance,
smeared; it does not depend on the order of atoms, on images or on rotations.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .blocks import series_mean
from .frames import as_frames, as_species
from .neighbours import pairs_within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .frames import FloatArray, IntArray

CUTOFF_A = 6.0
_FIRST_A = 0.8
_BINS = 14
_WIDTH_A = 0.3


def frame_fingerprint(
    positions: ArrayLike, cell: ArrayLike, species: Sequence[str], elements: Sequence[str]
) -> FloatArray:
    """Return the smeared counts of partners, per atom of the frame.

    Parameters
    ----------
    positions, cell
        One frame, A, shapes (n_atoms, 3) and (3, 3).
    species
        Chemical symbols of the atoms.
    elements
        Those that fingerprints to be compared are made for, a superset of `species`.

    Returns
    -------
    FloatArray
        Shape (n_pairs * 14,): each pair of `elements`, at 0.8 to 6 A.

    Raises
    ------
    AnalysisError
        If an atom is of another element, or the shapes do not fit.
    """
    frames, cells = as_frames(positions, cell)
    symbols = as_species(species, frames.shape[1])
    if strange := sorted(set(symbols.tolist()) - set(elements)):
        raise AnalysisError(
            "a frame holds an element that its fingerprint is not made for",
            given=strange,
            allowed=list(elements),
            remedy="name the elements of all frames",
        )
    number = {symbol: index for index, symbol in enumerate(elements)}
    kinds = np.array([number[symbol] for symbol in symbols.tolist()])
    row_of = np.zeros((len(elements), len(elements)), dtype=np.int64)
    every = list(combinations_with_replacement(range(len(elements)), 2))
    for row, (i, j) in enumerate(every):
        row_of[i, j] = row_of[j, i] = row
    pairs = pairs_within(frames[0], cells[0], CUTOFF_A)
    centres = np.linspace(_FIRST_A, CUTOFF_A, _BINS)
    smeared = np.exp(-0.5 * ((pairs.distance_a[:, None] - centres) / _WIDTH_A) ** 2)
    counts = np.zeros((len(every), _BINS))
    np.add.at(counts, row_of[kinds[pairs.first], kinds[pairs.second]], smeared)
    fingerprint: FloatArray = counts.ravel() / len(symbols)
    return fingerprint


def decorrelation_stride(energies_ev: ArrayLike) -> int:
    """Return the frames between two that count as independent, from the energies of a run.

    The statistical inefficiency of what is left of the energies when their linear trend, that of
    a ramp, is taken away; at least 1, at most the number of frames.

    Raises
    ------
    AnalysisError
        For fewer than two frames, or energies that are not finite.
    """
    energies = np.asarray(energies_ev, dtype=np.float64)
    times = np.arange(len(energies), dtype=np.float64)
    if len(energies) > 2 and np.isfinite(energies).all():  # noqa: PLR2004  (a line and something left)
        energies = energies - np.polyval(np.polyfit(times, energies, 1), times)
    inefficiency = series_mean(energies).inefficiency
    return min(max(1, int(np.ceil(inefficiency))), len(energies))


def farthest_points(
    fingerprints: ArrayLike,
    most: int,
    *,
    least_distance: float = 0.0,
    known: ArrayLike | None = None,
) -> IntArray:
    """Choose frames, each the farthest from all that were chosen before.

    Parameters
    ----------
    fingerprints
        Shape (n_frames, n_features).
    most
        Number of frames to choose at most.
    least_distance
        The choice ends where no frame is as far as this from the chosen ones: the rest are
        duplicates.
    known
        Fingerprints of frames chosen earlier, shape (n_known, n_features).

    Returns
    -------
    IntArray
        Indices in the order of choice; the first is frame 0 where nothing is known.
    """
    points = np.atleast_2d(np.asarray(fingerprints, dtype=np.float64))
    away = np.full(len(points), np.inf)
    for row in () if known is None else np.asarray(known, dtype=np.float64):
        np.minimum(away, np.linalg.norm(points - row, axis=1), out=away)
    chosen: list[int] = []
    while len(chosen) < min(most, len(points)):
        index = int(np.argmax(away))
        if chosen and away[index] == 0.0:
            break
        if away[index] < least_distance:
            break
        chosen.append(index)
        np.minimum(away, np.linalg.norm(points - points[index], axis=1), out=away)
    return np.array(chosen, dtype=np.int64)
