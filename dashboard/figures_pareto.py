"""Stability against conductivity of many candidates, with the front that none beats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .figures import E_HULL_TITLE, SIGMA_TITLE
from .overview_marks import (
    Mark,
    hover,
    label_text,
    left_out_text,
    mark,
    point_trace,
    thinned,
    with_note,
)
from .theme import (
    GREEN,
    GREY,
    PHASE_COLOURS,
    Figure,
    Trace,
    axis,
    error_bars,
    fade,
    layout,
    log_axis,
    log_error_bars,
    trusted,
)
from .wording import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..workflows.overview import Overview, OverviewPoint

    Placed = tuple[OverviewPoint, Mark]

_HEIGHT = 520
_MOST_LABELS = 8
_LABEL_LENGTH = 32
_MOST_BARS = 200


def pareto_figure(seen: Overview, most: int) -> Figure | None:
    """Draw E_hull against sigma(300 K); ``None`` where no candidate has both.

    The front is that of the candidates of which both are ok. Filled marks are such, hollow ones
    are not, triangles are mere bounds of sigma.

    Parameters
    ----------
    seen
        Candidates and the front of all that there are.
    most
        Points to draw; of more, the front and an even sample.
    """
    known = [
        (point, found)
        for point in seen.points
        if point.stability.value is not None
        and (found := mark(point.conductivity, point.phase)) is not None
    ]
    if not known:
        return None
    shown = thinned(known, _id, most, {point.candidate_id for point in seen.front})
    traces = [*_front_traces(seen.front), *_point_traces(shown, bars=len(shown) <= _MOST_BARS)]
    look = layout(axis(E_HULL_TITLE), log_axis(SIGMA_TITLE), height=_HEIGHT)
    words = left_out_text(len(shown), len(known), len(seen.points), "E_hull or σ", seen.note)
    return with_note({"data": traces, "layout": look}, words)


def _id(one: Placed) -> str:
    return one[0].candidate_id


def _front_traces(front: Sequence[OverviewPoint]) -> list[Trace]:
    if not front:
        return []
    labelled = [
        label_text(point.label, _LABEL_LENGTH) if n < _MOST_LABELS else ""
        for n, point in enumerate(front)
    ]
    return [
        {
            "type": "scatter",
            "mode": "lines+markers+text",
            "name": "Pareto front of what is ok",
            "x": [_mev(point) for point in front],
            "y": [point.conductivity.value for point in front],
            "text": labelled,
            "textposition": "top right",
            "error_x": error_bars(
                [_mev(point) for point in front],
                [point.stability for point in front],
                scale=MEV_PER_EV,
                colour=fade(GREEN, 0.6),
            ),
            "customdata": [point.candidate_id for point in front],
            "line": {"color": GREEN, "width": 2, "shape": "hv"},
            "marker": {
                "symbol": "circle-open",
                "size": 17,
                "color": GREEN,
                "line": {"width": 2, "color": GREEN},
            },
            "hoverinfo": "text",
            "hovertext": [hover(point, "on the front") for point in front],
        }
    ]


def _point_traces(shown: Sequence[Placed], *, bars: bool) -> list[Trace]:
    groups: dict[tuple[str, str, str], list[Placed]] = {}
    for point, found in sorted(shown, key=lambda one: one[1].name):
        doubtful = not trusted(point.stability) and "open" not in found.symbol
        symbol = f"{found.symbol}-open" if doubtful else found.symbol
        name = f"{found.name}, E_hull not ok" if doubtful else found.name
        colour = PHASE_COLOURS.get(point.phase, GREY)
        groups.setdefault((name, symbol, colour), []).append((point, found))
    traces: list[Trace] = []
    for (name, symbol, colour), members in groups.items():
        values = [found.value for _, found in members]
        points = [point for point, _ in members]
        trace = point_trace(points, list(map(_mev, points)), values, (name, symbol, colour))
        if bars:
            stabilities = [point.stability for point in points]
            trace["error_x"] = error_bars(
                trace["x"], stabilities, scale=MEV_PER_EV, colour=fade(colour, 0.35)
            )
            if "triangle" not in symbol:
                quantities = [point.conductivity for point, _ in members]
                trace["error_y"] = log_error_bars(values, quantities, fade(colour, 0.35))
        traces.append(trace)
    return traces


def _mev(point: OverviewPoint) -> float:
    return (point.stability.value or 0.0) * MEV_PER_EV
