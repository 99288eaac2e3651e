"""The regimes of a conductivity over temperature, as lines through its points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..units import BOLTZMANN_EV_PER_K
from .arrhenius_line import inverse
from .theme import Trace, text, trusted
from .wording import quantity_text

if TYPE_CHECKING:
    from ..stores.analyses import LawAnalysis, RegimeAnalysis, TransportDocument

LAW = "sigma_ne_ms_cm"
"""The law of ions that move alone, whose points Arrhenius figures show."""
_ENDS = 2


def regime_traces(document: TransportDocument, colour: str, name: str) -> list[Trace]:
    """Return a line per regime of a law that has several; nothing where one law holds.

    Each has the activation energy of its regime and goes through the centroid of the ok
    points in it, as the weighted least-squares line does.
    """
    law = document.laws.get(LAW)
    if law is None or len(law.regimes) < _ENDS:
        return []
    traces = []
    for regime in law.regimes:
        ends = _ends(document, law, regime)
        if ends is not None:
            words = f"{name}: E<sub>a</sub> {quantity_text(regime.activation_energy_ev)} eV"
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": words,
                    "x": [x for x, _ in ends],
                    "y": [y for _, y in ends],
                    "line": {"color": colour, "width": 3, "dash": "longdash"},
                    "hoverinfo": "text",
                    "hovertext": f"{words}<br>{_range(regime)}, {regime.n_points} points",
                }
            )
    return traces


def _ends(
    document: TransportDocument, law: LawAnalysis, regime: RegimeAnalysis
) -> list[tuple[float, float]] | None:
    """Return both ends of the line of a regime: 1000/T and sigma."""
    energy = regime.activation_energy_ev.value
    low, high = regime.lower_k or 0.0, regime.upper_k or math.inf
    points = [
        (inverse(point.temperature_k), math.log(sigma.value * point.temperature_k), sigma)
        for point in document.points
        if point.temperature_k is not None
        and low <= point.temperature_k <= high
        and (sigma := point.sigma_ne_ms_cm) is not None
        and trusted(sigma)
        and sigma.value is not None
        and sigma.value > 0
    ]
    if energy is None or not points:
        return None
    weights = [(s.value / s.sd) ** 2 if s.sd and s.value else 1.0 for _, _, s in points]
    total = sum(weights)
    centre = sum(w * x for w, (x, _, _) in zip(weights, points, strict=True)) / total
    level = sum(w * y for w, (_, y, _) in zip(weights, points, strict=True)) / total
    slope = -energy / (1000.0 * BOLTZMANN_EV_PER_K)
    bounds = [*(b.value for b in law.breaks_k if b.value), *(1000.0 / x for x, _, _ in points)]
    inside = [t for t in bounds if low <= t <= high]
    return [
        (x, math.exp(level + slope * (x - centre)) * x / 1000.0)
        for x in (inverse(max(inside)), inverse(min(inside)))
    ]


def _range(regime: RegimeAnalysis) -> str:
    lower = f"{regime.lower_k:.0f} K" if regime.lower_k else "below"
    upper = f"{regime.upper_k:.0f} K" if regime.upper_k else "above"
    return text(f"{lower} to {upper}")
