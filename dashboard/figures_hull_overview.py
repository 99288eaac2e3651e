"""Energies above hull of many candidates over their content of the mobile ion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .figures import E_HULL_TITLE
from .figures_candidate import mobile_fraction
from .overview_marks import left_out_text, point_trace, thinned, with_note
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
    trusted,
)
from .wording import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..workflows.overview import Overview, OverviewPoint

    Placed = tuple[OverviewPoint, float, float]

_HEIGHT = 480
_MOST_BARS = 300


def hull_overview(seen: Overview, most: int, mobile: str = "Na") -> Figure | None:
    """Draw E_hull over the atomic fraction of `mobile`; ``None`` where no candidate has one.

    Hollow marks are not ok. The line at zero is the hull.
    """
    known = [point for point in seen.points if point.stability.value is not None]
    best = sorted(known, key=lambda one: one.stability.value or 0.0)[: most // 10]
    chosen = thinned(known, _id, most, {_id(point) for point in best})
    shown = [
        (point, at, (point.stability.value or 0.0) * MEV_PER_EV)
        for point in chosen
        if (at := _fraction(point.formula, mobile)) is not None
    ]
    if not shown:
        return None
    groups: dict[tuple[str, bool], list[Placed]] = {}
    for one in sorted(shown, key=lambda one: (one[0].phase, not trusted(one[0].stability))):
        groups.setdefault((one[0].phase, trusted(one[0].stability)), []).append(one)
    traces = [
        _trace(phase, members, filled=filled, bars=len(shown) <= _MOST_BARS)
        for (phase, filled), members in groups.items()
    ]
    zero = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0}
    look = layout(
        axis(f"atomic fraction of {mobile}"),
        axis(E_HULL_TITLE),
        height=_HEIGHT,
        shapes=[zero | {"line": {"color": GREEN, "width": 1.5}}],
    )
    words = left_out_text(len(chosen), len(known), len(seen.points), "E_hull", seen.note)
    return with_note({"data": traces, "layout": look}, words)


def _id(point: OverviewPoint) -> str:
    return point.candidate_id


def _fraction(formula: str, mobile: str) -> float | None:
    """Return the atomic fraction of `mobile`; ``None`` where the text is no formula."""
    try:
        return mobile_fraction(formula, mobile)
    except (ValueError, AttributeError):  # no formula
        return None


def _trace(phase: str, members: Sequence[Placed], *, filled: bool, bars: bool) -> Trace:
    colour = PHASE_COLOURS.get(phase, GREY)
    shape = "square" if phase == "crystal" else "circle"
    ys = [y for _, _, y in members]
    points, xs = [point for point, _, _ in members], [x for _, x, _ in members]
    name, symbol = (phase, shape) if filled else (f"{phase}, not ok", f"{shape}-open")
    trace = point_trace(points, xs, ys, (name, symbol, colour))
    if bars:
        stabilities = [point.stability for point in points]
        trace["error_y"] = error_bars(ys, stabilities, scale=MEV_PER_EV, colour=fade(colour, 0.35))
    return trace
