"""Figures of the memory of a place and of the 23Na relaxation that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .temperature_points import against_temperature
from .theme import OKABE_ITO, Figure, Trace, axis, layout, log_axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..quantity import Quantity
    from ..stores.analyses import HopsAnalysis, JumpLawAnalysis

_X = "temperature (K)"


def jump_time_figure(
    runs: Mapping[float, HopsAnalysis], law: JumpLawAnalysis | None
) -> Figure | None:
    """Draw the jump correlation time of each run, and where its law was carried to."""
    carried = [] if law is None else law.points
    groups: dict[str, tuple[list[float], list[Quantity | None]]] = {
        "runs": (sorted(runs), [runs[t].correlation_time_ps for t in sorted(runs)]),
        "Arrhenius law": (
            [point.temperature_k for point in carried],
            [point.correlation_time_ps for point in carried],
        ),
    }
    return _figure(groups, "jump correlation time (ps)")


def relaxation_figure(
    runs: Mapping[float, HopsAnalysis], law: JumpLawAnalysis | None
) -> Figure | None:
    """Draw T1 of 23Na at each Larmor frequency, of the runs and where it was carried to."""
    carried = [] if law is None else law.points
    frequencies = dict.fromkeys(
        [name for run in runs.values() for name in run.t1_ms]
        + [name for point in carried for name in point.t1_ms]
    )
    groups: dict[str, tuple[list[float], list[Quantity | None]]] = {}
    for name in frequencies:
        groups[f"{name} MHz, runs"] = (
            sorted(runs),
            [runs[t].t1_ms.get(name) for t in sorted(runs)],
        )
        groups[f"{name} MHz, Arrhenius law"] = (
            [point.temperature_k for point in carried],
            [point.t1_ms.get(name) for point in carried],
        )
    return _figure(groups, "T<sub>1</sub> of <sup>23</sup>Na (ms)")


def _figure(
    groups: Mapping[str, tuple[Sequence[float], Sequence[Quantity | None]]], title: str
) -> Figure | None:
    traces: list[Trace] = []
    for index, (name, (temperatures, quantities)) in enumerate(groups.items()):
        colour = OKABE_ITO[index // 2 % len(OKABE_ITO)]
        trace = against_temperature(name, temperatures, quantities, colour)
        if trace is not None:
            by_law = index % 2
            if by_law:
                star = [s.replace("circle", "star") for s in trace["marker"]["symbol"]]
                marker = trace["marker"] | {"symbol": star, "size": 13}
                trace |= {"mode": "markers", "marker": marker}
            traces.append(trace)
    if not traces:
        return None
    return {"data": traces, "layout": layout(axis(_X), log_axis(title))}
