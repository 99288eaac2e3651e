r"""Mean cross-displacements: how the motions of all pairs of species go together.

For species a and b with summed displacements :math:`S_a = \sum_{i \in a} \Delta r_i` the mean
cross-displacement is :math:`\langle S_a(t) \cdot S_b(t)\rangle`. It depends on the frame of
reference; here that is the barycentre, where :math:`\sum_b m_b \langle S_a \cdot S_b\rangle = 0`.
In the frame of the framework the curves of its own species would cancel by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .msd import cross_displacements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .frames import FloatArray, IntArray

N_BLOCKS = 10
_MIN_BLOCKS = 2


@dataclass(frozen=True, slots=True)
class CrossDisplacements:
    """Mean cross-displacements of all pairs of species.

    Attributes
    ----------
    species
        Their names.
    counts
        Atoms of each, shape (n_species,).
    lag_ps
        Shape (n_lags,).
    total_a2
        <S_a . S_b>, not divided by any number, A2, shape (n_lags, n_species, n_species).
        The diagonal holds the self terms too.
    sd_a2
        Standard error from blocks of the run, same shape; NaN where a lag is longer than a
        block.
    n_blocks
        How many.
    """

    species: tuple[str, ...]
    counts: IntArray
    lag_ps: FloatArray
    total_a2: FloatArray
    sd_a2: FloatArray
    n_blocks: int

    def pair(
        self,
        first: str,
        second: str,
        *,
        per: float = 1.0,
        self_msd_a2: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the curve of one pair and its standard error, A2, shapes (n_lags,).

        Parameters
        ----------
        first, second
            Species.
        per
            The curve is divided by it: the number of formula units gives it per formula
            unit; four times that for M-Cl in NaMOCl4 is the scale of Wei, Binci and Ceder.
        self_msd_a2
            Mean squared displacement of single ions of `first` at the same lags, which is
            taken off (times their number) where both species are the same: what is left
            are distinct ions.
        """
        a, b = (self._index(name) for name in (first, second))
        curve = self.total_a2[:, a, b]
        if first == second and self_msd_a2 is not None:
            curve = curve - self.counts[a] * self_msd_a2
        return curve / per, self.sd_a2[:, a, b] / per

    def _index(self, name: str) -> int:
        if name not in self.species:
            raise AnalysisError(
                "a species does not occur in the structure",
                given=name,
                allowed=list(self.species),
            )
        return self.species.index(name)


def barycentric(
    sums_a: Mapping[str, FloatArray],
    counts: Mapping[str, int],
    masses_da: Mapping[str, float] | None = None,
) -> dict[str, FloatArray]:
    """Return summed displacements relative to the motion of the centre of mass.

    Parameters
    ----------
    sums_a
        Species to the sum of the displacements of its atoms, A, shape (n_frames, 3), all in
        one frame of reference.
    counts
        Species to its number of atoms.
    masses_da
        Species to the mass of an atom; default: the standard atomic weights.

    Raises
    ------
    AnalysisError
        If the species of the arguments differ.
    """
    from ase.data import atomic_masses, atomic_numbers  # noqa: PLC0415  (only needed here)

    masses = masses_da or {name: float(atomic_masses[atomic_numbers[name]]) for name in sums_a}
    if not set(sums_a) == set(counts) == set(masses):
        raise AnalysisError(
            "sums, counts and masses are of different species",
            given=f"{sorted(sums_a)}, {sorted(counts)}, {sorted(masses)}",
        )
    weight = sum(masses[name] * counts[name] for name in sums_a)
    centre = np.sum([masses[name] * sums_a[name] for name in sums_a], axis=0) / weight
    return {name: sums_a[name] - counts[name] * centre for name in sums_a}


def mean_cross_displacements(
    sums_a: Mapping[str, FloatArray],
    counts: Mapping[str, int],
    *,
    frame_ps: float,
    masses_da: Mapping[str, float] | None = None,
    n_blocks: int = N_BLOCKS,
) -> CrossDisplacements:
    """Return <S_a . S_b> of all pairs of species at all lags, in the barycentric frame.

    Parameters
    ----------
    sums_a, counts, masses_da
        As in :func:`barycentric`.
    frame_ps
        Time between frames, ps.
    n_blocks
        Contiguous blocks for the error.

    Raises
    ------
    AnalysisError
        For species that differ, times that are not positive or fewer than two frames in a
        block.
    """
    names, signals = barycentric_signals(sums_a, counts, masses_da, frame_ps, n_blocks)
    total = products_by_lag(signals)
    parts = np.stack([products_by_lag(block) for block in blocks_of(signals, n_blocks)])
    sd = np.full_like(total, np.nan)
    sd[: parts.shape[1]] = parts.std(axis=0, ddof=1) / np.sqrt(n_blocks)
    return CrossDisplacements(
        species=names,
        counts=np.array([counts[name] for name in names], dtype=np.int64),
        lag_ps=frame_ps * np.arange(len(signals), dtype=np.float64),
        total_a2=total,
        sd_a2=sd,
        n_blocks=n_blocks,
    )


def barycentric_signals(
    sums_a: Mapping[str, FloatArray],
    counts: Mapping[str, int],
    masses_da: Mapping[str, float] | None,
    frame_ps: float,
    n_blocks: int,
) -> tuple[tuple[str, ...], FloatArray]:
    """Return species and their barycentric sums, A, shape (n_frames, n_species, 3).

    Raises an :class:`AnalysisError` for times that are not positive, species that differ or
    fewer than two frames in a block.
    """
    if not frame_ps > 0:
        raise AnalysisError("frame_ps must be positive", given=frame_ps, allowed="a number above 0")
    moved = barycentric(sums_a, counts, masses_da)
    names = tuple(moved)
    signals = np.stack([moved[name] for name in names], axis=1)
    if n_blocks < _MIN_BLOCKS or len(signals) < 2 * n_blocks:
        raise AnalysisError(
            "too few frames for the blocks that give the error",
            given=f"{len(signals)} frames in {n_blocks} blocks",
            allowed="two blocks or more of at least two frames",
            remedy="run longer, or ask for fewer blocks",
        )
    return names, signals


def blocks_of(signals: FloatArray, n_blocks: int) -> list[FloatArray]:
    """Return contiguous blocks of frames; a remainder at the end is left out."""
    length = len(signals) // n_blocks
    return [signals[i * length : (i + 1) * length] for i in range(n_blocks)]


def products_by_lag(signals: FloatArray) -> FloatArray:
    """Return <S_a . S_b> by lag: axes are the groups that are summed over."""
    return cross_displacements(np.swapaxes(signals, 1, 2))
