"""The figure of the ways in which the chains of a crystal sit beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .theme import BLUE, GREY, Figure, axis, fade, layout, text, trusted
from .wording import number

if TYPE_CHECKING:
    from ..stores.registry_documents import RegistryDocument


def registry_figure(document: RegistryDocument) -> Figure | None:
    """Draw the energy of each registry above the lowest; hollow bars are not converged."""
    rows = [
        (row, above)
        for row in document.registries
        if (above := row.relative_energy_mev_per_atom).value is not None
    ]
    if not rows:
        return None
    colours = [GREY if row.relaxed_into else BLUE for row, _ in rows]
    bar = {
        "type": "bar",
        "x": [text(row.label) for row, _ in rows],
        "y": [above.value for _, above in rows],
        "marker": {
            "color": [
                fade(colour, 0.75 if trusted(above) else 0.15)
                for colour, (_, above) in zip(colours, rows, strict=True)
            ],
            "line": {"color": colours, "width": 1.6},
        },
        "hovertext": [
            f"{text(row.label)}: {number(float(above.value or 0.0))} meV/atom, "
            f"{row.multiplicity} alike by symmetry"
            + (f"<br>relaxed into {text(row.relaxed_into)}" if row.relaxed_into else "")
            + (f"<br>{text(above.note)}" if above.note else "")
            for row, above in rows
        ],
        "hoverinfo": "text",
    }
    x = axis("shift and polar direction of each chain", type="category")
    y = axis("above the lowest (meV/atom)", rangemode="tozero")
    return {"data": [bar], "layout": layout(x, y, showlegend=False)}
