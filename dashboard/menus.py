"""Figures with a menu: one plot, several runs to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .theme import Figure, Trace


def with_menu(
    traces: Mapping[str, list[Trace]],
    layout: dict[str, Any],
    changes: Mapping[str, dict[str, Any]] | None = None,
) -> Figure | None:
    """Draw one group of traces at a time; a menu chooses where there are several.

    Parameters
    ----------
    traces
        Entry of the menu to its traces; empty groups are left out.
    layout
        Of the figure.
    changes
        Entry to what changes in the layout with it, e.g. axis titles.
    """
    groups = {name: group for name, group in traces.items() if group}
    if not groups:
        return None
    shown = next(iter(groups))
    data = [
        {**trace, "visible": trace.get("visible", True) if name == shown else False}
        for name, group in groups.items()
        for trace in group
    ]
    if len(groups) == 1:
        return {"data": data, "layout": layout | dict((changes or {}).get(shown, {}))}
    owners = [name for name, group in groups.items() for _ in group]
    buttons = [
        {
            "label": name,
            "method": "update",
            "args": [
                {"visible": [owner == name for owner in owners]},
                dict((changes or {}).get(name, {})),
            ],
        }
        for name in groups
    ]
    menu = {"buttons": buttons, "x": 1, "xanchor": "right", "y": 0, "yanchor": "top"}
    below = {"pad": {"t": 30}, "direction": "up"}
    margin = {**layout["margin"], "b": 76}
    first = dict((changes or {}).get(shown, {}))
    return {
        "data": data,
        "layout": layout | first | {"updatemenus": [menu | below], "margin": margin},
    }
