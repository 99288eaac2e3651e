"""The figure of the energies of relaxed frames above the hull."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..quantity import Status
from .theme import BLUE, GREY, Figure, axis, fade, layout

if TYPE_CHECKING:
    from ..stores.ensemble_documents import EnsembleDocument

_MEV_PER_EV = 1000.0


def ensemble_figure(document: EnsembleDocument) -> Figure:
    """Draw the histogram of the frames, and each of them in the order of the run."""
    values = [_MEV_PER_EV * frame.energy_above_hull_ev_per_atom for frame in document.frames]
    sound = [frame.status is Status.OK for frame in document.frames]
    histogram = {
        "type": "histogram",
        "y": values,
        "xaxis": "x2",
        "marker": {"color": fade(BLUE, 0.35), "line": {"color": BLUE, "width": 1}},
        "name": "frames",
        "hoverinfo": "y+x",
    }
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": [frame.frame + 1 for frame in document.frames],
        "y": values,
        "marker": {
            "size": 8,
            "color": [fade(BLUE, 0.9) if good else fade(GREY, 0.4) for good in sound],
        },
        "hovertext": [
            f"frame {frame.frame + 1}: {value:.1f} meV/atom, {frame.density_g_cm3:.2f} g/cm³, "
            f"{frame.status.value}"
            for frame, value in zip(document.frames, values, strict=True)
        ],
        "hoverinfo": "text",
        "name": "frames in order",
    }
    x = axis("frame, in the order of the run") | {"domain": [0, 0.7]}
    y = axis("above the hull (meV/atom)")
    made = layout(x, y, showlegend=False)
    made["xaxis2"] = axis("frames") | {"domain": [0.75, 1.0]}
    return {"data": [points, histogram], "layout": made}
