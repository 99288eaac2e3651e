"""Composition maps: conductivity over the mixtures of two or three compounds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .figures import SIGMA_TITLE
from .overview_marks import Mark, decades, hover, left_out_text, mark, thinned, with_note
from .theme import (
    GREY,
    Figure,
    Trace,
    axis,
    colour_scale,
    fade,
    layout,
    log_axis,
    log_error_bars,
    pretty,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..workflows.overview import MixedSystem, OverviewPoint

    Placed = tuple[OverviewPoint, dict[str, float], Mark]

_BINARY = 2
_HEIGHT = 520
_MARKER = 11
_PIXELS_PER_DECADE = 9
_WIDEST_RING = 46
_LEAST_DECADES = 1.0
"""That colours tell apart; else what is nearly the same would look different."""
_LEAST_WIDTH = 0.1
COLOUR_TITLE = "log<sub>10</sub> σ(300 K)<br>σ in mS cm<sup>−1</sup>"


def map_figure(system: MixedSystem, most: int, note: str = "") -> Figure | None:
    """Draw the candidates of a system over their composition, coloured by log10 sigma(300 K).

    Filled marks are ok, hollow ones not, triangles mere bounds. Of two compounds, sigma is the
    other axis and bars are 95 % intervals; of three, rings are the wider the larger the
    interval. ``None`` where no candidate has a conductivity.

    Parameters
    ----------
    system
        Candidates with mole fractions.
    most
        Points to draw; of more, an even sample.
    note
        To be said below the plot.
    """
    known = [
        (point, fractions, found)
        for point, fractions in system.points
        if (found := mark(point.conductivity, point.phase)) is not None
    ]
    if not known:
        return None
    best = sorted(known, key=lambda one: -one[2].value)[: most // 10]
    shown = thinned(known, _id, most, {_id(one) for one in best})
    words = left_out_text(len(shown), len(known), len(system.points), "any σ", note)
    draw = _binary if len(system.components) == _BINARY else _ternary
    figure = draw(system, shown)
    figure["layout"] |= {"coloraxis": _coloraxis(shown), "height": _HEIGHT}
    return with_note(figure, words)


def _id(one: Placed) -> str:
    return one[0].candidate_id


def _coloraxis(shown: Sequence[Placed]) -> dict[str, Any]:
    logs = [math.log10(found.value) for _, _, found in shown]
    least, most = min(logs), max(logs)
    wider = max(_LEAST_DECADES - (most - least), 0.0) / 2
    return {
        "colorscale": colour_scale(),
        "cmin": least - wider,
        "cmax": most + wider,
        "colorbar": {"title": {"text": COLOUR_TITLE, "side": "right"}, "thickness": 14},
    }


def _groups(shown: Sequence[Placed]) -> dict[tuple[str, str], list[Placed]]:
    groups: dict[tuple[str, str], list[Placed]] = {}
    for one in sorted(shown, key=lambda one: one[2].name):
        groups.setdefault((one[2].name, one[2].symbol), []).append(one)
    return groups


def _common(name: str, symbol: str, members: Sequence[Placed]) -> Trace:
    return {
        "mode": "markers",
        "name": name,
        "customdata": [point.candidate_id for point, _, _ in members],
        "marker": {
            "symbol": symbol,
            "size": _MARKER,
            "color": [math.log10(found.value) for _, _, found in members],
            "coloraxis": "coloraxis",
            "line": {"width": 2} if "open" in symbol else {"width": 0.5, "color": GREY},
        },
        "hoverinfo": "text",
        "hovertext": [hover(point, _place(fractions)) for point, fractions, _ in members],
    }


def _place(fractions: dict[str, float]) -> str:
    return " · ".join(f"{share:.3f} {text(pretty(name))}" for name, share in fractions.items())


def _binary(system: MixedSystem, shown: Sequence[Placed]) -> Figure:
    component = system.components[-1]
    traces = []
    for (name, symbol), members in _groups(shown).items():
        values = [found.value for _, _, found in members]
        quantities = [point.conductivity for point, _, _ in members]
        bars = log_error_bars(values, quantities, fade(GREY, 0.55))
        place = {"x": [fractions[component] for _, fractions, _ in members], "y": values}
        trace = {"type": "scatter", **place, **_common(name, symbol, members)}
        traces.append(trace if "triangle" in symbol else trace | {"error_y": bars})
    others = " + ".join(system.components[:-1])
    x_title = text(pretty(f"mole fraction of {component} in {component} + {others}"))
    xs = [fractions[component] for _, fractions, _ in shown]
    is_narrow = max(xs) - min(xs) < _LEAST_WIDTH
    x = axis(x_title, **({"range": [-0.03, 1.03]} if is_narrow else {}))
    return {"data": traces, "layout": layout(x, log_axis(SIGMA_TITLE))}


def _ternary(system: MixedSystem, shown: Sequence[Placed]) -> Figure:
    heavy, middle, light = system.components

    def corners(members: Sequence[Placed]) -> Trace:
        return {
            axis_name: [fractions[component] for _, fractions, _ in members]
            for axis_name, component in (("a", light), ("b", heavy), ("c", middle))
        }

    rings = [
        (one, width)
        for one in shown
        if "triangle" not in one[2].symbol and (width := decades(one[0].conductivity))
    ]
    traces: list[Trace] = [
        {
            "type": "scatterternary",
            "mode": "markers",
            "name": "ring: 95 % interval",
            **corners([one for one, _ in rings]),
            "marker": {
                "symbol": "circle-open",
                "size": [
                    min(_MARKER + 3 + _PIXELS_PER_DECADE * width, _WIDEST_RING)
                    for _, width in rings
                ],
                "color": GREY,
                "line": {"width": 1.2},
            },
            "hoverinfo": "skip",
            "cliponaxis": False,
        }
    ]
    traces += [
        {
            "type": "scatterternary",
            "cliponaxis": False,
            **corners(members),
            **_common(name, symbol, members),
        }
        for (name, symbol), members in _groups(shown).items()
    ]
    ternary: dict[str, Any] = {"sum": 1}
    for axis_name, component in (("baxis", heavy), ("caxis", middle), ("aaxis", light)):
        ternary[axis_name] = {"title": {"text": text(pretty(component))}, "ticks": "outside"}
    look = layout({}, {}, ternary=ternary)
    del look["xaxis"], look["yaxis"]
    look["margin"] = {"l": 60, "r": 60, "t": 120, "b": 70}
    look["legend"] = look["legend"] | {"y": 1.12}
    return {"data": traces, "layout": look}
