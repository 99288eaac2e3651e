"""Figures over all candidates: stability, conductivity, and the two against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..quantity import Quantity
from .theme import (
    GREY,
    Figure,
    Trace,
    axis,
    error_bars,
    fade,
    interval,
    layout,
    legend_entry,
    log_axis,
    padded_range,
    pretty,
    text,
    trusted,
)
from .wording import MEV_PER_EV, energy_text, quantity_text, reason, status_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stores.documents import LiteratureValue
    from ..systems.declarations import PublishedValue
    from .view import CandidateView

_ROW_HEIGHT = 34
_E_HULL = "energy_above_hull_ev_per_atom"
SIGMA = "sigma_300k_ms_cm"
_LITERATURE_SYMBOLS = {"experiment": "diamond-open", "computed": "x-thin-open"}
SIGMA_TITLE = "σ(300 K) (mS cm<sup>−1</sup>)"
E_HULL_TITLE = "E<sub>hull</sub> (meV/atom)"


def stability_figure(
    views: Sequence[CandidateView], limit_ev: float | None = None
) -> Figure | None:
    """Draw the energy above hull of every candidate; ``None`` when none has one.

    Parameters
    ----------
    views
        In the order of the ranking; the first comes on top.
    limit_ev
        Largest energy above hull that passes the screen, eV/atom.
    """
    traces: list[Trace] = []
    for view in views:
        quantity = view.summary.energy_above_hull_ev_per_atom
        if quantity.value is None:
            continue
        value = quantity.value * MEV_PER_EV
        bars = error_bars([value], [quantity], scale=MEV_PER_EV, colour=fade(view.colour, 0.6))
        traces.append(
            _point(view, value, _hover(view, "E_hull", energy_text(quantity), quantity, "meV/atom"))
            | {"marker": _marker(view.colour, filled=trusted(quantity)), "error_x": bars}
        )
    if not traces:
        return None
    traces += _literature_traces(views, _E_HULL, scale=MEV_PER_EV)
    limits = [] if limit_ev is None else [limit_ev * MEV_PER_EV]
    shapes = [*map(_limit_line, limits), _line_at(0.0, fade(GREY, 0.5), "solid")]
    x = axis(E_HULL_TITLE, range=padded_range([*_xs(traces), *limits, 0.0]))
    return _forest(traces, views, x, shapes)


def conductivity_figure(
    views: Sequence[CandidateView], limit_ms_cm: float | None = None
) -> Figure | None:
    """Draw sigma(300 K) with its interval or bounds; ``None`` when none has any."""
    traces = [trace for view in views for trace in _conductivity_traces(view)]
    if not traces:
        return None
    traces += _literature_traces(views, SIGMA)
    limits = [] if limit_ms_cm is None else [limit_ms_cm]
    x = log_axis(SIGMA_TITLE, range=padded_range([*_xs(traces), *limits], log=True))
    return _forest(traces, views, x, [_limit_line(limit) for limit in limits])


def _conductivity_traces(view: CandidateView) -> list[Trace]:
    """Return one marker: filled when ok, hollow when not, an arrow for a mere bound."""
    quantity = view.summary.sigma_300k_ms_cm
    hover = _hover(view, "σ(300 K)", quantity_text(quantity), quantity, "mS/cm")
    ends = [end for end in interval(quantity) or () if end > 0]
    traces = []
    if len(ends) > 1:
        line = {"color": fade(view.colour, 0.5), "width": 3}
        bar = {"mode": "lines", "x": ends, "y": [_row_label(view)] * 2, "line": line}
        traces.append(_point(view, ends[0], hover) | bar)
    point, symbol = _mark(quantity)
    if point is not None and point > 0:
        marker = _marker(view.colour, filled=trusted(quantity), symbol=symbol)
        traces.append(_point(view, point, hover) | {"marker": marker})
    return traces


def _point(view: CandidateView, x: float, hover: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x],
        "y": [_row_label(view)],
        "hoverinfo": "text",
        "hovertext": hover,
        "showlegend": False,
    }


def _xs(traces: list[Trace]) -> list[float]:
    """Return all positions of `traces`, ends of their error bars included."""
    found = [x for trace in traces for x in trace["x"]]
    for trace in traces:
        bars = trace.get("error_x", {})
        found += [x + up for x, up in zip(trace["x"], bars.get("array", ()), strict=False)]
        found += [x - down for x, down in zip(trace["x"], bars.get("arrayminus", ()), strict=False)]
    return found


def _mark(quantity: Quantity) -> tuple[float | None, str]:
    """Return position and symbol of the marker of `quantity`."""
    if quantity.value is not None:
        return quantity.value, "circle"
    if quantity.lower is not None and quantity.upper is None:
        return quantity.lower, "triangle-right"
    if quantity.upper is not None and quantity.lower is None:
        return quantity.upper, "triangle-left"
    return None, "circle"


def screening_figure(
    views: Sequence[CandidateView], limit_ev: float | None = None
) -> Figure | None:
    """Draw conductivity against stability; ``None`` with fewer than two points."""
    traces: list[Trace] = []
    for view in views:
        stability, sigma = view.summary.energy_above_hull_ev_per_atom, view.summary.sigma_300k_ms_cm
        point, symbol = _mark(sigma)
        if stability.value is None or point is None or point <= 0:
            continue
        rotated = {"triangle-right": "triangle-up", "triangle-left": "triangle-down"}
        filled = trusted(stability) and trusted(sigma)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": [stability.value * MEV_PER_EV],
                "y": [point],
                "text": [text(pretty(view.title))],
                "textposition": "top center",
                "error_y": error_bars([point], [sigma], colour=fade(view.colour, 0.5)),
                "marker": _marker(view.colour, filled=filled, symbol=rotated.get(symbol, symbol)),
                "hoverinfo": "text",
                "hovertext": _hover(view, "σ(300 K)", quantity_text(sigma), sigma, "mS/cm"),
                "showlegend": False,
            }
        )
    if len(traces) < 2:  # noqa: PLR2004  (one point is no map)
        return None
    limits = [] if limit_ev is None else [limit_ev * MEV_PER_EV]
    x = axis(E_HULL_TITLE, range=padded_range([*_xs(traces), *limits], pad=0.26))
    return {
        "data": _phase_legend(views) + traces,
        "layout": layout(x, log_axis(SIGMA_TITLE), shapes=[_limit_line(limit) for limit in limits]),
    }


def _phase_legend(views: Sequence[CandidateView]) -> list[Trace]:
    colours = {view.summary.phase: view.colour for view in views}
    return [legend_entry(phase, colour) for phase, colour in sorted(colours.items())]


def _literature_traces(
    views: Sequence[CandidateView], quantity: str, scale: float = 1.0
) -> list[Trace]:
    traces: list[Trace] = []
    for kind, symbol in _LITERATURE_SYMBOLS.items():
        rows = [
            (view, row, point * scale)
            for view in views
            for row in view.literature(quantity)
            if row.kind == kind and (point := literature_point(row)) is not None
        ]
        if rows:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": f"published, {kind}",
                    "x": [value for _, _, value in rows],
                    "y": [_row_label(view) for view, _, _ in rows],
                    "error_x": _range_bars([(row, value / scale) for _, row, value in rows], scale),
                    "marker": {"symbol": symbol, "size": 10, "line": {"width": 1.6}, "color": GREY},
                    "hoverinfo": "text",
                    "hovertext": [literature_hover(row) for _, row, _ in rows],
                }
            )
    return traces


def _range_bars(rows: Sequence[tuple[LiteratureValue, float]], scale: float) -> dict[str, object]:
    """Return bars over the published ranges around their middles."""
    values = [point * scale for _, point in rows]
    ranges = [Quantity(point, lower=row.lower, upper=row.upper) for row, point in rows]
    return error_bars(values, ranges, scale=scale)


def literature_point(row: PublishedValue) -> float | None:
    """Return where to mark a published number: its value, else a bound or their mean."""
    if row.value is not None:
        return row.value
    ends = [end for end in (row.lower, row.upper) if end is not None]
    if len(ends) > 1 and min(ends) > 0:
        return float((ends[0] * ends[1]) ** 0.5)
    return sum(ends) / len(ends) if ends else None


def literature_hover(row: PublishedValue) -> str:
    """Describe a published number: what, who, and the phases that were present."""
    return "<br>".join(
        text(part)
        for part in (f"{row.kind}: {row.source}", f"phases: {row.phases_present}", row.conditions)
        if part
    )


def _forest(
    traces: list[Trace],
    views: Sequence[CandidateView],
    x: dict[str, object],
    shapes: list[dict[str, object]],
) -> Figure:
    labels = [_row_label(view) for view in views]
    y = axis("", type="category", categoryorder="array", categoryarray=labels[::-1])
    y |= {"range": [-0.6, len(labels) - 0.4], "showgrid": True}
    height = 190 + _ROW_HEIGHT * max(len(labels), 3)
    data = _phase_legend(views) + traces
    return {"data": data, "layout": layout(x, y, height=height, shapes=shapes)}


def _marker(colour: str, *, filled: bool, symbol: str = "circle") -> dict[str, object]:
    return {
        "symbol": symbol if filled else f"{symbol}-open",
        "size": 11,
        "color": colour,
        "line": {"width": 2, "color": colour},
    }


def _row_label(view: CandidateView) -> str:
    return text(pretty(view.title))


def _hover(view: CandidateView, what: str, amount: str, quantity: Quantity, unit: str) -> str:
    lines = [
        f"<b>{_row_label(view)}</b>",
        f"{what} = {amount} {unit} ({status_label(quantity.status)})",
        text(reason(quantity)),
        text(view.summary.phase_note),
    ]
    return "<br>".join(line for line in lines if line)


def _line_at(x: float, colour: str, dash: str) -> dict[str, object]:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "line": {"color": colour, "width": 1.5, "dash": dash},
    }


def _limit_line(x: float) -> dict[str, object]:
    return _line_at(x, GREY, "dash") | {
        "label": {"text": "screen", "textposition": "end", "textangle": 0, "font": {"size": 11}}
    }
