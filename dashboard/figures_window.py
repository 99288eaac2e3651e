"""Figures of electrochemical windows: one candidate's states, and all windows together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymatgen.core import Composition

from ..systems.electrodes import list_electrodes
from .theme import (
    BLUE,
    GREEN,
    GREY,
    VERMILLION,
    Figure,
    Trace,
    axis,
    error_bars,
    fade,
    layout,
    pretty,
    text,
    trusted,
)
from .wording import formula_units_text, quantity_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..quantity import Quantity
    from ..stores.documents import HullDocument, LiteratureValue, StabilityWindow
    from .view import CandidateView

_BEYOND_V = 0.6
_ROW_HEIGHT = 34
VOLTAGE_TITLE = "voltage against Na (V)"
LIMITS = ("reduction_limit_v", "oxidation_limit_v")
_LIMIT_COLOURS = dict(zip(LIMITS, (BLUE, VERMILLION), strict=True))


def against_metal(row: LiteratureValue) -> float | None:
    """Return a published voltage on the scale of the metal; the middle of a range.

    None for an electrode whose potential is not known here, or an open range.
    """
    ends = [end for end in (row.lower, row.upper) if end is not None]
    both_ends = 2
    value = row.value if row.value is not None else sum(ends) / both_ends
    if row.value is None and len(ends) < both_ends:
        return None
    if row.electrode is None:
        return value
    known = {electrode.id: electrode.potential_v for electrode in list_electrodes()}
    return value + known[row.electrode] if row.electrode in known else None


def window_figure(document: HullDocument, literature: Sequence[LiteratureValue]) -> Figure | None:
    """Draw how much of the mobile ion is held against voltage; ``None`` without a window."""
    window = document.window
    if window is None or not window.states:
        return None
    states = sorted(window.states, key=lambda state: state.lower_v)
    last = states[-1].lower_v + _BEYOND_V
    xs: list[float] = []
    ys: list[float] = []
    hovers: list[str] = []
    for state in states:
        upper = last if state.upper_v is None else state.upper_v
        hover = (
            f"{state.lower_v:.2f} – {'…' if state.upper_v is None else f'{upper:.2f}'} V<br>"
            + text(pretty(formula_units_text(state.products)))
        )
        xs += [state.lower_v, (state.lower_v + upper) / 2, upper]
        ys += [state.mobile_per_formula] * 3
        hovers += [hover] * 3
    steps: Trace = {
        "type": "scatter",
        "mode": "lines",
        "name": "in equilibrium",
        "x": xs,
        "y": ys,
        "hovertext": hovers,
        "hoverinfo": "text",
        "line": {"color": GREEN, "width": 2.5},
    }
    held = float(Composition(document.formula)[window.mobile])
    traces = [steps, *_limit_traces(window, held), *_published_traces(literature, held)]
    return {
        "data": traces,
        "layout": layout(
            axis(VOLTAGE_TITLE.replace("Na", text(window.mobile)), range=[-0.1, last]),
            axis(text(pretty(f"{window.mobile} per {document.formula}"))),
            shapes=[_band(window)],
        ),
    }


def _limit_traces(window: StabilityWindow, held: float) -> list[Trace]:
    traces = []
    for name, limit, products, change in (
        (LIMITS[0], window.reduction_limit_v, window.reduction_products, "reduced to"),
        (LIMITS[1], window.oxidation_limit_v, window.oxidation_products, "oxidised to"),
    ):
        if limit.value is None:
            continue
        becomes = f"{change} {formula_units_text(products)}" if products else "stable below"
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name.removesuffix("_v").replace("_", " "),
                "x": [limit.value],
                "y": [held],
                "error_x": error_bars([limit.value], [limit], colour=_LIMIT_COLOURS[name]),
                "marker": _marker(limit, _LIMIT_COLOURS[name]),
                "hovertext": f"{quantity_text(limit)} V<br>{text(pretty(becomes))}",
                "hoverinfo": "text",
            }
        )
    return traces


def _marker(limit: Quantity, colour: str) -> dict[str, object]:
    symbol = "circle" if trusted(limit) else "circle-open"
    return {"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}}


def _band(window: StabilityWindow) -> dict[str, object]:
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": window.reduction_limit_v.value,
        "x1": window.oxidation_limit_v.value,
        "y0": 0,
        "y1": 1,
        "line": {"width": 0},
        "fillcolor": fade(GREEN, 0.12),
        "layer": "below",
    }


def _published_traces(rows: Sequence[LiteratureValue], height: float | str) -> list[Trace]:
    found = [(row, at) for row in rows if (at := against_metal(row)) is not None]
    if not found:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "published",
            "x": [at for _, at in found],
            "y": [height] * len(found),
            "marker": {
                "symbol": "diamond-open",
                "size": 11,
                "color": GREY,
                "line": {"width": 1.6, "color": GREY},
            },
            "hovertext": [
                "<br>".join(
                    text(part)
                    for part in (
                        f"{row.quantity.removesuffix('_v').replace('_', ' ')}: {row.source}",
                        f"phases: {row.phases_present}",
                        row.conditions,
                        f"{at:.2f} V on this scale" if row.electrode else "",
                    )
                    if part
                )
                for row, at in found
            ],
            "hoverinfo": "text",
        }
    ]


def window_overview(views: Sequence[CandidateView]) -> Figure | None:
    """Draw the windows of all candidates; ``None`` with fewer than two."""
    shown = [view for view in views if view.summary.oxidation_limit_v is not None]
    if len(shown) < 2:  # noqa: PLR2004  (one stands in its own section)
        return None
    traces: list[Trace] = []
    for view in shown:
        row = text(pretty(view.title))
        limits = [view.summary.reduction_limit_v, view.summary.oxidation_limit_v]
        known = [limit for limit in limits if limit is not None and limit.value is not None]
        values = [limit.value for limit in known if limit.value is not None]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": values,
                "y": [row] * len(values),
                "line": {"color": fade(view.colour, 0.45), "width": 8},
                "error_x": error_bars(values, known, colour=fade(view.colour, 0.7)),
                "marker": {
                    "symbol": ["circle" if trusted(limit) else "circle-open" for limit in known],
                    "size": 10,
                    "color": view.colour,
                },
                "hovertext": [f"<b>{row}</b><br>{quantity_text(limit)} V" for limit in known],
                "hoverinfo": "text",
                "showlegend": False,
            }
        )
        published = [r for name in LIMITS for r in view.literature(name)]
        marks = _published_traces(published, row)
        traces += [mark | {"showlegend": not _in_legend(traces)} for mark in marks]
    labels = [text(pretty(view.title)) for view in shown]
    y = axis("", type="category", categoryorder="array", categoryarray=labels[::-1])
    y |= {"range": [-0.6, len(labels) - 0.4]}
    height = 170 + _ROW_HEIGHT * max(len(labels), 3)
    return {"data": traces, "layout": layout(axis(VOLTAGE_TITLE), y, height=height)}


def _in_legend(traces: Sequence[Trace]) -> bool:
    return any(trace.get("name") == "published" for trace in traces)
