"""The look of all figures: colours that the colour-blind can tell apart, axes, markers.

A figure is the plain mapping that plotly.js draws (``data`` and ``layout``). Colours of
text, axes and background are left to the page, which knows whether it is light or dark.
"""

from __future__ import annotations

import math
import re
from html import escape
from typing import TYPE_CHECKING, Any, Final

from ..quantity import TWO_SIDED_95, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..quantity import Quantity

Figure = dict[str, Any]
Trace = dict[str, Any]

BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
GREEN: Final = "#009E73"
PURPLE: Final = "#CC79A7"
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
GREY: Final = "#7A828C"
OKABE_ITO: Final = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, "#A6761D", GREY)
PHASE_COLOURS: Final = {"glass": VERMILLION, "crystal": BLUE}
SCALE: Final = ("#356AD1", "#7163CE", "#995CC2", "#BD57A3", "#D65872", "#D96A42", "#CD8122")
"""From low to high: blue to orange, also for the colour-blind, on light paper as on dark."""

_FIGURE_DIGITS: Final = 6
_SUBSCRIPTS: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ELEMENT_COUNT: Final = re.compile(r"(?<=[A-Z)])(?:[a-z]?)(\d+(?:\.\d+)?)")


def pretty(formula: str) -> str:
    """Set the counts of a formula as subscripts: ``Na2O`` reads ``Na₂O``."""
    return _ELEMENT_COUNT.sub(
        lambda found: found[0][: -len(found[1])] + found[1].translate(_SUBSCRIPTS), formula
    )


def text(content: str) -> str:
    """Make `content` safe for plotly, which reads a few HTML tags in its texts."""
    return escape(content, quote=False)


def fade(colour: str, opacity: float) -> str:
    """Return ``#rrggbb`` as an rgba colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def temperature_colour(index: int, count: int) -> str:
    """Return the colour of the `index`-th of `count` temperatures, blue is cold."""
    last = len(SCALE) - 1
    return SCALE[round(index * last / max(count - 1, 1))]


def colour_scale() -> list[list[object]]:
    """Return :data:`SCALE` as plotly takes it."""
    return [[place / (len(SCALE) - 1), colour] for place, colour in enumerate(SCALE)]


def axis(title: str, **more: object) -> dict[str, Any]:
    """Return an axis with a line on both sides and ticks outside."""
    return {
        "title": {"text": title, "standoff": 10},
        "showline": True,
        "mirror": True,
        "ticks": "outside",
        "zeroline": False,
        "automargin": True,
        **more,
    }


def log_axis(title: str, **more: object) -> dict[str, Any]:
    """Return a logarithmic axis with powers of ten as labels."""
    return axis(
        title, type="log", exponentformat="power", nticks=6, minor={"ticks": "outside"}, **more
    )


def padded_range(values: Iterable[float], *, log: bool = False, pad: float = 0.08) -> list[float]:
    """Return an axis range with room around `values` (decades on a logarithmic axis)."""
    known = [math.log10(value) if log else value for value in values if value > 0 or not log]
    low, high = min(known), max(known)
    room = max(pad * (high - low), 0.3 if log else 1e-9 + 0.02 * abs(high))
    return [low - room, high + room]


def legend_entry(name: str, colour: str, symbol: str = "circle") -> Trace:
    """Return a trace that only stands in the legend."""
    marker = {"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}}
    point = {"x": [None], "y": [None], "hoverinfo": "skip"}
    return {"type": "scatter", "mode": "markers", "name": name, "marker": marker, **point}


def layout(x: dict[str, Any], y: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return a layout with the axes `x` and `y` and a legend above the plot."""
    return {
        "xaxis": x,
        "yaxis": y,
        "margin": {"l": 64, "r": 20, "t": 40, "b": 56},
        "height": 400,
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        **more,
    }


def interval(quantity: Quantity) -> tuple[float, float] | None:
    """Return the ends of the 95 % interval, from the bounds or the standard deviation.

    A value with a bound on one side reaches to that bound only.
    """
    lower, upper = quantity.lower, quantity.upper
    if quantity.value is not None and (lower is None) != (upper is None):
        lower = quantity.value if lower is None else lower
        upper = quantity.value if upper is None else upper
    if lower is not None and upper is not None:
        return lower, upper
    if quantity.value is not None and quantity.sd is not None:
        return (
            quantity.value - TWO_SIDED_95 * quantity.sd,
            quantity.value + TWO_SIDED_95 * quantity.sd,
        )
    return None


def trusted(quantity: Quantity) -> bool:
    """Whether a marker of `quantity` is filled."""
    return quantity.status is Status.OK


def error_bars(
    values: list[float], quantities: list[Quantity], *, scale: float = 1.0, colour: str = GREY
) -> dict[str, Any]:
    """Return plotly's asymmetric error bars around `values` (scaled), 95 % intervals."""
    ends = [interval(quantity) for quantity in quantities]
    return {
        "type": "data",
        "symmetric": False,
        "array": [
            max(end[1] * scale - value, 0.0) if end else 0.0
            for value, end in zip(values, ends, strict=True)
        ],
        "arrayminus": [
            max(value - end[0] * scale, 0.0) if end else 0.0
            for value, end in zip(values, ends, strict=True)
        ],
        "color": colour,
        "thickness": 1.5,
        "width": 4,
    }


def log_error_bars(values: list[float], quantities: list[Quantity], colour: str) -> dict[str, Any]:
    """Return error bars that stay drawable on a logarithmic axis (lower end above zero)."""
    bars = error_bars(values, quantities, colour=colour)
    bars["arrayminus"] = [
        min(down, value * 0.98) for down, value in zip(bars["arrayminus"], values, strict=True)
    ]
    return bars


def drawable(value: Any) -> Any:  # noqa: ANN401  (JSON has no narrower type)
    """Round floats to what a plot can show, and turn those that are not finite into gaps."""
    if isinstance(value, dict):
        return {key: drawable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [drawable(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{_FIGURE_DIGITS}g}") if math.isfinite(value) else None
    return value
