"""Figures of where the mobile ions sit and how much room there is, against temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .temperature_points import against_temperature
from .theme import OKABE_ITO, Figure, Trace, axis, layout
from .two_panels import filled

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
    figure = {"data": traces, "layout": layout(x, upper, yaxis2=lower, height=_HEIGHT)}
    return filled(figure, *(title.partition(" (")[0] for title in titles))
