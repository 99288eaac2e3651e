"""Figures of two panels, one above the other, of which one may have nothing to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .overview_marks import with_note

if TYPE_CHECKING:
    from .theme import Figure, Trace

_HEIGHT: Final = 400


def filled(figure: Figure, above: str, below: str) -> Figure:
    """Give all the place to the panel that has data where only one has, and say so.

    Parameters
    ----------
    figure
        With the axes ``y`` and ``y2``.
    above, below
        What the panels show, in words.
    """
    places = {_place(trace) for trace in figure["data"]}
    if places == {"y", "y2"}:
        return figure
    kept, missing = ("yaxis", below) if "y" in places else ("yaxis2", above)
    look = {name: part for name, part in figure["layout"].items() if name != "yaxis2"}
    y = {name: part for name, part in figure["layout"][kept].items() if name != "domain"}
    x = {name: part for name, part in look["xaxis"].items() if name != "anchor"}
    look |= {"xaxis": x, "yaxis": y, "height": _HEIGHT}
    traces = [trace | {"yaxis": "y", "showlegend": True} for trace in figure["data"]]
    return with_note({"data": traces, "layout": look}, f"No {missing} is known: not drawn.")


def _place(trace: Trace) -> str:
    return str(trace.get("yaxis", "y"))
