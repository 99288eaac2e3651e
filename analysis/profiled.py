"""Laws that are linear but for one or two parameters, such as the temperature of a break.

Those few are put on a grid of nodes; at each node the rest follows from weighted least squares.
The scale of the quoted errors is inferred too, with the prior of :func:`fit_arrhenius`: worth
four degrees of freedom that they are right. All marginals are then mixtures of Student's t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

from .arrhenius import PRIOR_FREEDOM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .frames import FloatArray

_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Law:
    """A law as designs of linear least squares on a grid of its nonlinear parameters.

    Attributes
    ----------
    name
        Of the law.
    nodes
        Nonlinear parameters, shape (n_nodes, n_nonlinear); n_nonlinear may be zero.
    designs
        Of the points, shape (n_nodes, n_points, n_linear).
    targets
        Of the temperature to extrapolate to, shape (n_nodes, n_linear).
    n_parameters
        Linear and nonlinear ones, for the information criterion.
    """

    name: str
    nodes: FloatArray
    designs: FloatArray
    targets: FloatArray
    n_parameters: int


@dataclass(frozen=True, slots=True)
class Mixture:
    """A mixture of Student's t distributions.

    Attributes
    ----------
    centres, scales, freedoms, weights
        Shape (n,); the weights sum to one.
    """

    centres: FloatArray
    scales: FloatArray
    freedoms: FloatArray
    weights: FloatArray

    def quantile(self, share: float) -> float:
        """Return the value below which lies `share` of the probability."""
        kept = self.weights > 1e-12 * self.weights.max()
        centres, scales = self.centres[kept], self.scales[kept]
        freedoms, weights = self.freedoms[kept], self.weights[kept]
        ends = special.stdtrit(freedoms, share) * scales + centres

        def excess(value: float) -> float:
            below = special.stdtr(freedoms, (value - centres) / scales)
            return float(weights @ below / weights.sum()) - share

        low, high = float(ends.min()), float(ends.max())
        if high - low <= 1e-12 * max(1.0, abs(low)):
            return low
        return float(optimize.brentq(excess, low - 1e-9, high + 1e-9))

    def interval(self) -> tuple[float, float, float]:
        """Return the median and the ends of the 95 % interval."""
        return self.quantile(0.5), self.quantile(_TAIL), self.quantile(1.0 - _TAIL)


def mixed(parts: Sequence[Mixture], weights: Sequence[float]) -> Mixture:
    """Join mixtures with weights of their own, which need not sum to one."""
    shares = np.asarray(weights) / np.sum(weights)
    return Mixture(
        np.concatenate([part.centres for part in parts]),
        np.concatenate([part.scales for part in parts]),
        np.concatenate([part.freedoms for part in parts]),
        np.concatenate([s * part.weights for s, part in zip(shares, parts, strict=True)]),
    )


@dataclass(frozen=True, slots=True)
class FittedLaw:
    """A law fitted at all its nodes.

    Attributes
    ----------
    law
        The law.
    solutions, covariances
        Of the linear parameters for errors as quoted, shapes (n_nodes, n_linear) and
        (n_nodes, n_linear, n_linear).
    chi2
        Weighted sum of squared residuals, shape (n_nodes,).
    bic
        Bayesian information criterion at the best node.
    n_points
        Points fitted.
    """

    law: Law
    solutions: FloatArray
    covariances: FloatArray
    chi2: FloatArray
    bic: float
    n_points: int

    @property
    def best(self) -> int:
        """The most likely node."""
        return int(self.chi2.argmin())

    def marginal(self, rows: FloatArray) -> Mixture:
        """Return the distribution of a linear combination, given as a row for each node."""
        freedom = PRIOR_FREEDOM + self.n_points - self.solutions.shape[1]
        variance = np.einsum("ni,nij,nj->n", rows, self.covariances, rows)
        scale = np.sqrt(variance * (PRIOR_FREEDOM + self.chi2) / freedom)
        log_weight = 0.5 * np.linalg.slogdet(self.covariances)[1]
        log_weight -= 0.5 * freedom * np.log(PRIOR_FREEDOM + self.chi2)
        weight = np.exp(log_weight - log_weight.max())
        centres = np.einsum("ni,ni->n", rows, self.solutions)
        return Mixture(centres, scale, np.full(len(scale), freedom), weight / weight.sum())

    def parameter(self, index: int) -> Mixture:
        """Return the distribution of one linear parameter."""
        rows = np.zeros_like(self.solutions)
        rows[:, index] = 1.0
        return self.marginal(rows)

    def likely(self) -> FloatArray:
        """Return the nodes inside the 95 % interval of the profile likelihood."""
        freedom = PRIOR_FREEDOM + self.n_points - self.law.n_parameters
        limit = 1.0 + special.stdtrit(freedom, 1.0 - _TAIL) ** 2 / freedom
        inside = PRIOR_FREEDOM + self.chi2 <= limit * (PRIOR_FREEDOM + self.chi2.min())
        nodes: FloatArray = self.law.nodes[inside]
        return nodes


def fit_law(law: Law, observed: FloatArray, sd: FloatArray) -> FittedLaw:
    """Fit a law at all its nodes.

    Parameters
    ----------
    law
        The law.
    observed, sd
        Values and their quoted standard deviations, shape (n_points,).
    """
    weighted = law.designs / sd[:, None]
    target = observed / sd
    covariances = np.linalg.inv(np.einsum("npi,npj->nij", weighted, weighted))
    solutions = np.einsum("nij,npj,p->ni", covariances, weighted, target)
    chi2 = np.square(target - np.einsum("npi,ni->np", weighted, solutions)).sum(axis=1)
    n_points = len(observed)
    bic = (PRIOR_FREEDOM + n_points) * np.log1p(float(chi2.min()) / PRIOR_FREEDOM)
    bic += law.n_parameters * np.log(n_points)
    return FittedLaw(law, solutions, covariances, chi2, float(bic), n_points)
