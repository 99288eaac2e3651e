"""How a candidate is drawn on a map of many: its mark, its hover text, and how many fit."""

from __future__ import annotations

import hashlib
import math
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from ..quantity import Quantity, Status
from .theme import Figure, Trace, fade, interval, pretty, text
from .wording import energy_text, quantity_text, reason, status_label

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ..workflows.overview import OverviewPoint

MOST_POINTS: Final = 2000
_CONVERGED: Final = frozenset({Status.OK, Status.EXTRAPOLATED_THROUGH_TG})
_SHAPES: Final = {"glass": "circle", "crystal": "square"}
_LABEL_LENGTH: Final = 120
NOTE: Final = "note"
"""Name of the annotation; a page sets it below a plot that is narrow."""
_NOTE_PIXELS: Final = -58
_NOTE_MARGIN: Final = 92
_NOTE_LINE: Final = 15
_NOTE_WIDTH: Final = 46
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3})")
ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Mark:
    """Where and how a conductivity is drawn.

    Attributes
    ----------
    value
        mS/cm.
    symbol
        Filled where it is ok, hollow where not, a triangle for a mere bound.
    name
        What the symbol means, for the legend.
    """

    value: float
    symbol: str
    name: str


def mark(quantity: Quantity, phase: str) -> Mark | None:
    """Return the mark of a conductivity; ``None`` where nothing positive is known.

    Of what is not converged only the bounds count: it is drawn at its bound, or hollow
    between two of them.
    """
    shape = _SHAPES.get(phase, "circle")
    lower, upper = quantity.lower, quantity.upper
    if quantity.status in _CONVERGED and (quantity.value or 0.0) > 0:
        ok = quantity.status is Status.OK
        name = phase if ok else f"{phase}, {status_label(quantity.status)}"
        return Mark(float(quantity.value or 0.0), shape if ok else f"{shape}-open-dot", name)
    if upper is not None and upper > 0 and not lower:
        return Mark(upper, "triangle-down-open", "upper bound only")
    if lower is not None and lower > 0 and upper is None:
        return Mark(lower, "triangle-up-open", "lower bound only")
    value = quantity.value
    if value is None and lower and upper and lower > 0:
        value = (lower * upper) ** 0.5
    if value is None or value <= 0:
        return None
    return Mark(value, f"{shape}-open", f"{phase}, not ok")


def hover(point: OverviewPoint, *more: str) -> str:
    """Return what a point says: numbers with errors, levels, and why one is not ok."""
    lines = [
        f"<b>{title(point)}</b>",
        _said("σ(300 K)", quantity_text(point.conductivity), "mS/cm", point.conductivity),
        text(reason(point.conductivity)),
        f"E_hull {energy_text(point.stability)} meV/atom ({status_label(point.stability.status)})",
        text(reason(point.stability)),
        text(", ".join(f"{stage} {level}" for stage, level in levels(point).items())),
        text(point.phase_note),
        *more,
    ]
    return "<br>".join(line for line in dict.fromkeys(lines) if line)


def _said(what: str, amount: str, unit: str, quantity: Quantity) -> str:
    return f"{what} {amount} {unit} ({status_label(quantity.status)})"


def point_trace(
    points: Sequence[OverviewPoint],
    xs: list[float],
    ys: list[float],
    look: tuple[str, str, str],
) -> Trace:
    """Return candidates as marks that tell what they are; `look`: name, symbol and colour."""
    name, symbol, colour = look
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": xs,
        "y": ys,
        "customdata": [point.candidate_id for point in points],
        "marker": {
            "symbol": symbol,
            "size": 9,
            "color": fade(colour, 0.8),
            "line": {"width": 2 if "open" in symbol else 0, "color": colour},
        },
        "hoverinfo": "text",
        "hovertext": [hover(point) for point in points],
    }


def title(point: OverviewPoint) -> str:
    """Return the label of a point, safe for plotly."""
    return label_text(point.label)


def label_text(label: str, most: int = _LABEL_LENGTH) -> str:
    """Return a label, cut where it is endless, safe for plotly."""
    cut = label if len(label) <= most else f"{label[:most]}…"
    return text(pretty(cut))


def levels(point: OverviewPoint) -> dict[str, str]:
    """Return the levels that the two numbers of a map stand for."""
    return {stage: point.levels[stage] for stage in ("hull", "md") if stage in point.levels}


def decades(quantity: Quantity) -> float | None:
    """Return the width of the 95 % interval in decades, ``None`` where it is open."""
    ends = interval(quantity)
    if ends is None or ends[0] <= 0 or ends[1] <= 0:
        return None
    return math.log10(ends[1] / ends[0])


def thinned(
    items: Sequence[ItemT],
    identity: Callable[[ItemT], str],
    most: int,
    always: Collection[str] = (),
) -> list[ItemT]:
    """Return at most `most` items: those that must be there, and an even sample of the rest.

    The sample goes by a hash of the id: the same at every call, and blind to the numbers.
    """
    if len(items) <= most:
        return list(items)
    rest = [item for item in items if identity(item) not in always]
    rest.sort(key=lambda item: hashlib.blake2b(identity(item).encode()).digest())
    kept = {identity(item) for item in rest[: max(most - len(always), 0)]} | set(always)
    return [item for item in items if identity(item) in kept]


def with_note(figure: Figure, words: str) -> Figure:
    """Return `figure` with words below the plot, on lines that fit a phone; as it is for none."""
    if not words:
        return figure
    lines = textwrap.wrap(_THOUSANDS.sub("\u202f", words), _NOTE_WIDTH)
    line = {
        "name": NOTE,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 0,
        "xanchor": "left",
        "yanchor": "top",
        "yshift": _NOTE_PIXELS,
        "showarrow": False,
        "align": "left",
        "text": "<br>".join(lines),
        "font": {"size": 11},
    }
    look = figure["layout"]
    least = _NOTE_MARGIN + _NOTE_LINE * (len(lines) - 1)
    margin = look["margin"] | {"b": max(look["margin"]["b"], least)}
    return figure | {"layout": look | {"annotations": [line], "margin": margin}}


def left_out_text(n_drawn: int, n_known: int, n_all: int, what: str, note: str = "") -> str:
    """Say how many candidates are not drawn, and why; empty where all are."""
    parts = [note] if note else []
    if n_drawn < n_known:
        parts.append(f"{n_drawn:,} of {n_known:,} drawn: an even sample, the best always")
    if n_known < n_all:
        parts.append(f"{n_all - n_known:,} without {what}: not drawn")
    return "; ".join(parts)
