"""Which law a conductivity follows over temperature: one, two or three regimes, or a curve."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ..quantity import Quantity, Status, worst
from .arrhenius import PRIOR_FREEDOM, as_points
from .law_checks import (
    MIN_POINTS,
    capped,
    cooling_bound,
    not_activated,
    of_one_phase,
    passed_by,
)
from .laws import TWO_REGIMES_STEP, VOGEL, candidate_laws, vogel_law
from .profiled import fit_law, mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .arrhenius import Point
    from .frames import FloatArray
    from .profiled import FittedLaw, Mixture

MIN_DELTA_BIC = 10.0
_CLOSE_BIC = 2.0
_FAR_K = 150.0
_LARGEST_T0_SHARE = 0.8
"""Of the target: closer to T0 the law of Vogel, Fulcher and Tammann falls without end."""
_LARGEST_EXPONENT = 200.0


@dataclass(frozen=True, slots=True)
class Regime:
    """A range of temperature with one activation energy.

    Attributes
    ----------
    lower_k, upper_k
        Breaks at its ends; ``None`` where it goes on.
    activation_energy_ev
        With its 95 % interval.
    n_points
        Points inside.
    """

    lower_k: float | None
    upper_k: float | None
    activation_energy_ev: Quantity
    n_points: int


@dataclass(frozen=True, slots=True)
class TemperatureLaw:
    """The law that the evidence supports.

    Attributes
    ----------
    name
        ``arrhenius``, ``two regimes``, ``two regimes with a step``, ``three regimes``,
        ``vogel-fulcher-tammann``, or ``None`` with too few points.
    regimes
        From cold to hot; none for the law of Vogel, Fulcher and Tammann.
    breaks_k
        Temperatures between them, with intervals of the profile likelihood.
    t0_k, pseudo_energy_ev
        T0 and B of the law of Vogel, Fulcher and Tammann; ``None`` for others.
    extrapolated
        At `extrapolate_to_k`: median and 95 % interval of the posterior of the law's value,
        averaged over laws that the evidence does not tell apart.
    extrapolate_to_k
        K.
    bic
        Law to its Bayesian information criterion, less that of one Arrhenius law.
    temperatures_used_k
        The points that entered.
    """

    name: str | None
    regimes: tuple[Regime, ...]
    breaks_k: tuple[Quantity, ...]
    t0_k: Quantity | None
    pseudo_energy_ev: Quantity | None
    extrapolated: Quantity
    extrapolate_to_k: float
    bic: dict[str, float]
    temperatures_used_k: tuple[float, ...]


def fit_regimes(
    temperatures_k: Sequence[float],
    values: Sequence[Quantity],
    *,
    extrapolate_to_k: float = 300.0,
    tg_k: float | None = None,
    times_temperature: bool = True,
) -> TemperatureLaw:
    """Choose a law over temperature by evidence and extrapolate with it.

    From the simplest law on (one Arrhenius law, two regimes that meet, two with a step,
    three), a law replaces one before it if its Bayesian information criterion is lower by
    more than 10. The law of Vogel, Fulcher and Tammann takes the place of the result if it
    beats one Arrhenius law by that much and has the lowest criterion. All laws share in the
    extrapolation by weights exp(-BIC/2), so that a regime which the evidence leaves open widens
    the interval; that of Vogel, Fulcher and Tammann only where it beats one Arrhenius law.

    Only points of status `ok` enter. The result is `unconverged` where it passes colder points
    that did not converge, where the activation energy on the cold side is not above zero, where
    the interval lies above what the points left out allow, and where the points bend as a
    Vogel-Fulcher-Tammann law does whose T0 may lie near the target; then a bound is what
    remains. Breaks come with the 95 % interval of the profile likelihood, energies and
    extrapolation with that of the posterior, which includes the doubt about the breaks and
    about the scale of the quoted errors.

    Parameters
    ----------
    temperatures_k
        K, shape (n,), in any order.
    values
        Conductivities, or other positive quantities, one for each temperature.
    extrapolate_to_k
        Target temperature, K.
    tg_k
        Glass transition temperature, K, if one is known: as for :func:`fit_arrhenius`, the
        three or more points below it enter, otherwise those above it and the result is
        `extrapolated_through_tg`.
    times_temperature
        Whether the law is one for the value times T (conductivities) or for the value itself
        (diffusivities).

    Raises
    ------
    AnalysisError
        If lengths differ or a temperature is not positive; never for missing values.
    """
    points = as_points(temperatures_k, values, extrapolate_to_k)
    power = int(times_temperature)
    known = [p for p in points if p.sigma.status is Status.OK and p.relative_sd is not None]
    used, status, phase_notes = of_one_phase(known, extrapolate_to_k, tg_k)
    notes = [*_left_out(points, known), *phase_notes]
    if len({point.temperature_k for point in used}) < MIN_POINTS:
        bound = cooling_bound(points, extrapolate_to_k, power)
        return _refused(points, notes, bound, extrapolate_to_k)
    temperature = np.array([point.temperature_k for point in used])
    value = np.array([point.sigma.value for point in used], dtype=np.float64)
    observed = np.log(value * temperature**power)
    sd = np.array([point.relative_sd for point in used], dtype=np.float64)
    laws = candidate_laws(temperature, extrapolate_to_k)
    fits = [fit_law(law, observed, sd) for law in laws]
    vogel = vogel_law(temperature, extrapolate_to_k)
    curve = None if vogel is None else fit_law(vogel, observed, sd)
    chosen, rivals = _choose(fits, curve)
    gap_k = float(temperature[0]) - extrapolate_to_k
    if gap_k > _FAR_K:
        notes.append(f"extrapolated over {gap_k:.0f} K")
    if close := [rival for rival in rivals if rival.bic - chosen.bic < _CLOSE_BIC]:
        gaps = [f"{rival.law.name} by {rival.bic - chosen.bic:+.1f}" for rival in close]
        notes.append(f"{chosen.law.name} not told apart from {', '.join(gaps)} in BIC")
    note = "; ".join(notes)
    is_curve = chosen.law.name == VOGEL
    cold_energy = _quantity(chosen.parameter(1 if is_curve else chosen.law.nodes.shape[1] + 1))
    doubts = [*passed_by(points, used, extrapolate_to_k), *not_activated(cold_energy)]
    bends = _too_close(_nonlinear(chosen, 0), extrapolate_to_k) if is_curve else []
    extrapolated = _checked(
        _extrapolated([chosen, *rivals], power * math.log(extrapolate_to_k), status, note),
        points,
        used,
        (extrapolate_to_k, power),
        doubts=doubts,
        refusals=bends,
    )
    return TemperatureLaw(
        name=chosen.law.name,
        regimes=() if is_curve else _regimes(chosen, temperature),
        breaks_k=() if is_curve else _breaks(chosen, temperature),
        t0_k=_nonlinear(chosen, 0) if is_curve else None,
        pseudo_energy_ev=_quantity(chosen.parameter(1)) if is_curve else None,
        extrapolated=extrapolated,
        extrapolate_to_k=extrapolate_to_k,
        bic={fit.law.name: fit.bic - fits[0].bic for fit in [*fits, *([curve] if curve else [])]},
        temperatures_used_k=tuple(temperature.tolist()),
    )


def _left_out(points: list[Point], used: list[Point]) -> list[str]:
    names = [f"{p.temperature_k:g} K ({p.sigma.status})" for p in points if p not in used]
    return [f"left out: {', '.join(names)}"] if names else []


def _refused(
    points: list[Point], notes: list[str], bound: float | None, target_k: float
) -> TemperatureLaw:
    statuses = {point.sigma.status for point in points}
    status = statuses.pop() if len(statuses) == 1 else Status.UNCONVERGED
    reason = f"fewer than {MIN_POINTS} converged temperatures: no law"
    return TemperatureLaw(
        name=None,
        regimes=(),
        breaks_k=(),
        t0_k=None,
        pseudo_energy_ev=None,
        extrapolated=Quantity(
            upper=bound,
            status=worst(status, Status.UNCONVERGED),
            note="; ".join([reason, *notes]),
        ),
        extrapolate_to_k=target_k,
        bic={},
        temperatures_used_k=(),
    )


def _choose(fits: list[FittedLaw], curve: FittedLaw | None) -> tuple[FittedLaw, list[FittedLaw]]:
    """Return the law that the evidence supports, and those that share in the extrapolation."""
    line = chosen = fits[0]
    for fit in fits[1:]:
        if chosen.bic - fit.bic > MIN_DELTA_BIC:
            chosen = fit
    rivals = list(fits)
    if curve is not None and line.bic - curve.bic > MIN_DELTA_BIC:
        rivals.append(curve)
        chosen = min(chosen, curve, key=lambda fit: fit.bic)
    return chosen, [fit for fit in rivals if fit is not chosen]


def _extrapolated(
    fits: Sequence[FittedLaw], ln_divisor: float, status: Status, note: str
) -> Quantity:
    lowest = min(fit.bic for fit in fits)
    mixture = mixed(
        [fit.marginal(fit.law.targets) for fit in fits],
        [math.exp(-0.5 * (fit.bic - lowest)) for fit in fits],
    )
    value, lower, upper = (
        math.exp(min(max(end - ln_divisor, -_LARGEST_EXPONENT), _LARGEST_EXPONENT))
        for end in mixture.interval()
    )
    quantile = float(special.stdtrit(mixture.freedoms[0], 0.975))
    ln_sd = (math.log(upper) - math.log(lower)) / (2.0 * quantile)
    return Quantity(value, value * ln_sd, lower, upper, status, note)


def _checked(
    extrapolated: Quantity,
    points: list[Point],
    used: list[Point],
    target: tuple[float, int],
    *,
    doubts: list[str],
    refusals: list[str],
) -> Quantity:
    """Lower the status of an extrapolation with doubts; refuse one that cannot be."""
    left_out = [point for point in points if point not in used]
    bound, ceiling = cooling_bound(left_out, *target), cooling_bound(points, *target)
    refuted = bound is not None and (extrapolated.lower or 0.0) > bound
    if refuted:
        refusals = [f"the law is contradicted: points left out allow at most {bound:.2g}"]
    if not doubts and not refusals:
        return extrapolated
    note = "; ".join([*refusals, *doubts, *filter(None, [extrapolated.note])])
    status = worst(extrapolated.status, Status.UNCONVERGED)
    if refusals and not refuted:
        return Quantity(upper=ceiling, status=status, note=note)
    return capped(replace(extrapolated, status=status, note=note), ceiling, refuted=refuted)


def _too_close(t0_k: Quantity, target_k: float) -> list[str]:
    """Say that a curve may end in T0 before the target: it then only shows that points bend."""
    if t0_k.upper is None or t0_k.upper <= _LARGEST_T0_SHARE * target_k:
        return []
    return [f"the points bend, but T0 may be as high as {t0_k.upper:.0f} K: not to be continued"]


def _regimes(fit: FittedLaw, temperature: FloatArray) -> tuple[Regime, ...]:
    breaks = fit.law.nodes[fit.best].tolist()
    edges = [math.inf, *breaks, -math.inf]
    hot_to_cold = [
        Regime(
            lower_k=lower if math.isfinite(lower) else None,
            upper_k=upper if math.isfinite(upper) else None,
            activation_energy_ev=_quantity(fit.parameter(1 + index)),
            n_points=int(((temperature > lower) & (temperature <= upper)).sum()),
        )
        for index, (upper, lower) in enumerate(pairwise(edges))
    ]
    return tuple(hot_to_cold[::-1])


def _breaks(fit: FittedLaw, temperature: FloatArray) -> tuple[Quantity, ...]:
    found = [_nonlinear(fit, index) for index in range(fit.law.nodes.shape[1])]
    if fit.law.name == TWO_REGIMES_STEP:
        found = [_between_points(quantity, temperature) for quantity in found]
    return tuple(found[::-1])


def _between_points(quantity: Quantity, temperature: FloatArray) -> Quantity:
    """Widen an interval to the points beside it: a step may lie anywhere between two."""
    assert quantity.lower is not None
    assert quantity.upper is not None
    lower = float(temperature[temperature < quantity.lower].max())
    upper = float(temperature[temperature > quantity.upper].min())
    return replace(quantity, sd=(upper - lower) / math.sqrt(12.0), lower=lower, upper=upper)


def _nonlinear(fit: FittedLaw, index: int) -> Quantity:
    """Return a nonlinear parameter with its interval of the profile likelihood."""
    likely = fit.likely()[:, index]
    lower, upper = float(likely.min()), float(likely.max())
    freedom = PRIOR_FREEDOM + fit.n_points - fit.law.n_parameters
    sd = (upper - lower) / (2.0 * float(special.stdtrit(freedom, 0.975)))
    return Quantity(float(fit.law.nodes[fit.best, index]), sd, lower, upper)


def _quantity(mixture: Mixture) -> Quantity:
    value, lower, upper = mixture.interval()
    sd = (upper - lower) / (2.0 * float(special.stdtrit(mixture.freedoms[0], 0.975)))
    return Quantity(value, sd, lower, upper)
