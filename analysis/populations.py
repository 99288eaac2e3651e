"""Shares of things that are counted in frames, with block errors and cut-off sensitivity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..quantity import Quantity
from .blocks import block_quantity, certain_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .frames import FloatArray, IntArray

SHIFTS = (0.0, -1.0, 1.0)
"""Cut-offs at which everything is counted: as given, shorter, longer."""


@dataclass(frozen=True, slots=True)
class Population:
    """How often something occurs.

    Attributes
    ----------
    label
        What was counted.
    value
        Count over what it refers to, with the error of block means.
    at_shorter, at_longer
        The same with all cut-offs shorter, or longer, by the shift of the analysis.
    """

    label: str
    value: Quantity
    at_shorter: float
    at_longer: float

    @property
    def sensitivity(self) -> float:
        """Largest change of the value when the cut-offs are shifted."""
        mean = self.value.value or 0.0
        return max(abs(self.at_shorter - mean), abs(self.at_longer - mean))


class Tally:
    """Counts of coded things at each cut-off in contiguous blocks of frames.

    Parameters
    ----------
    block_of_frame
        Number of the block of each frame of the trajectory, shape (n_frames,).
    """

    def __init__(self, block_of_frame: IntArray) -> None:
        self.n_blocks = int(block_of_frame[-1]) + 1
        self.n_frames = len(block_of_frame)
        self.counts: dict[int, FloatArray] = {}
        self._block_of_frame = block_of_frame

    def add(
        self, shift: int, frame: IntArray, code: IntArray, weight: FloatArray | None = None
    ) -> None:
        """Count codes, shape (n,), seen in frames of the trajectory at one cut-off."""
        codes, number = np.unique(code, return_inverse=True)
        place = number * self.n_blocks + self._block_of_frame[frame]
        counted = np.bincount(place, weights=weight, minlength=len(codes) * self.n_blocks)
        for row, name in zip(counted.reshape(-1, self.n_blocks), codes.tolist(), strict=True):
            if name not in self.counts:
                self.counts[name] = np.zeros((len(SHIFTS), self.n_blocks))
            self.counts[name][shift] += row

    def of(self, code: int) -> FloatArray:
        """Return the counts of one code, shape (n_shifts, n_blocks)."""
        return self.counts.get(code, np.zeros((len(SHIFTS), self.n_blocks)))


def population(
    label: str, counts: FloatArray, totals: FloatArray, *, n_frames: int, most: float = np.inf
) -> Population:
    """Return counts over totals, both of shape (n_shifts, n_blocks).

    The error is that of the ratio in blocks; a block whose total is 0 tells nothing. What
    was seen never or always is known as well as from one frame: time brings no new things.

    Parameters
    ----------
    label
        What was counted.
    counts, totals
        Sums in each block, at the cut-offs of :data:`SHIFTS`.
    n_frames
        Of the trajectory.
    most
        Largest possible value, 1 for a share.
    """
    whole = totals.sum(axis=1)
    values = np.divide(counts.sum(axis=1), whole, out=np.zeros(len(whole)), where=whole > 0)
    seen = totals[0] > 0
    ratios = counts[0][seen] / totals[0][seen]
    value = Quantity(float(values[0]), note="nothing to refer to")
    if most == 1.0 and len(ratios) and set(ratios.tolist()) in ({0.0}, {1.0}):
        value = certain_share(float(ratios[0]), float(whole[0]) / n_frames)
    elif len(ratios):
        blocks = block_quantity(ratios, len(ratios), least=0.0, most=most)
        value = Quantity(float(values[0]), blocks.sd, blocks.lower, blocks.upper, note=blocks.note)
    return Population(label, value, float(values[1]), float(values[2]))


def ranked(
    labels: Mapping[str, FloatArray], totals: FloatArray, n_frames: int
) -> tuple[Population, ...]:
    """Return the shares of several things, the most frequent first."""
    rows = [
        population(label, counts, totals, n_frames=n_frames, most=1.0)
        for label, counts in labels.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-(row.value.value or 0.0), row.label)))
