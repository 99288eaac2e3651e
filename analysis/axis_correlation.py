"""How far the axes of octahedra agree, within chains and between them, against temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import AnalysisError
from ..quantity import Quantity, Status
from .blocks import mean_quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .frames import FloatArray, IntArray
    from .octahedra import OctahedronAxes

Axis = Literal["bridge", "terminal"]

_POINTS_PER_BRANCH = 3
_MIN_DELTA_BIC = 10.0
_JUMP_PARAMETERS = 3
_LIKELIHOOD_DROP = 3.84


@dataclass(frozen=True, slots=True)
class AxisCorrelation:
    """Mean agreement of the axes of pairs of octahedra; 1 is aligned.

    Unrelated O-M-O axes have 0. The Cl-M-Cl diagonals were named alike, each from the nearest
    of four, where they were found: octahedra that roll at random there have (2 sqrt(2) / pi)^2
    = 0.81 and only what turns later lowers it. :func:`fourfold_correlation` has no such memory.

    Attributes
    ----------
    axis
        ``"bridge"`` (O-M-O) or ``"terminal"`` (Cl-M-Cl, mean of the two diagonals).
    intra_chain, inter_chain
        <u_i . u_j> over pairs within one chain and in different chains, signs as labelled.
    intra_chain_unsigned, inter_chain_unsigned
        <(3 (u_i . u_j)^2 - 1) / 2>: the same for axes without a direction.
    intact_fraction
        Share of octahedra and frames that the means rest on.
    """

    axis: Axis
    intra_chain: Quantity
    inter_chain: Quantity
    intra_chain_unsigned: Quantity
    inter_chain_unsigned: Quantity
    intact_fraction: float


@dataclass(frozen=True, slots=True)
class FourfoldCorrelation:
    """Agreement of the roll of pairs of octahedra; 1 is aligned, 0 is unrelated.

    Attributes
    ----------
    intra_chain, inter_chain
        <cos 4 (phi_i - phi_j)> over pairs within one chain and in different chains.
    """

    intra_chain: Quantity
    inter_chain: Quantity


@dataclass(frozen=True, slots=True)
class OrderTransition:
    """A temperature at which a quantity jumps.

    Attributes
    ----------
    temperature_k
        Between the points around the jump, with the interval of all breaks that fit nearly
        as well (95 %); without a value where the data show no jump.
    delta_bic
        Bayesian information criterion of one line minus that of two; ``None`` with too few
        points.
    """

    temperature_k: Quantity
    delta_bic: float | None


def axis_correlation(axes: OctahedronAxes, axis: Axis) -> AxisCorrelation:
    """Return <Cij> = <u_i . u_j> within and between chains.

    This is our definition: the literature's correlation of octahedron axes comes without a
    formula. It is signed: tail-to-head of O-M-O and the labels of the Cl-M-Cl diagonals are
    those of :class:`Octahedra`, given once and carried along. The unsigned form is the second
    Legendre polynomial, which does not tell an axis from its reverse. Each of the two
    Cl-M-Cl diagonals is compared with its namesake and both are averaged. An error is that of
    the time average, with the autocorrelation of the frames; pairs with a broken octahedron
    are left out.

    Parameters
    ----------
    axes
        As :func:`octahedron_axes` returns them.
    axis
        ``"bridge"`` or ``"terminal"``.
    """
    vectors = axes.bridge[:, :, None] if axis == "bridge" else axes.terminal
    signed = [_pair_means(vectors[:, :, k], axes.chain, 1) for k in range(vectors.shape[2])]
    squared = [_pair_means(vectors[:, :, k], axes.chain, 2) for k in range(vectors.shape[2])]
    intra, inter = np.mean(signed, axis=0)
    intra_2, inter_2 = 1.5 * np.mean(squared, axis=0) - 0.5
    return AxisCorrelation(
        axis=axis,
        intra_chain=_quantity(intra, "chains of one octahedron"),
        inter_chain=_quantity(inter, "a single chain"),
        intra_chain_unsigned=_quantity(intra_2, "chains of one octahedron"),
        inter_chain_unsigned=_quantity(inter_2, "a single chain"),
        intact_fraction=axes.intact_fraction,
    )


def fourfold_correlation(axes: OctahedronAxes) -> FourfoldCorrelation:
    """Return <cos 4 (phi_i - phi_j)> within and between chains, our definition.

    phi is the angle of a Cl-M-Cl diagonal about the common direction of all O-M-O axes. Four
    times it is the same for the four ends of both diagonals, so that no label matters, and a
    run that starts disordered shows it. Errors and broken octahedra as in
    :func:`axis_correlation`.

    Parameters
    ----------
    axes
        As :func:`octahedron_axes` returns them.
    """
    bridge = axes.bridge[axes.intact].astype(np.float64)
    along, across, _ = np.linalg.eigh(bridge.T @ bridge)[1].T[::-1]
    other = np.cross(along, across)
    angle = np.arctan2(axes.terminal @ other, axes.terminal @ across)
    fourfold = np.exp(4j * angle).mean(axis=2)
    plane = np.stack([fourfold.real, fourfold.imag], axis=-1)
    intra, inter = _pair_means(plane, axes.chain, 1)
    return FourfoldCorrelation(
        intra_chain=_quantity(intra, "chains of one octahedron"),
        inter_chain=_quantity(inter, "a single chain"),
    )


def _quantity(series: FloatArray, reason: str) -> Quantity:
    if np.isnan(series).all():
        return Quantity(status=Status.UNCONVERGED, note=f"no pair: {reason}, or all broken")
    return mean_quantity(series, least=-1.0, most=1.0)


def _pair_means(vectors: NDArray[np.floating], chain: IntArray, power: int) -> FloatArray:
    """Return <(u_i . u_j)^power> of each frame, within and between chains, (2, n_frames).

    sum_ij (u_i . u_j)^p is the squared norm of sum_i of the p-fold tensor product of u_i.
    """
    present = np.isfinite(vectors[..., 0])
    tensor = np.where(present[..., None], vectors, 0.0).astype(np.float64)
    if power != 1:
        tensor = np.einsum("fmi,fmj->fmij", tensor, tensor).reshape(*present.shape, 9)
    member = np.equal(chain[:, None], np.arange(chain.max() + 1)).astype(np.float64)
    of_chain = np.einsum("fmi,mc->fci", tensor, member, optimize=True)
    number = present @ member
    n_all = number.sum(axis=1)
    within = np.square(of_chain).sum(axis=(1, 2)) - n_all
    total = np.square(of_chain.sum(axis=1)).sum(axis=1) - n_all
    n_within = np.square(number).sum(axis=1) - n_all
    n_between = np.square(n_all) - n_all - n_within
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.stack([within / n_within, (total - within) / n_between])
    means[:, :][np.stack([n_within, n_between]) == 0] = np.nan
    return means


def order_transition(
    temperatures_k: Sequence[float], values: Sequence[Quantity]
) -> OrderTransition:
    """Find the temperature at which a correlation or a cell length jumps, if it does.

    Two separate weighted lines, at least three points each, must beat one line by more than
    10 in the Bayesian information criterion; where the better of them still scatters more
    than its errors say, all errors are scaled up first.

    Parameters
    ----------
    temperatures_k
        K, shape (n,), in any order.
    values
        The quantity at each temperature, with its sd.

    Raises
    ------
    AnalysisError
        If lengths differ, or a quantity has no value or no error.
    """
    if len(temperatures_k) != len(values) or any(q.value is None or q.sd is None for q in values):
        raise AnalysisError(
            "a transition needs a value with its error at each temperature",
            given=f"{len(temperatures_k)} temperatures, "
            f"{sum(q.value is not None and q.sd is not None for q in values)} values with errors",
        )
    order = np.argsort(temperatures_k)
    temperature = np.asarray(temperatures_k, dtype=np.float64)[order]
    value = np.array([values[i].value for i in order], dtype=np.float64)
    sd = np.array([values[i].sd for i in order], dtype=np.float64)
    n = len(value)
    if n < 2 * _POINTS_PER_BRANCH:
        note = f"{n} temperatures, {2 * _POINTS_PER_BRANCH} needed to look for a jump"
        return OrderTransition(Quantity(status=Status.UNCONVERGED, note=note), None)
    sd = np.maximum(sd, 1e-6 * max(float(np.ptp(value)), np.finfo(np.float64).tiny))
    breaks = np.arange(_POINTS_PER_BRANCH, n - _POINTS_PER_BRANCH + 1)
    two = np.array(
        [
            _chi2(temperature[:k], value[:k], sd[:k]) + _chi2(temperature[k:], value[k:], sd[k:])
            for k in breaks
        ]
    )
    scale = max(1.0, float(two.min()) / max(n - 2 * 2 - 1, 1))
    gain = (_chi2(temperature, value, sd) - two.min()) / scale
    delta = float(gain - _JUMP_PARAMETERS * np.log(n))
    if delta <= _MIN_DELTA_BIC:
        note = f"no jump: change of BIC {delta:.1f}, more than {_MIN_DELTA_BIC:g} needed"
        return OrderTransition(Quantity(status=Status.UNCONVERGED, note=note), delta)
    near = breaks[two <= two.min() + _LIKELIHOOD_DROP * scale]
    best = int(breaks[two.argmin()])
    lower, upper = float(temperature[near.min() - 1]), float(temperature[near.max()])
    centre = 0.5 * float(temperature[best - 1] + temperature[best])
    return OrderTransition(Quantity(centre, (upper - lower) / 12**0.5, lower, upper), delta)


def _chi2(temperature: FloatArray, value: FloatArray, sd: FloatArray) -> float:
    design = np.column_stack([np.ones(len(value)), temperature - temperature.mean()]) / sd[:, None]
    solution = np.linalg.lstsq(design, value / sd)[0]
    return float(np.square(value / sd - design @ solution).sum())
