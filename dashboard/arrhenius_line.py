"""The Arrhenius line of an analysis as it is drawn: law, extrapolation, band."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from ..quantity import Status
from ..units import BOLTZMANN_EV_PER_K
from .theme import Trace, fade, interval, trusted

if TYPE_CHECKING:
    from ..stores.documents import DiffusionDocument, TransportPoint

ROOM_TEMPERATURE_K: Final = 300.0
_LINE_POINTS = 40
_LAWFUL = (Status.OK, Status.EXTRAPOLATED_THROUGH_TG)


def inverse(temperature_k: float) -> float:
    """Return 1000/T."""
    return 1000.0 / temperature_k


def arrhenius_lines(document: DiffusionDocument, colour: str, *, band: bool = True) -> list[Trace]:
    """Return the fitted law, its dotted extrapolation and its band; nothing unconverged."""
    sigma, energy = document.sigma_300k_ms_cm.value, document.activation_energy_ev.value
    fitted = [point.temperature_k for point in _fitted(document)]
    if document.sigma_300k_ms_cm.status not in _LAWFUL or not (sigma and energy and fitted):
        return []
    start, end = inverse(max(fitted)), inverse(min(*fitted, ROOM_TEMPERATURE_K))
    xs = [start + (end - start) * i / (_LINE_POINTS - 1) for i in range(_LINE_POINTS)]
    ys = [_law(x, sigma, energy) for x in xs]
    coldest = inverse(min(fitted))
    inside = [(x, y) for x, y in zip(xs, ys, strict=True) if x <= coldest + 1e-9]
    beyond = [(x, y) for x, y in zip(xs, ys, strict=True) if x >= coldest - (end - start) / 20]
    common: Trace = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    lines = [
        common
        | {"x": [x for x, _ in part], "y": [y for _, y in part]}
        | {"line": {"color": colour, "width": 2, "dash": dash}}
        for part, dash in ((inside, "solid"), (beyond, "dot"))
    ]
    return (_band(document, xs, ys, fade(colour, 0.14)) if band else []) + lines


def _law(x: float, sigma_300k: float, energy_ev: float) -> float:
    """Return sigma at x = 1000/T of the law sigma T = A exp(-Ea/kT) through sigma(300 K)."""
    slope = energy_ev / (1000.0 * BOLTZMANN_EV_PER_K)
    x_300 = inverse(ROOM_TEMPERATURE_K)
    return sigma_300k * (x / x_300) * math.exp(-slope * (x - x_300))


def _band(document: DiffusionDocument, xs: list[float], ys: list[float], fill: str) -> list[Trace]:
    """Return the 95 % band: level and slope of a weighted line are independent at its centroid.

    Its half-width in ln(sigma) is sqrt(s0^2 + s1^2 (x - xc)^2), with s1 from the error of Ea
    and s0 from the interval at 300 K.
    """
    ends = interval(document.sigma_300k_ms_cm)
    value, slope_ends = document.sigma_300k_ms_cm.value, interval(document.activation_energy_ev)
    if ends is None or slope_ends is None or not value or ends[0] <= 0:
        return []
    slope = (slope_ends[1] - slope_ends[0]) / 2 / (1000.0 * BOLTZMANN_EV_PER_K)
    centre = _centroid(document)
    x_300 = inverse(ROOM_TEMPERATURE_K)
    edges = []
    for end in ends:
        width_300 = math.log(end / value)
        level = max(width_300**2 - (slope * (x_300 - centre)) ** 2, 0.0)
        sign = math.copysign(1.0, width_300)
        reach = abs(width_300) / math.hypot(math.sqrt(level), slope * (x_300 - centre) or 1e-12)
        edges.append(
            [
                y * math.exp(sign * reach * math.hypot(math.sqrt(level), slope * (x - centre)))
                for x, y in zip(xs, ys, strict=True)
            ]
        )
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": xs + xs[::-1],
            "y": edges[1] + edges[0][::-1],
            "fill": "toself",
            "fillcolor": fill,
            "line": {"width": 0},
            "name": "95 % band",
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]


def _centroid(document: DiffusionDocument) -> float:
    """Return the mean of 1000/T over the points, weighted with their relative errors."""
    weights, total = 0.0, 0.0
    for point in _fitted(document):
        value, sd = point.sigma_ms_cm.value, point.sigma_ms_cm.sd
        weight = (value / sd) ** 2 if value and sd else 1.0
        weights += weight
        total += weight * inverse(point.temperature_k)
    return total / weights


def _fitted(document: DiffusionDocument) -> list[TransportPoint]:
    """Return the points that the law goes through: the ok ones above a crossed Tg."""
    tg = document.glass_transition_k
    crossed = document.sigma_300k_ms_cm.status is Status.EXTRAPOLATED_THROUGH_TG
    coldest = tg.value if tg and tg.value and crossed else 0.0
    return [
        point
        for point in document.points
        if trusted(point.sigma_ms_cm) and point.sigma_ms_cm.value and point.temperature_k >= coldest
    ]
