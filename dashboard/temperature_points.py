"""A quantity of several runs against their temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .theme import Trace, error_bars, fade, text, trusted
from .wording import quantity_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..quantity import Quantity


def against_temperature(
    name: str, temperatures: Sequence[float], quantities: Sequence[Quantity | None], colour: str
) -> Trace | None:
    """Return markers with 95 % intervals; hollow where not to be trusted, none without a value."""
    known = [
        (t, quantity)
        for t, quantity in zip(temperatures, quantities, strict=True)
        if quantity is not None and quantity.value is not None
    ]
    if not known:
        return None
    values = [float(quantity.value or 0.0) for _, quantity in known]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": text(name),
        "x": [t for t, _ in known],
        "y": values,
        "error_y": error_bars(values, [q for _, q in known], colour=fade(colour, 0.5)),
        "line": {"color": colour, "width": 1.4},
        "marker": {
            "color": colour,
            "size": 8,
            "symbol": ["circle" if trusted(q) else "circle-open" for _, q in known],
            "line": {"width": 1.6},
        },
        "hovertext": [f"{text(name)}, {t:g} K: {quantity_text(q)}" for t, q in known],
        "hoverinfo": "text",
    }
