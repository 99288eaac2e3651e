"""Figures over all candidates: stability, conductivity, and the two against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .theme import (
    GREY,
    Figure,
    Trace,
    axis,
    error_bars,
    fade,
    interval,
    layout,
    log_axis,
    pretty,
    text,
    trusted,
)
from .wording import MEV_PER_EV, quantity_text, reason, status_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..quantity import Quantity
    from ..stores.documents import LiteratureValue
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
    traces = []
    for phase in ("crystal", "glass"):
        for ok in (True, False):
            rows = [
                (view, value * MEV_PER_EV)
                for view in views
                if view.summary.phase == phase
                and trusted(view.summary.energy_above_hull_ev_per_atom) is ok
                and (value := view.summary.energy_above_hull_ev_per_atom.value) is not None
            ]
            if rows:
                traces.append(_stability_trace(phase, ok=ok, rows=rows))
    if not traces:
        return None
    traces += _literature_traces(views, _E_HULL, scale=MEV_PER_EV)
    shapes = [] if limit_ev is None else [_limit_line(limit_ev * MEV_PER_EV)]
    shapes.append(_line_at(0.0, GREY, "solid"))
    return _forest(traces, views, axis(E_HULL_TITLE), shapes)


def _stability_trace(phase: str, *, ok: bool, rows: list[tuple[CandidateView, float]]) -> Trace:
    colour = rows[0][0].colour
    quantities = [view.summary.energy_above_hull_ev_per_atom for view, _ in rows]
    values = [value for _, value in rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": phase if ok else f"{phase}, not converged",
        "x": values,
        "y": [_row_label(view) for view, _ in rows],
        "error_x": error_bars(values, quantities, scale=MEV_PER_EV, colour=fade(colour, 0.6)),
        "marker": _marker(colour, filled=ok),
        "hovertext": [
            _hover(view, "E_hull", quantity, " meV/atom", MEV_PER_EV)
            for (view, _), quantity in zip(rows, quantities, strict=True)
        ],
        "hoverinfo": "text",
    }


def conductivity_figure(
    views: Sequence[CandidateView], limit_ms_cm: float | None = None
) -> Figure | None:
    """Draw sigma(300 K) with its interval or bounds; ``None`` when none has any."""
    traces: list[Trace] = []
    named: set[str] = set()
    for view in views:
        for trace in _conductivity_traces(view):
            trace["showlegend"] = trace["name"] not in named
            named.add(trace["name"])
            traces.append(trace)
    if not traces:
        return None
    traces += _literature_traces(views, SIGMA)
    shapes = [] if limit_ms_cm is None else [_limit_line(limit_ms_cm)]
    return _forest(traces, views, log_axis(SIGMA_TITLE), shapes)


def _conductivity_traces(view: CandidateView) -> list[Trace]:
    """Return one marker: filled when ok, hollow when not, an arrow for a mere bound."""
    quantity = view.summary.sigma_300k_ms_cm
    phase = view.summary.phase
    ends = interval(quantity)
    bar = [end for end in ends or () if end > 0]
    common = {
        "type": "scatter",
        "legendgroup": phase,
        "hoverinfo": "text",
        "hovertext": _hover(view, "σ(300 K)", quantity, " mS/cm"),
    }
    traces = []
    if len(bar) > 1:
        line = {"color": fade(view.colour, 0.55), "width": 3}
        traces.append(
            common
            | {"mode": "lines", "name": f"{phase}, 95 % interval", "x": bar, "line": line}
            | {"y": [_row_label(view)] * 2}
        )
    point, symbol, suffix = _mark(quantity)
    if point is not None and point > 0:
        traces.append(
            common
            | {"mode": "markers", "name": phase + suffix, "x": [point], "y": [_row_label(view)]}
            | {"marker": _marker(view.colour, filled=trusted(quantity), symbol=symbol)}
        )
    return traces


def _mark(quantity: Quantity) -> tuple[float | None, str, str]:
    """Return position, symbol and legend suffix of the marker of `quantity`."""
    if quantity.value is not None:
        suffix = "" if trusted(quantity) else f", {status_label(quantity.status)}"
        return quantity.value, "circle", suffix
    if quantity.lower is not None and quantity.upper is None:
        return quantity.lower, "triangle-right", ", lower bound"
    if quantity.upper is not None and quantity.lower is None:
        return quantity.upper, "triangle-left", ", upper bound"
    return None, "circle", ""


def screening_figure(
    views: Sequence[CandidateView], limit_ev: float | None = None
) -> Figure | None:
    """Draw conductivity against stability; ``None`` with fewer than two points."""
    traces: list[Trace] = []
    for view in views:
        stability, sigma = view.summary.energy_above_hull_ev_per_atom, view.summary.sigma_300k_ms_cm
        point, symbol, _ = _mark(sigma)
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
                "hovertext": _hover(view, "σ(300 K)", sigma, " mS/cm"),
                "showlegend": False,
            }
        )
    if len(traces) < 2:  # noqa: PLR2004  (one point is no map)
        return None
    shapes = [] if limit_ev is None else [_limit_line(limit_ev * MEV_PER_EV)]
    return {
        "data": traces,
        "layout": layout(axis(E_HULL_TITLE), log_axis(SIGMA_TITLE), shapes=shapes),
    }


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
                    "marker": {"symbol": symbol, "size": 10, "line": {"width": 1.6}, "color": GREY},
                    "hoverinfo": "text",
                    "hovertext": [literature_hover(row) for _, row, _ in rows],
                }
            )
    return traces


def literature_point(row: LiteratureValue) -> float | None:
    """Return where to mark a published number: its value, else a bound or their mean."""
    if row.value is not None:
        return row.value
    ends = [end for end in (row.lower, row.upper) if end is not None]
    if len(ends) > 1 and min(ends) > 0:
        return float((ends[0] * ends[1]) ** 0.5)
    return sum(ends) / len(ends) if ends else None


def literature_hover(row: LiteratureValue) -> str:
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
    height = 130 + _ROW_HEIGHT * max(len(labels), 3)
    return {"data": traces, "layout": layout(x, y, height=height, shapes=shapes)}


def _marker(colour: str, *, filled: bool, symbol: str = "circle") -> dict[str, object]:
    return {
        "symbol": symbol if filled else f"{symbol}-open",
        "size": 11,
        "color": colour,
        "line": {"width": 2, "color": colour},
    }


def _row_label(view: CandidateView) -> str:
    return text(pretty(view.title))


def _hover(
    view: CandidateView, what: str, quantity: Quantity, unit: str, scale: float = 1.0
) -> str:
    lines = [
        f"<b>{_row_label(view)}</b>",
        f"{what} = {quantity_text(quantity, scale=scale)}{unit} ({status_label(quantity.status)})",
        text(reason(quantity)),
        text(view.summary.phase_note),
    ]
    return "<br>".join(line for line in lines if line)


def _line_at(x: float, colour: str, dash: str) -> dict[str, object]:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "layer": "below",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "line": {"color": colour, "width": 1, "dash": dash},
    }


def _limit_line(x: float) -> dict[str, object]:
    return _line_at(x, GREY, "dash") | {
        "label": {"text": "screen", "textposition": "end", "textangle": 0, "font": {"size": 11}}
    }
