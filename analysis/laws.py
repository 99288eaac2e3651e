r"""The laws over temperature that are weighed against each other.

All describe ln of a quantity by energies E and :math:`\beta = 1/(k T)`; the first linear
parameter is ln of the prefactor above all breaks, then follow the energies from hot to cold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..units import BOLTZMANN_EV_PER_K
from .profiled import Law

if TYPE_CHECKING:
    from .frames import FloatArray

ARRHENIUS = "arrhenius"
TWO_REGIMES = "two regimes"
TWO_REGIMES_STEP = "two regimes with a step"
THREE_REGIMES = "three regimes"
VOGEL = "vogel-fulcher-tammann"

_PER_END = 3
_PER_MIDDLE = 2
_NODES = 240
_NODES_OF_TWO = 60
_LARGEST_T0_SHARE = 0.95
_MIN_POINTS_OF_VOGEL = 5


def candidate_laws(temperature_k: FloatArray, target_k: float) -> list[Law]:
    """Return the laws that the points can tell apart, the simplest first.

    A regime at an end needs three temperatures, one in the middle two.

    Parameters
    ----------
    temperature_k
        Of the points, increasing, K, shape (n_points,).
    target_k
        Temperature to extrapolate to, K.
    """
    laws = [_hinges(ARRHENIUS, temperature_k, target_k, np.empty((1, 0)), 2)]
    distinct = np.unique(temperature_k)
    if len(distinct) >= 2 * _PER_END:
        first, last = distinct[_PER_END - 1], distinct[-_PER_END]
        one = np.linspace(first, last, _NODES)[:, None]
        laws.append(_hinges(TWO_REGIMES, temperature_k, target_k, one, 4))
        laws.append(_step(temperature_k, target_k, distinct))
    if len(distinct) >= 2 * _PER_END + _PER_MIDDLE:
        two = _pairs_of_breaks(distinct)
        laws.append(_hinges(THREE_REGIMES, temperature_k, target_k, two, 6))
    return laws


def vogel_law(temperature_k: FloatArray, target_k: float) -> Law | None:
    """Return the law of Vogel, Fulcher and Tammann, ln A - B / (k (T - T0)).

    ``None`` with fewer than five temperatures. T0 lies below points and target.
    """
    if len(np.unique(temperature_k)) < _MIN_POINTS_OF_VOGEL:
        return None
    highest = _LARGEST_T0_SHARE * min(float(temperature_k[0]), target_k)
    t0 = np.linspace(0.0, highest, _NODES)[:, None]

    def rows(temperature: FloatArray) -> FloatArray:
        slope = -1.0 / (BOLTZMANN_EV_PER_K * (temperature[None] - t0))
        return np.stack([np.ones_like(slope), slope], axis=-1)

    return Law(VOGEL, t0, rows(temperature_k), rows(np.array([target_k]))[:, 0], 3)


def _hinges(
    name: str, temperature_k: FloatArray, target_k: float, breaks_k: FloatArray, n_parameters: int
) -> Law:
    """Return a continuous law of straight pieces; breaks fall along the last axis."""
    edges = 1.0 / (BOLTZMANN_EV_PER_K * breaks_k)
    starts = np.concatenate([np.full((len(edges), 1), -np.inf), edges], axis=1)
    ends = np.concatenate([edges, np.full((len(edges), 1), np.inf)], axis=1)

    def rows(temperature: FloatArray) -> FloatArray:
        beta = (1.0 / (BOLTZMANN_EV_PER_K * temperature))[None, :, None]
        pieces = np.clip(beta, starts[:, None], ends[:, None])
        pieces[..., 1:] -= edges[:, None]
        return np.concatenate([np.ones_like(pieces[..., :1]), -pieces], axis=-1)

    return Law(name, breaks_k, rows(temperature_k), rows(np.array([target_k]))[:, 0], n_parameters)


def _step(temperature_k: FloatArray, target_k: float, distinct: FloatArray) -> Law:
    """Return two lines that need not meet; the nodes lie amid two neighbouring points."""
    splits = np.arange(_PER_END, len(distinct) - _PER_END + 1)
    breaks = 0.5 * (distinct[splits - 1] + distinct[splits])[:, None]

    def rows(temperature: FloatArray) -> FloatArray:
        hot = (temperature[None] > breaks).astype(np.float64)
        beta = 1.0 / (BOLTZMANN_EV_PER_K * temperature)[None]
        return np.stack([hot, -beta * hot, -beta * (1.0 - hot), 1.0 - hot], axis=-1)

    return Law(TWO_REGIMES_STEP, breaks, rows(temperature_k), rows(np.array([target_k]))[:, 0], 5)


def _pairs_of_breaks(distinct: FloatArray) -> FloatArray:
    """Return (upper, lower) breaks with two points or more from one to the other."""
    grid = np.linspace(distinct[_PER_END - 1], distinct[-_PER_END], _NODES_OF_TWO)
    upper, lower = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    between = (distinct >= lower[:, None]) & (distinct <= upper[:, None])
    wide = (between.sum(axis=1) >= _PER_MIDDLE) & (upper > lower)
    pairs: FloatArray = np.column_stack([upper[wide], lower[wide]])
    return pairs
