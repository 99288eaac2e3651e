"""Figures of where the mobile ions sit and how much room there is, against temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .theme import OKABE_ITO, Figure, Trace, axis, error_bars, fade, layout, text, trusted
from .wording import quantity_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..quantity import Quantity
    from ..stores.analyses import EnvironmentAnalysis

_UPPER, _LOWER = [0.52, 1.0], [0.0, 0.4]
_HEIGHT = 520


def environment_figure(runs: Mapping[float, EnvironmentAnalysis]) -> Figure | None:
    """Draw the shares of the surroundings above, the coordination by each anion below."""
    temperatures = sorted(runs)
    shapes = ("octahedral", "prismatic", "other")
    shares = {name: [getattr(runs[t], name) for t in temperatures] for name in shapes}
    anions = dict.fromkeys(name for t in temperatures for name in runs[t].coordination)
    around = {
        f"by {name}": [runs[t].coordination.get(name) for t in temperatures] for name in anions
    }
    titles = ("share of the mobile ions", "coordination number")
    return _two_panels(temperatures, shares, around, titles)


def free_volume_figure(runs: Mapping[float, EnvironmentAnalysis]) -> Figure | None:
    """Draw the free fractions of the volume above, the free volume of a mobile ion below."""
    temperatures = sorted(runs)
    shares = {
        "outside all ions": [runs[t].free_fraction for t in temperatures],
        "where a mobile ion fits": [runs[t].mobile_fraction for t in temperatures],
    }
    each = {"per mobile ion": [runs[t].free_a3_per_mobile for t in temperatures]}
    return _two_panels(temperatures, shares, each, ("share of the volume", "free volume (Å³)"))


def _two_panels(
    temperatures: Sequence[float],
    above: Mapping[str, Sequence[Quantity | None]],
    below: Mapping[str, Sequence[Quantity | None]],
    titles: tuple[str, str],
) -> Figure | None:
    traces: list[Trace] = []
    for place, rows in ((None, above), ("y2", below)):
        for name, quantities in rows.items():
            colour = OKABE_ITO[len(traces) % len(OKABE_ITO)]
            trace = against_temperature(name, temperatures, quantities, colour)
            if trace is not None:
                traces.append(trace if place is None else trace | {"yaxis": place})
    if not traces:
        return None
    x = axis("temperature (K)", mirror="all", anchor="y2")
    upper = axis(titles[0], domain=_UPPER, rangemode="tozero")
    lower = axis(titles[1], domain=_LOWER, rangemode="tozero")
    return {"data": traces, "layout": layout(x, upper, yaxis2=lower, height=_HEIGHT)}


def against_temperature(
    name: str, temperatures: Sequence[float], quantities: Sequence[Quantity | None], colour: str
) -> Trace | None:
    """Return markers with 95 % intervals; hollow where not to be trusted, none without a value."""
    known = [
        (t, quantity)
        for t, quantity in zip(temperatures, quantities, strict=True)
        if quantity is not None and quantity.value is not None
    ]
    if not known:
        return None
    values = [float(quantity.value or 0.0) for _, quantity in known]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": text(name),
        "x": [t for t, _ in known],
        "y": values,
        "error_y": error_bars(values, [q for _, q in known], colour=fade(colour, 0.5)),
        "line": {"color": colour, "width": 1.4},
        "marker": {
            "color": colour,
            "size": 8,
            "symbol": ["circle" if trusted(q) else "circle-open" for _, q in known],
            "line": {"width": 1.6},
        },
        "hovertext": [f"{text(name)}, {t:g} K: {quantity_text(q)}" for t, q in known],
        "hoverinfo": "text",
    }
