"""Conductivity from diffusivity, and its law over temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ..errors import AnalysisError
from ..quantity import Quantity, Status, worst
from ..units import BOLTZMANN_EV_PER_K, BOLTZMANN_J_PER_K, ELEMENTARY_CHARGE_C
from .law_checks import (
    MIN_POINTS,
    capped,
    contradictions,
    cooling_bound,
    not_activated,
    of_one_phase,
    passed_by,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .frames import FloatArray

PRIOR_FREEDOM = 4.0
_UPPER_TAIL = 0.975
_LARGEST_EXPONENT = 200.0
_A3_PER_CM3 = 1e24
_MS_PER_S = 1e3


@dataclass(frozen=True, slots=True)
class ArrheniusFit:
    """ln(sigma T) = ln A - Ea / (k T), fitted and carried to another temperature.

    Attributes
    ----------
    activation_energy_ev
        Ea with its 95 % interval.
    ln_prefactor
        ln A, A in mS K / cm; ``None`` without a fit.
    covariance
        Of (ln A, Ea), shape (2, 2); ``None`` without a fit.
    extrapolated
        Conductivity in mS/cm at `extrapolate_to_k`, 95 % interval of the law's value there.
    extrapolate_to_k
        Temperature of `extrapolated`.
    temperatures_used_k
        The points that entered the fit.
    chi2
        Weighted sum of squared residuals.
    """

    activation_energy_ev: Quantity
    ln_prefactor: float | None
    covariance: FloatArray | None
    extrapolated: Quantity
    extrapolate_to_k: float
    temperatures_used_k: tuple[float, ...]
    chi2: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """A conductivity, or another positive quantity, at a temperature."""

    temperature_k: float
    sigma: Quantity

    @property
    def relative_sd(self) -> float | None:
        """Relative error; ``None`` where the point cannot enter a fit."""
        value, sd = self.sigma.value, self.sigma.sd
        return sd / value if value and sd and value > 0 and sd > 0 else None


def nernst_einstein_ms_cm(
    diffusivity_cm2_s: Quantity,
    *,
    n_mobile: int,
    volume_a3: float,
    temperature_k: float,
    charge: float = 1.0,
) -> Quantity:
    """Return the conductivity sigma = n q^2 D / (k T) in mS/cm.

    Ions are taken to move independently (Haven ratio 1). Errors, bounds, status and note of
    the diffusivity carry over.

    Parameters
    ----------
    diffusivity_cm2_s
        Tracer diffusivity.
    n_mobile, volume_a3
        Mobile ions and the volume that holds them, A3.
    temperature_k
        Temperature, K.
    charge
        Of one ion, in elementary charges.

    Raises
    ------
    AnalysisError
        If number, volume or temperature are not positive.
    """
    given = {"n_mobile": n_mobile, "volume_a3": volume_a3, "temperature_k": temperature_k}
    for name, value in given.items():
        if not value > 0:
            raise AnalysisError(f"{name} must be positive", given=value, allowed="a number above 0")
    density = n_mobile / volume_a3 * _A3_PER_CM3
    squared_charge = (charge * ELEMENTARY_CHARGE_C) ** 2
    factor = density * squared_charge / (BOLTZMANN_J_PER_K * temperature_k) * _MS_PER_S
    return _scaled(diffusivity_cm2_s, factor)


def _scaled(quantity: Quantity, factor: float) -> Quantity:
    value, sd, lower, upper = (
        None if number is None else number * factor
        for number in (quantity.value, quantity.sd, quantity.lower, quantity.upper)
    )
    return replace(quantity, value=value, sd=sd, lower=lower, upper=upper)


def fit_arrhenius(
    temperatures_k: Sequence[float],
    sigma_ms_cm: Sequence[Quantity],
    *,
    extrapolate_to_k: float = 300.0,
    tg_k: float | None = None,
) -> ArrheniusFit:
    """Fit ln(sigma T) against 1/T with weights and extrapolate with the full covariance.

    The scale of the quoted errors is inferred together with the line: a conjugate prior
    worth four degrees of freedom says they are right, the scatter about the line corrects
    them. The marginals of Ea, ln A and ln sigma are then Student's t with n + 2 degrees of
    freedom, n points (Gelman et al., Bayesian Data Analysis, ch. 14).

    Only points of status `ok` enter, and the law must agree with those left out: where the
    lower end of its interval lies above one of their upper ends, the result is the bound of
    these, `unconverged`. Where the extrapolation passes points colder than those of the fit
    that did not converge, and where the activation energy is not above zero within its
    error, it is `unconverged` too.

    With fewer than two points of status `ok`, those that are `unconverged` but have a value
    are fitted and the result is `unconverged`. The upper end of an unconverged result is no
    higher than that of any point above the target, which activated motion cannot exceed on
    cooling.
    Two points cannot test the law, so they also give `unconverged`; one gives a bound.

    Where a glass transition lies between the points and the target, the points below it are
    used if there are three; otherwise those above it, as `extrapolated_through_tg`.

    Parameters
    ----------
    temperatures_k
        Temperatures, K, shape (n,).
    sigma_ms_cm
        Conductivities, mS/cm, one for each temperature.
    extrapolate_to_k
        Target temperature, K.
    tg_k
        Glass transition temperature, K, if one is known.

    Raises
    ------
    AnalysisError
        If lengths differ or a temperature is not positive; never for missing values.
    """
    points = as_points(temperatures_k, sigma_ms_cm, extrapolate_to_k)
    used, status, notes = _select(points, extrapolate_to_k, tg_k)
    bound = cooling_bound(points, extrapolate_to_k)
    if len({point.temperature_k for point in used}) < 2:  # noqa: PLR2004  (a line)
        return _without_fit(points, bound, extrapolate_to_k)
    line = _Line.through(used)
    energy = line.activation_energy_ev
    doubts = [*passed_by(points, used, extrapolate_to_k), *not_activated(energy)]
    refuted = contradictions(points, used, line.at)
    if refuted or doubts:
        status = worst(status, Status.UNCONVERGED)
    note = "; ".join([*refuted, *doubts, *notes])
    extrapolated = replace(line.at(extrapolate_to_k), status=status, note=note)
    return ArrheniusFit(
        activation_energy_ev=replace(energy, status=status, note=note),
        ln_prefactor=float(line.solution[0]),
        covariance=line.covariance,
        extrapolated=capped(extrapolated, bound, refuted=bool(refuted)),
        extrapolate_to_k=extrapolate_to_k,
        temperatures_used_k=tuple(point.temperature_k for point in used),
        chi2=line.chi2,
    )


def as_points(
    temperatures_k: Sequence[float], values: Sequence[Quantity], extrapolate_to_k: float
) -> list[Point]:
    """Return the points in the order of temperature; raise if the arguments do not fit."""
    if len(temperatures_k) != len(values):
        raise AnalysisError(
            "temperatures and conductivities do not pair up",
            given=f"{len(temperatures_k)} temperatures, {len(values)} conductivities",
        )
    if not all(t > 0 for t in (*temperatures_k, extrapolate_to_k)):
        raise AnalysisError(
            "temperatures must be positive",
            given=[*temperatures_k, extrapolate_to_k],
            allowed="kelvin above 0",
        )
    return sorted(
        (Point(t, value) for t, value in zip(temperatures_k, values, strict=True)),
        key=lambda point: point.temperature_k,
    )


def _select(
    points: list[Point], target_k: float, tg_k: float | None
) -> tuple[list[Point], Status, list[str]]:
    """Choose the points of the fit, and say how far to trust it."""
    fittable = [point for point in points if point.relative_sd is not None]
    used = [point for point in fittable if point.sigma.status is Status.OK]
    status, notes = Status.OK, []
    if len(used) < 2:  # noqa: PLR2004  (a line)
        used = [p for p in fittable if p.sigma.status in {Status.OK, Status.UNCONVERGED}]
        status = Status.UNCONVERGED
        notes.append("fitted through unconverged points")
    elif len(used) < len(points):
        left_out = [f"{p.temperature_k:g} K ({p.sigma.status})" for p in points if p not in used]
        notes.append(f"left out: {', '.join(left_out)}")
    used, phase_status, phase_notes = of_one_phase(used, target_k, tg_k)
    status, notes = worst(status, phase_status), [*notes, *phase_notes]
    if len(used) < MIN_POINTS:
        status = worst(status, Status.UNCONVERGED)
        notes.append(f"{len(used)} temperatures cannot test the Arrhenius law")
    return used, status, notes


def _without_fit(points: list[Point], bound: float | None, target_k: float) -> ArrheniusFit:
    statuses = {point.sigma.status for point in points}
    status = statuses.pop() if len(statuses) == 1 else Status.UNCONVERGED
    status = worst(status, Status.UNCONVERGED)
    n_values = sum(point.relative_sd is not None for point in points)
    note = f"{n_values} of {len(points)} temperatures gave a value: no Arrhenius law"
    bounded = note if bound is None else f"{note}; bound: activated motion slows on cooling"
    return ArrheniusFit(
        activation_energy_ev=Quantity(status=status, note=note),
        ln_prefactor=None,
        covariance=None,
        extrapolated=Quantity(upper=bound, status=status, note=bounded),
        extrapolate_to_k=target_k,
        temperatures_used_k=(),
        chi2=None,
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """ln(sigma T) = ln A - Ea / (k T): (ln A, Ea), their covariance, freedom and chi2."""

    solution: FloatArray
    covariance: FloatArray
    freedom: float
    chi2: float

    @classmethod
    def through(cls, used: list[Point]) -> _Line:
        temperature = np.array([point.temperature_k for point in used])
        sigma = np.array([point.sigma.value for point in used], dtype=np.float64)
        weight = 1.0 / np.array([point.relative_sd for point in used], dtype=np.float64)
        design = np.column_stack([np.ones(len(used)), -1.0 / (BOLTZMANN_EV_PER_K * temperature)])
        observed = np.log(sigma * temperature)
        weighted = design * weight[:, None]
        plain = np.linalg.inv(weighted.T @ weighted)
        solution = plain @ weighted.T @ (observed * weight)
        chi2 = float((((observed - design @ solution) * weight) ** 2).sum())
        freedom = PRIOR_FREEDOM + len(used) - 2
        covariance = (plain * ((PRIOR_FREEDOM + chi2) / freedom)).astype(np.float64)
        return cls(solution, covariance, freedom, chi2)

    @property
    def quantile(self) -> float:
        return float(special.stdtrit(self.freedom, _UPPER_TAIL))

    @property
    def activation_energy_ev(self) -> Quantity:
        energy, sd = float(self.solution[1]), math.sqrt(self.covariance[1, 1])
        half_width = self.quantile * sd
        return Quantity(energy, sd, energy - half_width, energy + half_width)

    def at(self, temperature_k: float) -> Quantity:
        row = np.array([1.0, -1.0 / (BOLTZMANN_EV_PER_K * temperature_k)])
        return _extrapolated(
            float(row @ self.solution) - math.log(temperature_k),
            math.sqrt(row @ self.covariance @ row),
            self.quantile,
        )


def _extrapolated(ln_sigma: float, ln_sd: float, quantile: float) -> Quantity:
    value, lower, upper = (
        math.exp(min(max(ln_sigma + shift, -_LARGEST_EXPONENT), _LARGEST_EXPONENT))
        for shift in (0.0, -quantile * ln_sd, quantile * ln_sd)
    )
    return Quantity(value, value * ln_sd, lower, upper)
