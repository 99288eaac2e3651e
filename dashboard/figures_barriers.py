"""The figure of the energy along hops of the mobile ions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .theme import OKABE_ITO, Figure, Trace, axis, fade, layout, text, trusted
from .wording import number

if TYPE_CHECKING:
    from ..stores.barrier_documents import BarriersDocument, HopBarrier


def barriers_figure(document: BarriersDocument) -> Figure | None:
    """Draw the energy along each band; a kind of hop has one colour, what is not sound is pale."""
    known = [hop for hop in document.hops if hop.energies_ev]
    if not known:
        return None
    kinds = list(dict.fromkeys(hop.kind for hop in known))
    colours = {kind: OKABE_ITO[i % len(OKABE_ITO)] for i, kind in enumerate(kinds)}
    first = {kind: next(hop for hop in known if hop.kind == kind) for kind in kinds}
    traces = [_band(hop, colours[hop.kind], shown=hop is first[hop.kind]) for hop in known]
    x = axis("along the path (Å)", rangemode="tozero")
    y = axis("energy (eV)")
    return {"data": traces, "layout": layout(x, y)}


def _band(hop: HopBarrier, colour: str, *, shown: bool) -> Trace:
    drawn = fade(colour, 0.9 if trusted(hop.barrier_ev) else 0.3)
    nearest = ", ".join(f"{symbol} {distance:.2f} Å" for symbol, distance in hop.window)
    said = f"{text(hop.label)}, {hop.distance_a:.2f} Å, {text(hop.kind)}"
    if hop.barrier_ev.value is not None:
        said += f"<br>barrier {number(hop.barrier_ev.value)} eV; nearest on top: {text(nearest)}"
    if hop.barrier_ev.note:
        said += f"<br>{text(hop.barrier_ev.note)}"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": hop.path_a,
        "y": hop.energies_ev,
        "name": text(hop.kind),
        "legendgroup": text(hop.kind),
        "showlegend": shown,
        "line": {"color": drawn, "shape": "linear", "width": 2},
        "marker": {"color": drawn, "size": 6},
        "hovertext": [said] * len(hop.path_a),
        "hoverinfo": "text",
    }
