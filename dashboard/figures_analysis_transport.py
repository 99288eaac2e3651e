"""Figures of how ions move: alone and in concert, by species and by pairs, hop by hop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .menus import with_menu
from .temperature_points import against_temperature
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
    temperature_colour,
    text,
    trusted,
)
from .two_panels import filled
from .wording import quantity_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..quantity import Quantity
    from ..stores.analyses import CurveAnalysis, HopsAnalysis, TransportAnalysis

_LINE: Trace = {"type": "scatter", "mode": "lines"}
MSD_TITLE = "MSD (Å²)"
LAG_TITLE = "lag (ps)"
_AXES = ("slowest direction", "middle", "fastest")


def collective_msd_figure(runs: Mapping[str, TransportAnalysis]) -> Figure | None:
    """Draw the self (solid) and the collective (dashed) squared displacement of the mobile ions."""
    traces: list[Trace] = []
    mobile = ""
    for index, (name, run) in enumerate(runs.items()):
        mobile = run.mobile
        colour = temperature_colour(index, len(runs))
        for label, dash, values in (
            ("self", "solid", run.msd_self_a2),
            ("collective", "dash", run.msd_collective_a2),
        ):
            points = [p for p in zip(run.lags_ps, values, strict=True) if min(p) > 0]
            if points:
                line = {"color": colour, "dash": dash, "width": 1.8}
                trace = _LINE | {"name": _joined(label, name), "line": line}
                hover = "%{x:.3g} ps: %{y:.3g} Å²<extra>%{fullData.name}</extra>"
                traces.append(trace | _xy(points) | {"hovertemplate": hover})
    if not traces:
        return None
    y = log_axis(f"MSD of {text(mobile)}, self and collective (Å²)")
    return {"data": traces, "layout": layout(log_axis(LAG_TITLE), y)}


def _joined(label: str, name: str) -> str:
    return text(f"{label}, {name}" if name else label)


def _xy(points: Sequence[tuple[float, float]]) -> Trace:
    return {"x": [x for x, _ in points], "y": [y for _, y in points]}


def species_msd_figure(runs: Mapping[str, TransportAnalysis]) -> Figure | None:
    """Draw the squared displacement of every species, relative to the framework."""
    return with_menu(
        {name: _curves(run.msd_by_species_a2) for name, run in runs.items()},
        layout(log_axis(LAG_TITLE), log_axis(MSD_TITLE)),
    )


def cross_displacement_figure(runs: Mapping[str, TransportAnalysis]) -> Figure | None:
    """Draw the mean cross-displacements of unlike species against the lag, with their errors."""
    return with_menu(
        {
            name: _curves(
                {
                    pair: curve
                    for pair, curve in run.cross_displacement_a2.items()
                    if len(set(pair.split("-"))) > 1
                },
                band=True,
            )
            for name, run in runs.items()
        },
        layout(axis(LAG_TITLE, rangemode="tozero"), axis("MCD per mobile ion (Å²)", zeroline=True)),
    )


def _curves(curves: Mapping[str, CurveAnalysis], *, band: bool = False) -> list[Trace]:
    traces: list[Trace] = []
    for index, (name, curve) in enumerate(curves.items()):
        if not curve.x:
            continue
        colour = OKABE_ITO[index % len(OKABE_ITO)]
        if band and curve.sd:
            traces.append(_band(curve, colour))
        hover = "%{x:.3g}: %{y:.3g}<extra>%{fullData.name}</extra>"
        line = {"line": {"color": colour, "width": 1.8}, "hovertemplate": hover}
        traces.append(_LINE | line | {"name": text(name), "x": curve.x, "y": curve.y})
    return traces


def _band(curve: CurveAnalysis, colour: str) -> Trace:
    known = [
        (x, y, sd) for x, y, sd in zip(curve.x, curve.y, curve.sd, strict=True) if sd is not None
    ]
    upper = [(x, y + sd) for x, y, sd in known]
    lower = [(x, y - sd) for x, y, sd in reversed(known)]
    filled = {"fill": "toself", "fillcolor": fade(colour, 0.15), "line": {"width": 0}}
    return _LINE | filled | _xy(upper + lower) | {"hoverinfo": "skip", "showlegend": False}


def conductivity_pair_figure(runs: Mapping[str, TransportAnalysis]) -> Figure | None:
    """Draw both conductivities and the Haven ratio against the temperature."""
    known = [run for run in runs.values() if run.temperature_k is not None and run.sigma_ms_cm]
    if len(known) < 2:  # noqa: PLR2004  (a dependence)
        return None
    temperatures = [float(run.temperature_k or 0.0) for run in known]
    traces = [
        _points("ions alone", temperatures, [run.sigma_ne_ms_cm for run in known], OKABE_ITO[0]),
        _points("collective", temperatures, [run.sigma_ms_cm for run in known], OKABE_ITO[1]),
        _points("Haven ratio", temperatures, [run.haven_ratio for run in known], GREY)
        | {"yaxis": "y2"},
    ]
    x = axis("temperature (K)", mirror="all", anchor="y2")
    y = log_axis("σ (mS cm<sup>−1</sup>)", domain=[0.38, 1.0])
    ratio = axis("Haven ratio", domain=[0.0, 0.28], rangemode="tozero")
    traces = [trace for trace in traces if trace["x"]]
    figure = {"data": traces, "layout": layout(x, y, yaxis2=ratio, height=480)}
    return filled(figure, "conductivity", "Haven ratio") if traces else None


def _points(
    name: str, xs: Sequence[float], quantities: Sequence[Quantity | None], colour: str
) -> Trace:
    rows = [(x, q) for x, q in zip(xs, quantities, strict=True) if q and q.value is not None]
    values = [float(q.value or 0.0) for _, q in rows]
    symbols = ["circle" if trusted(q) else "circle-open" for _, q in rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [x for x, _ in rows],
        "y": values,
        "error_y": error_bars(values, [q for _, q in rows], colour=fade(colour, 0.5)),
        "marker": {"color": colour, "size": 9, "symbol": symbols, "line": {"width": 1.6}},
        "hovertext": [f"{x:g} K: {quantity_text(q)}" for x, q in rows],
        "hoverinfo": "text",
    }


def direction_figure(runs: Mapping[float, TransportAnalysis]) -> Figure | None:
    """Draw diffusivity and collective conductivity along the principal axes of diffusion."""
    temperatures = sorted(runs)
    traces: list[Trace] = []
    for place, name in (("y", "principal_diffusivities_cm2_s"), ("y2", "principal_sigmas_ms_cm")):
        for index, label in enumerate(_AXES):
            known = [getattr(runs[t], name)[index : index + 1] for t in temperatures]
            quantities = [rows[0] if rows else None for rows in known]
            colour = OKABE_ITO[index]
            trace = against_temperature(label, temperatures, quantities, colour)
            if trace is not None:
                traces.append(trace | {"yaxis": place, "showlegend": place == "y"})
    if not traces:
        return None
    x = axis("temperature (K)", mirror="all", anchor="y2")
    above = log_axis("D (cm<sup>2</sup> s<sup>−1</sup>)", domain=[0.54, 1.0])
    below = log_axis("σ (mS cm<sup>−1</sup>)", domain=[0.0, 0.44])
    figure = {"data": traces, "layout": layout(x, above, yaxis2=below, height=520)}
    return filled(figure, "diffusivity along the axes", "collective conductivity along the axes")


def hop_length_figure(runs: Mapping[str, HopsAnalysis]) -> Figure | None:
    """Draw the distribution of hop lengths."""
    traces: list[Trace] = []
    for index, (name, run) in enumerate(runs.items()):
        if run.length_a:
            colour = temperature_colour(index, len(runs))
            traces.append(
                _LINE
                | {
                    "name": text(name or f"{run.n_hops} hops"),
                    "x": run.length_a,
                    "y": run.length_per_a,
                    "line": {"color": colour, "shape": "hvh", "width": 1.8},
                    "hovertemplate": "%{x:.2f} Å: %{y:.2f} per Å<extra>%{fullData.name}</extra>",
                }
            )
    if not traces:
        return None
    x, y = axis("hop length (Å)", rangemode="tozero"), axis("share of hops per Å")
    return {"data": traces, "layout": layout(x, y)}


def van_hove_figure(runs: Mapping[str, HopsAnalysis]) -> Figure | None:
    """Draw how far ions come in some lags: the self part of the van Hove function."""
    return with_menu(
        {name: _curves(run.van_hove) for name, run in runs.items()},
        layout(axis("r (Å)", rangemode="tozero"), axis("4πr²G<sub>s</sub>(r, t) (Å<sup>−1</sup>)")),
    )
