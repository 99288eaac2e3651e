"""Pairs of atoms and all their periodic images, in cells of any shape: compiled loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from .frames import BoolArray, FloatArray, IntArray

_HALF = 0.5
_ROUNDING = 1e-9
_FIRST_CAPACITY = 4096


@dataclass(frozen=True, slots=True)
class Contacts:
    """Pairs of a first and a second atom closer than a cutoff, images included.

    Attributes
    ----------
    frame, first, second
        Number of the frame and of the two atoms within their sets, shape (n_pairs,), in
        increasing order of frame and first.
    image
        Whole cells, shape (n_pairs, 3), to be added to the position of the second atom.
    distance_a
        A, shape (n_pairs,).
    """

    frame: IntArray
    first: IntArray
    second: IntArray
    image: IntArray
    distance_a: FloatArray

    def where(self, kept: BoolArray) -> Contacts:
        """Return some of the contacts, chosen by a mask (n_pairs,)."""
        return Contacts(
            self.frame[kept],
            self.first[kept],
            self.second[kept],
            self.image[kept],
            self.distance_a[kept],
        )


def to_fractions(frames: FloatArray, boxes: FloatArray) -> FloatArray:
    """Return fractional coordinates, shape (n_frames, n_atoms, 3)."""
    return np.ascontiguousarray(frames @ np.linalg.inv(boxes))


def lattice_shifts(boxes: FloatArray, reach_a: float) -> FloatArray:
    """Return the whole cells to add to a nearest fractional image, zero first, shape (n, 3).

    A vector shorter than half the smallest distance between opposite faces has fractions
    below one half, so it is the only image in reach and no shift but zero is needed.

    Parameters
    ----------
    boxes
        Row vectors, A, shape (n_frames, 3, 3).
    reach_a
        Longest distance wanted, A.
    """
    fractions = reach_a * np.linalg.norm(np.linalg.inv(boxes), axis=1).max(axis=0)
    number = np.floor(fractions + _HALF + _ROUNDING).astype(np.int64)
    number[fractions < _HALF - _ROUNDING] = 0
    axes = [np.arange(-n, n + 1) for n in number]
    shifts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    order = np.argsort(np.abs(shifts).sum(axis=1), kind="stable")
    return shifts[order].astype(np.float64)


def distance_counts(
    fractions: FloatArray, boxes: FloatArray, starts: IntArray, reach_a: float, n_bins: int
) -> IntArray:
    """Count the pairs of each two species in shells of distance, each pair once.

    Parameters
    ----------
    fractions
        Atoms in the order of their species, shape (n_frames, n_atoms, 3).
    boxes
        Row vectors, A, shape (n_frames, 3, 3).
    starts
        First atom of each species and the number of atoms, shape (n_species + 1,).
    reach_a, n_bins
        End of the last shell, A, and number of shells.

    Returns
    -------
    IntArray
        Shape (n_species, n_species, n_bins); only [a, b] with a <= b is filled.
    """
    shifts = lattice_shifts(boxes, reach_a)
    longest = np.linalg.norm(boxes, axis=2)
    farthest = ((_HALF + np.abs(shifts).max(axis=0)) * longest).sum(axis=1).max()
    n_all = int(farthest / reach_a * n_bins) + 2
    n_species = len(starts) - 1
    counts = np.zeros((n_species, n_species, max(n_all, n_bins)), dtype=np.int64)
    _count_distances(fractions, boxes, starts, shifts, n_bins / reach_a, counts)
    own = np.linalg.norm(shifts[1:] @ boxes, axis=2).ravel()
    images = np.bincount((own[own < reach_a] * n_bins / reach_a).astype(np.int64))
    for species, number in enumerate(np.diff(starts)):
        counts[species, species, : len(images)] += images * number // 2
    return counts[..., :n_bins]


def contacts_within(
    first: FloatArray, second: FloatArray | None, boxes: FloatArray, cutoff_a: float
) -> Contacts:
    """Return all contacts between two sets of atoms, or within one.

    Parameters
    ----------
    first, second
        Fractional coordinates, shapes (n_frames, n_first, 3) and (n_frames, n_second, 3);
        ``None`` pairs the first set with itself, each pair once.
    boxes
        Row vectors, A, shape (n_frames, 3, 3).
    cutoff_a
        Longest distance, A.
    """
    shifts = lattice_shifts(boxes, cutoff_a)
    others = first if second is None else second
    capacity = max(_FIRST_CAPACITY, 8 * len(first) * first.shape[1])
    while True:
        whole = np.empty((capacity, 6), dtype=np.int64)
        squares = np.empty(capacity)
        found = _find_contacts(
            first, others, boxes, shifts, float(cutoff_a) ** 2, second is None, whole, squares
        )
        if found <= capacity:
            break
        capacity = found
    whole = whole[:found]
    return Contacts(
        frame=whole[:, 0],
        first=whole[:, 1],
        second=whole[:, 2],
        image=whole[:, 3:],
        distance_a=np.sqrt(squares[:found]),
    )


@numba.njit(cache=True, error_model="numpy")
def _count_distances(  # noqa: PLR0917  (compiled code takes arguments by position)
    fractions: FloatArray,
    boxes: FloatArray,
    starts: IntArray,
    shifts: FloatArray,
    shells_per_a: float,
    counts: IntArray,
) -> None:
    n_atoms = fractions.shape[1]
    n_species = len(starts) - 1
    shell = np.empty(n_atoms, np.int32)
    for frame in range(len(fractions)):
        x = fractions[frame, :, 0].copy()
        y = fractions[frame, :, 1].copy()
        z = fractions[frame, :, 2].copy()
        box = boxes[frame].copy()
        for shift in shifts:
            s, t, r = shift
            for a in range(n_species):
                for i in range(starts[a], starts[a + 1]):
                    for j in range(i + 1, n_atoms):
                        u, v, w = x[j] - x[i], y[j] - y[i], z[j] - z[i]
                        u += s - np.rint(u)
                        v += t - np.rint(v)
                        w += r - np.rint(w)
                        dx = u * box[0, 0] + v * box[1, 0] + w * box[2, 0]
                        dy = u * box[0, 1] + v * box[1, 1] + w * box[2, 1]
                        dz = u * box[0, 2] + v * box[1, 2] + w * box[2, 2]
                        shell[j] = np.int32(np.sqrt(dx * dx + dy * dy + dz * dz) * shells_per_a)
                    for b in range(a, n_species):
                        row = counts[a, b]
                        for j in range(max(i + 1, starts[b]), starts[b + 1]):
                            row[shell[j]] += 1


@numba.njit(cache=True, error_model="numpy")
def _find_contacts(  # noqa: PLR0917  (compiled code takes arguments by position)
    first: FloatArray,
    second: FloatArray,
    boxes: FloatArray,
    shifts: FloatArray,
    square: float,
    same: bool,  # noqa: FBT001  (numba compiles positional arguments)
    whole: IntArray,
    squares: FloatArray,
) -> int:
    n_second = second.shape[1]
    apart = np.empty(n_second)
    found = 0
    for frame in range(len(first)):
        x = second[frame, :, 0].copy()
        y = second[frame, :, 1].copy()
        z = second[frame, :, 2].copy()
        box = boxes[frame].copy()
        for i in range(first.shape[1]):
            a, b, c = first[frame, i]
            start = i if same else 0
            for shift in shifts:
                s, t, r = shift
                for j in range(start, n_second):
                    u, v, w = x[j] - a, y[j] - b, z[j] - c
                    u += s - np.rint(u)
                    v += t - np.rint(v)
                    w += r - np.rint(w)
                    dx = u * box[0, 0] + v * box[1, 0] + w * box[2, 0]
                    dy = u * box[0, 1] + v * box[1, 1] + w * box[2, 1]
                    dz = u * box[0, 2] + v * box[1, 2] + w * box[2, 2]
                    apart[j] = dx * dx + dy * dy + dz * dz
                for j in range(start, n_second):
                    if apart[j] > square:
                        continue
                    if same and i == j and (s, t, r) <= (0.0, 0.0, 0.0):
                        continue
                    if found < len(whole):
                        whole[found, 0] = frame
                        whole[found, 1] = i
                        whole[found, 2] = j
                        whole[found, 3] = np.int64(s - np.rint(x[j] - a))
                        whole[found, 4] = np.int64(t - np.rint(y[j] - b))
                        whole[found, 5] = np.int64(r - np.rint(z[j] - c))
                        squares[found] = apart[j]
                    found += 1
    return found
