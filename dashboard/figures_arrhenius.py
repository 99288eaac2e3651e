"""The Arrhenius figure of one candidate, with its extrapolation to room temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..stores.documents import DiffusionDocument
from .arrhenius_line import ROOM_TEMPERATURE_K, arrhenius_lines, inverse
from .figures import SIGMA, literature_hover, literature_point
from .figures_regimes import regime_traces
from .theme import (
    GREY,
    OKABE_ITO,
    Figure,
    Trace,
    axis,
    fade,
    interval,
    layout,
    legend_entry,
    log_axis,
    log_error_bars,
    pretty,
    text,
    trusted,
)
from .view import candidate_colour
from .wording import quantity_text, reason, status_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..stores.analyses import TransportDocument
    from ..stores.documents import LiteratureValue, TransportPoint
    from .view import CandidateView

_TICK_SPACING = 0.12
_SYMBOLS_300K = {"value": "star", "upper": "triangle-down", "lower": "triangle-up"}
_TICKS_K = (200, 250, 300, 350, 400, 500, 600, 800, 1000, 1500, 2000)


def arrhenius_figure(
    documents: Mapping[str, DiffusionDocument],
    literature: Sequence[LiteratureValue] = (),
    transport: Mapping[str, TransportDocument] | None = None,
) -> Figure | None:
    """Draw conductivity over inverse temperature, with the extrapolation to 300 K.

    Filled markers are ``ok``, hollow ones are not, arrows are mere bounds. The line is solid
    where data stand and dotted beyond; its band is the 95 % interval.

    Parameters
    ----------
    documents
        One or more analyses (glasses of several seeds) by step name.
    literature
        Published conductivities at room temperature.
    transport
        Analyses of the same samples in the same order; where one finds several regimes, each
        has a line of long dashes.
    """
    traces: list[Trace] = []
    for index, (name, document) in enumerate(documents.items()):
        colour = OKABE_ITO[index % len(OKABE_ITO)]
        label = text(name) if len(documents) > 1 else "this work"
        traces += arrhenius_lines(document, colour)
        traces += _point_traces(document.points, colour, label)
        traces += _extrapolated_trace(document, colour, label)
    if not traces:
        return None
    for index, (name, analysed) in enumerate((transport or {}).items()):
        traces += regime_traces(analysed, OKABE_ITO[index % len(OKABE_ITO)], text(name))
    traces += _published_traces(literature)
    shapes, notes = _glass_transition(documents)
    x = axis("1000 / T (K<sup>−1</sup>)", **_temperature_ticks(documents))
    y = log_axis("σ (mS cm<sup>−1</sup>)")
    figure_layout = layout(x, y, shapes=shapes, annotations=notes, height=440)
    return {"data": traces, "layout": figure_layout}


def arrhenius_overview(views: Sequence[CandidateView]) -> Figure | None:
    """Draw the conductivities of all candidates, one colour each."""
    traces: list[Trace] = []
    drawn: dict[str, DiffusionDocument] = {}
    for index, view in enumerate(views):
        colour, name = candidate_colour(index), text(pretty(view.title))
        own: list[Trace] = []
        for step, document in view.of_kind(DiffusionDocument).items():
            drawn[f"{view.title} {step}"] = document
            own += arrhenius_lines(document, colour, band=False)
            own += _point_traces(document.points, colour, name)
            own += _extrapolated_trace(document, colour, name)
        if own:
            own = [trace | {"legendgroup": name, "showlegend": False} for trace in own]
            traces += [legend_entry(name, colour) | {"legendgroup": name}, *own]
    if not traces:
        return None
    x = axis("1000 / T (K<sup>−1</sup>)", **_temperature_ticks(drawn))
    return {"data": traces, "layout": layout(x, log_axis("σ (mS cm<sup>−1</sup>)"))}


def _temperature_ticks(documents: Mapping[str, DiffusionDocument]) -> dict[str, object]:
    """Label the axis of 1000/T with both 1000/T and T."""
    points = [point.temperature_k for document in documents.values() for point in document.points]
    low, high = min([*points, ROOM_TEMPERATURE_K]), max([*points, ROOM_TEMPERATURE_K])
    span = inverse(low) - inverse(high)
    margin = 0.06 * span or 0.2
    shown: list[int] = []
    for t in _TICKS_K:
        inside = inverse(high) - margin <= inverse(t) <= inverse(low) + margin
        if inside and (not shown or inverse(shown[-1]) - inverse(t) > _TICK_SPACING * span):
            shown.append(t)
    return {
        "tickangle": 0,
        "tickvals": [inverse(t) for t in shown],
        "ticktext": [f"{inverse(t):.2f}<br>{t} K" for t in shown],
        "range": [inverse(high) - margin, inverse(low) + margin],
    }


def _point_traces(points: Sequence[TransportPoint], colour: str, label: str) -> list[Trace]:
    traces = []
    with_value = [point for point in points if (point.sigma_ms_cm.value or 0) > 0]
    for ok, suffix in ((True, ""), (False, ", not converged")):
        rows = [point for point in with_value if trusted(point.sigma_ms_cm) is ok]
        traces += _markers(rows, colour, label + suffix, "circle" if ok else "circle-open")
    bare = [point for point in points if point not in with_value]
    upper = [p for p in bare if (p.sigma_ms_cm.upper or 0) > 0]
    lower = [p for p in bare if p not in upper and (p.sigma_ms_cm.lower or 0) > 0]
    traces += _markers(upper, colour, f"{label}, upper bound", "triangle-down-open", "upper")
    traces += _markers(lower, colour, f"{label}, lower bound", "triangle-up-open", "lower")
    return traces


def _markers(
    points: Sequence[TransportPoint], colour: str, name: str, symbol: str, which: str = "value"
) -> list[Trace]:
    if not points:
        return []
    quantities = [point.sigma_ms_cm for point in points]
    values = [float(getattr(quantity, which)) for quantity in quantities]
    trace: Trace = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [inverse(point.temperature_k) for point in points],
        "y": values,
        "marker": {
            "symbol": symbol,
            "size": 10,
            "color": colour,
            "line": {"width": 2 if "open" in symbol else 0, "color": colour},
        },
        "hoverinfo": "text",
        "hovertext": [_hover(point) for point in points],
    }
    if which == "value":
        trace["error_y"] = log_error_bars(values, quantities, fade(colour, 0.6))
    return [trace]


def _hover(point: TransportPoint) -> str:
    quantity = point.sigma_ms_cm
    lines = (
        f"<b>{point.temperature_k:g} K</b>",
        f"σ = {quantity_text(quantity)} mS/cm ({status_label(quantity.status)})",
        f"D = {quantity_text(point.diffusivity_cm2_s)} cm²/s",
        f"{point.n_effective_hops:.3g} effective hops of {point.n_mobile} ions",
        f"{point.duration_ps:.3g} ps",
        text(reason(quantity)),
    )
    return "<br>".join(line for line in lines if line)


def _extrapolated_trace(document: DiffusionDocument, colour: str, label: str) -> list[Trace]:
    quantity = document.sigma_300k_ms_cm
    which = next((w for w in _SYMBOLS_300K if (getattr(quantity, w) or 0.0) > 0), None)
    if which is None:
        return []
    value, symbol = getattr(quantity, which), _SYMBOLS_300K[which]
    trace: Trace = {
        "type": "scatter",
        "mode": "markers",
        "name": f"{label}, 300 K {'extrapolated' if which == 'value' else which + ' bound'}",
        "x": [inverse(ROOM_TEMPERATURE_K)],
        "y": [value],
        "marker": {
            "symbol": symbol if trusted(quantity) else f"{symbol}-open",
            "size": 13,
            "color": colour,
            "line": {"width": 2 if not trusted(quantity) else 0},
        },
        "hoverinfo": "text",
        "hovertext": f"<b>300 K</b><br>σ = {quantity_text(quantity)} mS/cm "
        f"({status_label(quantity.status)})<br>{text(reason(quantity))}",
    }
    if which == "value":
        trace["error_y"] = log_error_bars([value], [quantity], colour)
    return [trace]


def _published_traces(literature: Sequence[LiteratureValue]) -> list[Trace]:
    rows = [
        (row, point)
        for row in literature
        if row.quantity == SIGMA and (point := literature_point(row)) is not None and point > 0
    ]
    symbols = {"experiment": "diamond-open", "computed": "x-thin-open"}
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": text(f"{row.kind}: {row.source}"),
            "x": [inverse(ROOM_TEMPERATURE_K)],
            "y": [point],
            "marker": {
                "symbol": symbols[row.kind],
                "size": 11,
                "line": {"width": 2},
                "color": GREY,
            },
            "hoverinfo": "text",
            "hovertext": literature_hover(row),
        }
        for row, point in rows
    ]


def _glass_transition(
    documents: Mapping[str, DiffusionDocument],
) -> tuple[list[Figure], list[Figure]]:
    """Return the line (and interval) of Tg, and its label."""
    shapes: list[Figure] = []
    notes: list[Figure] = []
    for document in documents.values():
        tg = document.glass_transition_k
        if tg is None or tg.value is None:
            continue
        ends = interval(tg) or (tg.value, tg.value)
        vertical = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
        shapes.append(
            vertical
            | {"type": "rect", "x0": inverse(max(ends[1], 1.0)), "x1": inverse(max(ends[0], 1.0))}
            | {"fillcolor": fade(GREY, 0.15), "line": {"width": 0}}
        )
        x = inverse(tg.value)
        shapes.append(
            vertical
            | {"type": "line", "x0": x, "x1": x}
            | {"line": {"color": GREY, "width": 1.5, "dash": "dashdot"}}
        )
        notes.append(
            {"x": x, "y": 0.02, "yref": "paper", "yanchor": "bottom", "xanchor": "left"}
            | {"text": f"T<sub>g</sub> {tg.value:.0f} K", "showarrow": False, "xshift": 4}
        )
    return shapes, notes
