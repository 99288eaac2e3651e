r"""Onsager coefficients of all pairs of species.

:math:`L_{ab} = \lim_t \langle S_a \cdot S_b\rangle / (6 t V k T)` with the summed displacements of
:mod:`.cross_displacements`, so that particle fluxes are :math:`J_a = -\sum_b L_{ab} \nabla\mu_b`
and the conductivity is :math:`e^2 \sum_{ab} z_a z_b L_{ab}` (Fong et al., AIChE J. 66, e17091
(2020)). In the barycentric frame :math:`\sum_b m_b L_{ab} = 0`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ..errors import AnalysisError
from ..units import BOLTZMANN_J_PER_K, ELEMENTARY_CHARGE_C
from .cross_displacements import N_BLOCKS, barycentric_signals, blocks_of, products_by_lag
from .gls import CorrelatedCurve
from .msd import lag_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .frames import FloatArray

_MIN_LAGS = 4
_LONGEST_LAG_SHARE = 0.5
_A2_PER_PS_IN_M2_PER_S = 1e-8
_M3_PER_A3 = 1e-30
_MS_CM_PER_S_M = 10.0


@dataclass(frozen=True, slots=True)
class OnsagerMatrix:
    """Onsager coefficients of all pairs of species in the barycentric frame.

    Attributes
    ----------
    species
        Their names.
    per_j_m_s
        L_ab in 1/(J m s), shape (n_species, n_species), symmetric.
    sd_per_j_m_s
        Standard errors from blocks of the run.
    n_blocks
        How many; the 95 % interval is `quantile` standard errors to each side.
    quantile
        Of Student's t.
    window_ps
        First and last lag of the slope.
    """

    species: tuple[str, ...]
    per_j_m_s: FloatArray
    sd_per_j_m_s: FloatArray
    n_blocks: int
    quantile: float
    window_ps: tuple[float, float]

    def conductivity_ms_cm(self, charges: Mapping[str, float]) -> FloatArray:
        """Return z_a z_b e^2 L_ab in mS/cm, whose sum over all pairs is the conductivity.

        Parameters
        ----------
        charges
            Species to the charge of an ion, elementary charges.
        """
        if missing := sorted(set(self.species) - set(charges)):
            raise AnalysisError(
                "a species has no charge", given=missing, allowed=list(self.species)
            )
        z = np.array([charges[name] for name in self.species]) * ELEMENTARY_CHARGE_C
        matrix: FloatArray = np.outer(z, z) * self.per_j_m_s * _MS_CM_PER_S_M
        return matrix


def onsager_matrix(
    sums_a: Mapping[str, FloatArray],
    counts: Mapping[str, int],
    *,
    frame_ps: float,
    temperature_k: float,
    volume_a3: float,
    from_ps: float,
    masses_da: Mapping[str, float] | None = None,
    n_blocks: int = N_BLOCKS,
) -> OnsagerMatrix:
    """Return the Onsager coefficients of all pairs of species with errors from blocks.

    All pairs share one set of weights for the slope, that of generalised least squares for a
    diffusive path, so sums of coefficients are coefficients of sums.

    Parameters
    ----------
    sums_a, counts, masses_da
        As in :func:`barycentric`.
    frame_ps
        Time between frames, ps.
    temperature_k, volume_a3
        Of the run.
    from_ps
        First lag of the slope: where the diffusive window of the collective displacement
        starts (``window_ps`` of the conductivity).
    n_blocks
        Contiguous blocks for the error; lags go up to half a block.

    Raises
    ------
    AnalysisError
        For species that differ, numbers that are not positive, or blocks too short for
        `from_ps`.
    """
    for name, value in (("temperature_k", temperature_k), ("volume_a3", volume_a3)):
        if not value > 0:
            raise AnalysisError(f"{name} must be positive", given=value, allowed="a number above 0")
    names, signals = barycentric_signals(sums_a, counts, masses_da, frame_ps, n_blocks)
    longest = int(_LONGEST_LAG_SHARE * (len(signals) // n_blocks))
    lags = lag_grid(max(1, longest))
    lags = lags[lags >= max(1, round(from_ps / frame_ps))]
    if len(lags) < _MIN_LAGS:
        raise AnalysisError(
            "the blocks are too short for the slope",
            given=f"{n_blocks} blocks of {len(signals) // n_blocks} frames, "
            f"a slope from {from_ps:g} ps",
            allowed=f"{_MIN_LAGS} lags between that and half a block",
            remedy="run longer, or ask for fewer blocks",
        )
    times = lags.astype(np.float64)
    weights = CorrelatedCurve(lags, times, times**2, 1.0).slope_weights() / frame_ps
    slope = np.einsum("l,lab->ab", weights, products_by_lag(signals)[lags])
    parts = [
        np.einsum("l,lab->ab", weights, products_by_lag(b)[lags])
        for b in blocks_of(signals, n_blocks)
    ]
    sd = np.std(parts, axis=0, ddof=1) / np.sqrt(n_blocks)
    unit = _A2_PER_PS_IN_M2_PER_S / (
        2 * signals.shape[2] * volume_a3 * _M3_PER_A3 * BOLTZMANN_J_PER_K * temperature_k
    )
    return OnsagerMatrix(
        species=names,
        per_j_m_s=slope * unit,
        sd_per_j_m_s=sd * unit,
        n_blocks=n_blocks,
        quantile=float(special.stdtrit(n_blocks - 1, 0.975)),
        window_ps=(float(lags[0] * frame_ps), float(lags[-1] * frame_ps)),
    )
