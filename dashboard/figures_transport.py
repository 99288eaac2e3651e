"""Figures of one candidate's motion and structure: mean squared displacement and g(r)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .theme import OKABE_ITO, Figure, Trace, axis, layout, log_axis, temperature_colour, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stores.documents import DiffusionDocument, MsdCurve


def msd_figure(curves: Sequence[MsdCurve], mobile: str) -> Figure | None:
    """Draw the mean squared displacement of `mobile`, the fit window as a thick line."""
    ordered = sorted(curves, key=lambda curve: curve.temperature_k)
    traces: list[Trace] = []
    for index, curve in enumerate(ordered):
        points = [pair for pair in zip(curve.lag_ps, curve.msd_a2, strict=True) if min(pair) > 0]
        if not points:
            continue
        colour = temperature_colour(index, len(ordered))
        name = f"{curve.temperature_k:g} K"
        hover = "%{x:.3g} ps: %{y:.3g} Å²<extra>" + name + "</extra>"
        common = {"type": "scatter", "mode": "lines", "legendgroup": name, "hovertemplate": hover}
        traces.append(
            common | _xy(points) | {"name": name, "line": {"color": colour, "width": 1.5}}
        )
        window = curve.window_ps
        fitted = [p for p in points if window and window[0] <= p[0] <= window[1]]
        if fitted:
            thick = {"color": colour, "width": 5}
            traces.append(
                common | _xy(fitted) | {"name": f"{name}, fit", "line": thick, "showlegend": False}
            )
    if not traces:
        return None
    return {
        "data": traces,
        "layout": layout(log_axis("lag (ps)"), log_axis(f"MSD of {text(mobile)} (Å²)")),
    }


def _xy(points: Sequence[tuple[float, float]]) -> Trace:
    return {"x": [x for x, _ in points], "y": [y for _, y in points]}


def rdf_figure(document: DiffusionDocument) -> Figure | None:
    """Draw g(r) per pair; a menu chooses the temperature."""
    temperatures = sorted({curve.temperature_k for curve in document.rdf})
    pairs = sorted({curve.pair for curve in document.rdf})
    curves = sorted(document.rdf, key=lambda curve: (curve.temperature_k, curve.pair))
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": text(curve.pair),
            "x": curve.r_a,
            "y": curve.g,
            "line": {"color": OKABE_ITO[pairs.index(curve.pair) % len(OKABE_ITO)], "width": 1.8},
            "visible": curve.temperature_k == temperatures[0],
            "hovertemplate": "%{x:.2f} Å: %{y:.2f}<extra>%{fullData.name}</extra>",
        }
        for curve in curves
    ]
    if not traces:
        return None
    buttons = [
        {
            "label": f"{temperature:g} K",
            "method": "restyle",
            "args": ["visible", [curve.temperature_k == temperature for curve in curves]],
        }
        for temperature in temperatures
    ]
    menu = {"buttons": buttons, "x": 1, "xanchor": "right", "y": 1, "yanchor": "top"}
    x, y = axis("r (Å)", rangemode="tozero"), axis("g(r)", rangemode="tozero")
    return {"data": traces, "layout": layout(x, y, updatemenus=[menu | {"pad": {"t": 6, "r": 6}}])}
