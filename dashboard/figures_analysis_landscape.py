"""Figures of the landscape of the mobile ions: free energy, density, barcodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .menus import with_menu
from .theme import OKABE_ITO, Figure, Trace, axis, layout, temperature_colour, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..stores.analyses import BarcodeAnalysis, LandscapeAnalysis, PlaneAnalysis

_VECTORS = ("a", "b", "c")


def free_energy_figure(runs: Mapping[str, LandscapeAnalysis]) -> Figure | None:
    """Draw the lowest F seen along each cell vector; a menu chooses run and direction."""
    return _planes(
        {name: run.slices_ev for name, run in runs.items()}, "F (eV)", "Viridis", reverse=True
    )


def density_projection_figure(runs: Mapping[str, LandscapeAnalysis]) -> Figure | None:
    """Draw the density of the mobile ions summed along each cell vector."""
    return _planes(
        {name: run.density_per_a2 for name, run in runs.items()}, "ions Å<sup>−2</sup>", "Viridis"
    )


def _planes(
    runs: Mapping[str, list[PlaneAnalysis]], title: str, scale: str, *, reverse: bool = False
) -> Figure | None:
    traces: dict[str, list[Trace]] = {}
    changes = {}
    for name, planes in runs.items():
        for plane in planes:
            label = f"{name}, along {plane.across}" if name else f"along {plane.across}"
            traces[label] = [_heatmap(plane, title, scale, reverse=reverse)]
            first, second = (v for v in _VECTORS if v != plane.across)
            changes[label] = {
                "xaxis.title.text": f"along {first} (Å)",
                "yaxis.title.text": f"along {second} (Å)",
            }
    x, y = axis("Å", constrain="domain"), axis("Å", scaleanchor="x", constrain="domain")
    figure = with_menu(traces, layout(x, y, height=460), changes)
    if figure is not None:
        shown = changes[next(iter(traces))]
        for key, value in shown.items():
            figure["layout"].pop(key, None)
            figure["layout"][key.partition(".")[0]]["title"]["text"] = value
    return figure


def _heatmap(plane: PlaneAnalysis, title: str, scale: str, *, reverse: bool) -> Trace:
    """Draw the values over the lengths of the two vectors, as if they were square to each other."""
    first, second = (sum(x * x for x in vector) ** 0.5 for vector in plane.axes_a)
    n_first, n_second = len(plane.values), len(plane.values[0])
    return {
        "type": "heatmap",
        "x": [first * (i + 0.5) / n_first for i in range(n_first)],
        "y": [second * (j + 0.5) / n_second for j in range(n_second)],
        "z": [list(row) for row in zip(*plane.values, strict=True)],
        "colorscale": scale,
        "reversescale": reverse,
        "colorbar": {"title": {"text": title}, "thickness": 14},
        "hovertemplate": "%{x:.1f} Å, %{y:.1f} Å: %{z:.3g}<extra></extra>",
    }


def free_energy_histogram_figure(runs: Mapping[str, LandscapeAnalysis]) -> Figure | None:
    """Draw the distribution of F over the voxels that ions visited."""
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": text(name or "visited voxels"),
            "x": run.histogram_ev,
            "y": run.histogram_per_ev,
            "line": {"color": temperature_colour(index, len(runs)), "shape": "hvh", "width": 1.8},
            "hovertemplate": "%{x:.2f} eV: %{y:.2f} per eV<extra>%{fullData.name}</extra>",
        }
        for index, (name, run) in enumerate(runs.items())
        if run.histogram_ev
    ]
    if not traces:
        return None
    x = axis("F (eV)", rangemode="tozero")
    return {"data": traces, "layout": layout(x, axis("share of visited voxels per eV"))}


def barcode_figure(runs: Mapping[str, list[BarcodeAnalysis]]) -> Figure | None:
    """Draw the bars of one frame, by set of atoms and dimension; a menu chooses."""
    groups: dict[str, list[Trace]] = {}
    for name, barcodes in runs.items():
        for barcode in barcodes:
            what = f"b{barcode.dimension} of the {barcode.atoms}"
            groups[f"{name}, {what}" if name else what] = _bars(barcode)
    x = axis("distance (Å)", rangemode="tozero")
    return with_menu(groups, layout(x, axis("bar", showticklabels=False)))


def _bars(barcode: BarcodeAnalysis) -> list[Trace]:
    bars = sorted(barcode.bars_a, key=lambda bar: (bar[0], bar[1] or float("inf")))
    if not bars:
        return []
    longest = max([death for _, death in bars if death] or [barcode.betti_r_a[-1]])
    xs: list[float | None] = []
    ys: list[float | None] = []
    for row, (birth, death) in enumerate(bars):
        xs += [birth, death if death is not None else 1.05 * longest, None]
        ys += [float(row), float(row), None]
    colour = OKABE_ITO[barcode.dimension % len(OKABE_ITO)]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{len(bars)} bars",
            "x": xs,
            "y": ys,
            "line": {"color": colour, "width": 1.5},
            "hovertemplate": "%{x:.2f} Å<extra></extra>",
        }
    ]


def betti_figure(runs: Mapping[str, list[BarcodeAnalysis]]) -> Figure | None:
    """Draw how many features are alive at each distance, mean over frames."""
    traces: dict[str, list[Trace]] = {}
    for name, barcodes in runs.items():
        for barcode in barcodes:
            what = f"b{barcode.dimension} of the {barcode.atoms}"
            traces.setdefault(what, []).append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": text(name or what),
                    "x": barcode.betti_r_a,
                    "y": barcode.betti,
                    "line": {"width": 1.8},
                    "hovertemplate": "%{x:.2f} Å: %{y:.1f}<extra>%{fullData.name}</extra>",
                }
            )
    return with_menu(traces, layout(axis("distance (Å)"), axis("features", rangemode="tozero")))
