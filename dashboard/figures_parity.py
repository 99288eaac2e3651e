"""Computed against measured values: like with like, with intervals on both axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..quantity import Quantity, Status
from ..workflows.experiment import SIGMA
from .figures import literature_hover, literature_point
from .overview_marks import label_text, with_note
from .theme import (
    GREY,
    OKABE_ITO,
    Figure,
    Trace,
    axis,
    error_bars,
    fade,
    layout,
    log_axis,
    log_error_bars,
    padded_range,
    text,
)
from .wording import NOTHING, literature_text, quantity_text, reason, status_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..workflows.experiment import Comparison

    Placed = tuple[Comparison, float, float, str]

_HEIGHT = 520
_ROW_HEIGHT = 30
_FACTOR = 10.0
_TITLES: Final = {True: "σ(300 K)", False: "E<sub>a</sub>"}
_UNITS: Final = {True: "mS cm<sup>−1</sup>", False: "eV"}
_SHAPES: Final = {"glass": "circle", "crystal": "square"}


_MOST_ROWS: Final = 60


def parity_figure(pairs: Sequence[Comparison], quantity: str) -> Figure | None:
    """Draw computed against measured; ``None`` where no pair has both.

    The line is equality; for conductivities the band is a factor of ten. One colour per level
    of theory; the phases that were present stand in the hover text.
    """
    log = quantity == SIGMA
    placed = [found for pair in pairs if (found := _placed(pair)) is not None]
    placed = [one for one in placed if not log or min(one[1], one[2]) > 0]
    if not placed:
        return None
    traces: list[Trace] = _diagonal(placed, log=log)
    for (name, colour, symbol), members in _groups(placed).items():
        xs, ys = [one[1] for one in members], [one[2] for one in members]
        measured = [_published(one[0]) for one in members]
        computed = [one[0].computed for one in members]
        bars = _log_bars if log else _bars
        trace: Trace = {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": xs,
            "y": ys,
            "error_x": bars(xs, measured, fade(colour, 0.5)),
            "customdata": [one[0].candidate.candidate_id for one in members],
            "marker": _marker(symbol, colour),
            "hoverinfo": "text",
            "hovertext": [_hover(one[0]) for one in members],
        }
        if "triangle" not in symbol:
            trace["error_y"] = bars(ys, computed, fade(colour, 0.5))
        traces.append(trace)
    make_axis = log_axis if log else axis
    unit = _UNITS[log]
    ends = _ends(placed, log=log)
    return {
        "data": traces,
        "layout": layout(
            make_axis(f"measured {_TITLES[log]} ({unit})", range=ends),
            make_axis(f"computed {_TITLES[log]} ({unit})", range=ends),
            height=_HEIGHT,
        ),
    }


def residual_figure(pairs: Sequence[Comparison], quantity: str) -> Figure | None:
    """Draw computed less measured, one row per pair; decades for a conductivity."""
    log = quantity == SIGMA
    known = [
        (pair, pair.residual, at)
        for pair in pairs
        if pair.residual is not None and (at := _point(pair.residual)) is not None
    ]
    if not known:
        return None
    n_known = len(known)
    known = sorted(known, key=lambda one: -abs(one[2]))[:_MOST_ROWS]
    known.sort(key=lambda one: one[2])
    rows = [f"{_title(pair)}, {text(pair.published.row.source)}" for pair, _, _ in known]
    labels = [f"{row}{' ' * rows[:n].count(row)}" for n, row in enumerate(rows)]
    colours = _colours([pair for pair, _, _ in known])
    traces: list[Trace] = []
    for label, (pair, residual, at) in zip(labels, known, strict=True):
        colour, symbol = colours[pair.level], _residual_symbol(residual)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": text(pair.level),
                "legendgroup": pair.level,
                "showlegend": pair.level not in {one.get("legendgroup") for one in traces},
                "x": [at],
                "y": [label],
                "error_x": error_bars([at], [residual], colour=fade(colour, 0.5)),
                "customdata": [pair.candidate.candidate_id],
                "marker": _marker(symbol, colour),
                "hoverinfo": "text",
                "hovertext": _hover(pair),
            }
        )
    unit = "log<sub>10</sub>(computed / measured)" if log else "computed less measured (eV)"
    y = axis("", type="category", categoryorder="array", categoryarray=labels)
    zero = {"type": "line", "xref": "x", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1}
    shapes = [zero | {"line": {"color": GREY, "width": 1.2}}]
    height = 190 + _ROW_HEIGHT * max(len(labels), 3)
    figure = {"data": traces, "layout": layout(axis(unit), y, height=height, shapes=shapes)}
    cut = f"The {len(known)} largest differences of {n_known:,}." if len(known) < n_known else ""
    return with_note(figure, cut)


def _placed(pair: Comparison) -> Placed | None:
    """Return measured, computed and the symbol of a pair; ``None`` where one is missing."""
    x = literature_point(pair.published.row)
    y = _point(pair.computed)
    if x is None or y is None:
        return None
    shape = _SHAPES.get(pair.candidate.phase, "circle")
    return pair, x, y, _symbol(pair.computed, shape)


def _point(quantity: Quantity) -> float | None:
    """Return where to draw: the value, or the bound where only that counts."""
    lower, upper = quantity.lower, quantity.upper
    bounded = quantity.value is None or quantity.status is Status.UNCONVERGED
    if bounded and (lower is None) != (upper is None):
        return upper if lower is None else lower
    if quantity.value is not None:
        return quantity.value
    return None if lower is None or upper is None else (lower + upper) / 2


def _symbol(quantity: Quantity, shape: str) -> str:
    lower, upper = quantity.lower, quantity.upper
    bounded = quantity.value is None or quantity.status is Status.UNCONVERGED
    if bounded and (lower is None) != (upper is None):
        return "triangle-down-open" if lower is None else "triangle-up-open"
    return shape if quantity.status is Status.OK else f"{shape}-open"


def _residual_symbol(residual: Quantity) -> str:
    symbol = _symbol(residual, "circle")
    sideways = {
        "triangle-down-open": "triangle-left-open",
        "triangle-up-open": "triangle-right-open",
    }
    return sideways.get(symbol, symbol)


def _groups(placed: Sequence[Placed]) -> dict[tuple[str, str, str], list[Placed]]:
    colours = _colours([one[0] for one in placed])
    groups: dict[tuple[str, str, str], list[Placed]] = {}
    for one in placed:
        pair, symbol = one[0], one[3]
        words = "bound" if "triangle" in symbol else "not ok" if "open" in symbol else ""
        parts = (pair.level, pair.candidate.phase, words)
        name = text(", ".join(part for part in parts if part))
        groups.setdefault((name, colours[pair.level], symbol), []).append(one)
    return groups


def _colours(pairs: Sequence[Comparison]) -> dict[str, str]:
    levels = sorted({pair.level for pair in pairs})
    return {level: OKABE_ITO[n % len(OKABE_ITO)] for n, level in enumerate(levels)}


def _published(pair: Comparison) -> Quantity:
    row = pair.published.row
    return Quantity(row.value, lower=row.lower, upper=row.upper)


def _bars(values: list[float], quantities: list[Quantity], colour: str) -> dict[str, Any]:
    return error_bars(values, quantities, colour=colour)


_log_bars = log_error_bars


def _ends(placed: Sequence[Placed], *, log: bool) -> list[float]:
    return padded_range([value for one in placed for value in one[1:3]], log=log, pad=0.15)


def _diagonal(placed: Sequence[Placed], *, log: bool) -> list[Trace]:
    low, high = _ends(placed, log=log)
    ends = [10.0**low, 10.0**high] if log else [low, high]
    line: Trace = {"type": "scatter", "mode": "lines", "hoverinfo": "skip"}
    equal = line | {
        "name": "equal",
        "x": ends,
        "y": ends,
        "line": {"color": GREY, "width": 1.5},
    }
    if not log:
        return [equal]
    band = line | {
        "name": "within a factor of ten",
        "x": [*ends, *ends[::-1]],
        "y": [end * _FACTOR for end in ends] + [end / _FACTOR for end in ends[::-1]],
        "fill": "toself",
        "fillcolor": fade(GREY, 0.12),
        "line": {"width": 0},
    }
    return [band, equal]


def _marker(symbol: str, colour: str) -> dict[str, Any]:
    width = 2 if "open" in symbol else 0
    return {"symbol": symbol, "size": 11, "color": colour, "line": {"width": width}}


def _title(pair: Comparison) -> str:
    return label_text(pair.candidate.label)


def _hover(pair: Comparison) -> str:
    computed, row = pair.computed, pair.published.row
    unit = "mS/cm" if row.quantity == SIGMA else "eV"
    residual = quantity_text(pair.residual) if pair.residual is not None else NOTHING
    lines = [
        f"<b>{_title(pair)}</b>",
        f"computed {quantity_text(computed)} {unit} ({status_label(computed.status)})",
        text(reason(computed)),
        f"level {text(pair.level)}",
        f"measured {literature_text(row)} {unit}",
        literature_hover(row),
        f"difference {residual} {'decades' if unit == 'mS/cm' else unit}",
        text(pair.candidate.phase_note),
    ]
    return "<br>".join(line for line in lines if line)
