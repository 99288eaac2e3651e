"""What speaks against a law over temperature: the points it left out, and its own slope."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..quantity import Quantity, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from .arrhenius import Point

MIN_POINTS = 3
"""Temperatures that can test a straight line."""


def cooling_bound(points: list[Point], target_k: float, power: int = 1) -> float | None:
    """Return the smallest upper end above the target: sigma T^power falls on cooling."""
    bounds = [
        point.sigma.upper * (point.temperature_k / target_k) ** power
        for point in points
        if point.sigma.upper is not None
        and point.temperature_k >= target_k
        and point.sigma.status in {Status.OK, Status.UNCONVERGED}
    ]
    return min(bounds, default=None)


def passed_by(points: list[Point], used: list[Point], target_k: float) -> list[str]:
    """Say which points without a converged value an extrapolation to colder ones passes."""
    coldest = min(point.temperature_k for point in used)
    passed = [
        f"{point.temperature_k:g} K"
        for point in points
        if target_k <= point.temperature_k < coldest
        and (point.sigma.status is not Status.OK or point.relative_sd is None)
    ]
    return [f"extrapolated past {', '.join(passed)}, not converged"] if passed else []


def of_one_phase(
    used: list[Point], target_k: float, tg_k: float | None
) -> tuple[list[Point], Status, list[str]]:
    """Choose the points on one side of a glass transition, and say how far that is trusted.

    Where it lies between the target and the hottest point, those below it are taken if they
    are three or more; otherwise those above, as `extrapolated_through_tg`.
    """
    if tg_k is None or not used or not target_k < tg_k < used[-1].temperature_k:
        return used, Status.OK, []
    below = [point for point in used if point.temperature_k < tg_k]
    if len({point.temperature_k for point in below}) >= MIN_POINTS:
        return below, Status.OK, [f"points below the glass transition at {tg_k:.0f} K"]
    above = [point for point in used if point.temperature_k >= tg_k]
    note = f"extrapolated through the glass transition at {tg_k:.0f} K"
    return above, Status.EXTRAPOLATED_THROUGH_TG, [note]


def contradictions(
    points: list[Point], used: list[Point], law: Callable[[float], Quantity]
) -> list[str]:
    """Say which points that did not enter a law bound it from above below its interval."""
    hottest = max(point.temperature_k for point in used)
    against = []
    for point in points:
        other_regime = point.sigma.status is Status.OK and point.temperature_k > hottest
        bounds = point.sigma.status in {Status.OK, Status.UNCONVERGED} and not other_regime
        if not bounds or point in used or point.sigma.upper is None:
            continue
        lower = law(point.temperature_k).lower
        if lower is not None and lower > point.sigma.upper:
            against.append(
                f"at most {point.sigma.upper:.2g} at {point.temperature_k:g} K, "
                f"at least {lower:.2g} by the law"
            )
    return [f"the law is contradicted: {', '.join(against)}"] if against else []


def not_activated(energy_ev: Quantity) -> list[str]:
    """Say that an activation energy is not above zero, if so."""
    if energy_ev.value is not None and energy_ev.value <= 0:
        return [f"activation energy not positive ({energy_ev.value:.2f} eV)"]
    if energy_ev.lower is not None and energy_ev.lower <= 0:
        return [f"activation energy zero within its error (from {energy_ev.lower:.2f} eV)"]
    return []


def capped(extrapolated: Quantity, bound: float | None, *, refuted: bool = False) -> Quantity:
    """Return an unconverged extrapolation with no more than its bound; others as they are."""
    if extrapolated.status is not Status.UNCONVERGED:
        return extrapolated
    ends = [end for end in (extrapolated.upper, bound) if end is not None]
    upper = min(ends, default=None)
    if refuted or extrapolated.value is None:
        return replace(extrapolated, value=None, sd=None, lower=None, upper=upper)
    value = extrapolated.value if upper is None else min(extrapolated.value, upper)
    return replace(extrapolated, value=value, lower=None, upper=upper)
