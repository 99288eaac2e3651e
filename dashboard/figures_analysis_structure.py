"""Figures of the structure of runs: pairs, scattering, polyhedra, chains, octahedra."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..quantity import TWO_SIDED_95
from .menus import with_menu
from .theme import OKABE_ITO, Figure, Trace, axis, error_bars, fade, layout, pretty, text, trusted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..quantity import Quantity
    from ..stores.analyses import (
        OctahedraAnalysis,
        PatternAnalysis,
        PopulationAnalysis,
        ScatteringAnalysis,
        SpeciationAnalysis,
        StructureAnalysis,
    )

_MOST_BARS = 12
_SHELLS_A = 6.0
_MOST_NEIGHBOURS = 16
_LINE: Trace = {"type": "scatter", "mode": "lines"}
_CORRELATIONS: Final = {
    "bridge_intra_chain": ("O–M–O, in a chain", "circle"),
    "bridge_inter_chain": ("O–M–O, between chains", "square"),
    "terminal_intra_chain": ("Cl–M–Cl, in a chain", "circle"),
    "terminal_inter_chain": ("Cl–M–Cl, between chains", "square"),
    "fourfold_intra_chain": ("roll, in a chain", "circle"),
    "fourfold_inter_chain": ("roll, between chains", "square"),
}

_AXIS_COLOURS: Final = {"bridge": OKABE_ITO[0], "terminal": OKABE_ITO[2], "fourfold": OKABE_ITO[1]}


def pair_figure(runs: Mapping[str, StructureAnalysis]) -> Figure | None:
    """Draw g(r) of all pairs with the coordination numbers in the legend."""
    groups = {}
    for name, run in runs.items():
        traces = []
        for index, (pair, rdf) in enumerate(run.rdf.items()):
            shell = run.coordination.get(pair)
            shown = f"{pair} ({shell.n:.2f} within {shell.cutoff_a:.2f} Å)" if shell else pair
            traces.append(
                _LINE
                | {
                    "name": text(shown),
                    "x": rdf.r_a,
                    "y": rdf.g,
                    "line": {"color": OKABE_ITO[index % len(OKABE_ITO)], "width": 1.6},
                    "visible": True if index < len(OKABE_ITO) else "legendonly",
                    "hovertemplate": f"%{{x:.2f}} Å: %{{y:.2f}}<extra>{text(pair)}</extra>",
                }
            )
        groups[name] = traces
    return with_menu(
        groups, layout(axis("r (Å)", rangemode="tozero"), axis("g(r)", rangemode="tozero"))
    )


def coordination_figure(runs: Mapping[str, StructureAnalysis]) -> Figure | None:
    """Draw the mean number of the second species within r of the first, of all pairs."""
    groups = {
        name: [
            _LINE
            | {
                "name": text(pair),
                "x": rdf.r_a,
                "y": rdf.running_coordination,
                "line": {"color": OKABE_ITO[index % len(OKABE_ITO)], "width": 1.6},
                "visible": True if index < len(OKABE_ITO) else "legendonly",
                "hovertemplate": f"%{{x:.2f}} Å: %{{y:.2f}}<extra>{text(pair)}</extra>",
            }
            for index, (pair, rdf) in enumerate(run.rdf.items())
            if rdf.running_coordination
        ]
        for name, run in runs.items()
    }
    x = axis("r (Å)", range=[0, _SHELLS_A])
    return with_menu(groups, layout(x, axis("neighbours within r", range=[0, _MOST_NEIGHBOURS])))


def scattering_figures(
    runs: Mapping[str, StructureAnalysis],
) -> list[tuple[str, str, Figure | None]]:
    """Return title, caption and figure of S(q), G(r) and the powder pattern."""
    known = {name: run.scattering for name, run in runs.items() if run.scattering}
    if not known:
        return []
    first = next(iter(known.values()))
    crystals = {name: one for run in known.values() for name, one in run.crystals.items()}
    range_text = f"q up to {first.q_max_inv_a:.1f} Å⁻¹, {first.window} window"
    return [
        (
            "X-ray structure factor",
            f"Faber-Ziman S(q): {_with_units(first.method)}.",
            _lines(known, "q_inv_a", "s", "q (Å<sup>−1</sup>)", "S(q)"),
        ),
        (
            "Reduced pair distribution function",
            f"G(r) as a measurement would give it: {range_text}.",
            _lines(known, "r_a", "g_inv_a2", "r (Å)", "G(r) (Å<sup>−2</sup>)"),
        ),
        (
            "Powder pattern",
            "Cu K-alpha, with polarisation; per atom.",
            _lines(known, "two_theta_deg", "intensity_e2_per_atom", "2θ (°)", "intensity"),
        ),
        (
            "Powder pattern beside the crystal's",
            "Each relative to its highest point; the crystal at rest, by its structure.",
            powder_overview({**{name or "sample": one for name, one in known.items()}, **crystals})
            if crystals
            else None,
        ),
    ]


def _with_units(words: str) -> str:
    """Write the units that an analysis names in ASCII as those of axes."""
    return re.sub(r"(?<=\d) A\b", " Å", words.replace(" 1/A", " Å⁻¹"))


def _lines(
    known: Mapping[str, ScatteringAnalysis], x: str, y: str, x_title: str, y_title: str
) -> Figure:
    traces = [
        _LINE
        | {
            "name": text(name or "run"),
            "x": getattr(one, x),
            "y": getattr(one, y),
            "line": {"color": OKABE_ITO[index % len(OKABE_ITO)], "width": 1.6},
            "hovertemplate": "%{x:.2f}: %{y:.3g}<extra>%{fullData.name}</extra>",
        }
        for index, (name, one) in enumerate(known.items())
    ]
    return {"data": traces, "layout": layout(axis(x_title), axis(y_title))}


def powder_overview(
    patterns: Mapping[str, ScatteringAnalysis | PatternAnalysis],
) -> Figure | None:
    """Draw the patterns of several samples on one axis, each relative to its highest point."""
    if len(patterns) < 2:  # noqa: PLR2004  (one has nothing to be compared with)
        return None
    traces = [
        _LINE
        | {
            "name": text(pretty(name)),
            "x": one.two_theta_deg,
            "y": [value / max(one.intensity_e2_per_atom) for value in one.intensity_e2_per_atom],
            "line": {"color": OKABE_ITO[index % len(OKABE_ITO)], "width": 1.5},
            "hovertemplate": "%{x:.1f}°<extra>%{fullData.name}</extra>",
        }
        for index, (name, one) in enumerate(patterns.items())
    ]
    return {"data": traces, "layout": layout(axis("2θ (°)"), axis("relative intensity"))}


def cell_length_figure(runs: Mapping[float, StructureAnalysis]) -> Figure | None:
    """Draw the cell lengths against T, relative to the coldest run."""
    temperatures = sorted(runs)
    if len(temperatures) < 2:  # noqa: PLR2004  (a dependence)
        return None
    traces = []
    for index, name in enumerate("abc"):
        lengths = [runs[t].cell_lengths_a[index] for t in temperatures]
        first = lengths[0].value or 1.0
        values = [(length.value or 0.0) / first for length in lengths]
        colour = OKABE_ITO[index]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{name} ({first:.2f} Å)",
                "x": temperatures,
                "y": values,
                "error_y": error_bars(values, lengths, scale=1 / first, colour=fade(colour, 0.5)),
                "line": {"color": colour, "width": 1.5},
                "marker": {"size": 8},
            }
        )
    x, y = axis("temperature (K)"), axis("length over that of the coldest run")
    return {"data": traces, "layout": layout(x, y)}


def speciation_figure(runs: Mapping[str, SpeciationAnalysis]) -> Figure | None:
    """Draw the populations of polyhedra; grey ends show other cut-offs."""
    return with_menu(
        {name: _bars(run.populations, "polyhedra") for name, run in runs.items()},
        layout(axis("", type="category"), axis("share of polyhedra", rangemode="tozero")),
    )


def chain_figure(runs: Mapping[str, SpeciationAnalysis]) -> Figure | None:
    """Draw the distribution of chain lengths by distance and by bridges, endless ones apart."""
    groups = {}
    for name, run in runs.items():
        traces: list[Trace] = []
        for index, chains in enumerate((run.chains_by_distance, run.chains_by_bridges)):
            known = sorted(chains.lengths.items(), key=lambda row: int(row[0]))
            rows = {length: share for length, share in known if share.value > 0}
            if chains.endless.value > 0:
                rows["endless"] = chains.endless
            traces += _bars(rows, _with_units(chains.rule), colour=OKABE_ITO[index], most=len(rows))
        groups[name] = traces
    x = axis("formers in a chain", type="category")
    return with_menu(groups, layout(x, axis("share of chains", rangemode="tozero")))


def sharing_figure(runs: Mapping[str, SpeciationAnalysis]) -> Figure | None:
    """Draw what the anions do, and how neighbouring polyhedra are joined."""
    groups = {}
    for name, run in runs.items():
        rows = {
            f"{ligand} {role}": share
            for ligand, roles in run.roles.items()
            for role, share in roles.items()
            if share.value > 0
        }
        groups[name] = _bars(rows, "share of the anions") + _bars(
            {f"{mode} sharing": share for mode, share in run.sharing.items()},
            "neighbours per former",
            colour=OKABE_ITO[1],
        )
    return with_menu(groups, layout(axis("", type="category"), axis("", rangemode="tozero")))


def _bars(
    rows: Mapping[str, PopulationAnalysis],
    name: str,
    *,
    colour: str = OKABE_ITO[0],
    most: int = _MOST_BARS,
) -> list[Trace]:
    if not rows:
        return []
    shown = list(rows.items())[:most]
    return [
        {
            "type": "bar",
            "name": text(name),
            "x": [text(pretty(label)) for label, _ in shown],
            "y": [row.value for _, row in shown],
            "error_y": {
                "type": "data",
                "array": [TWO_SIDED_95 * (row.sd or 0.0) for _, row in shown],
                "thickness": 1.4,
                "width": 4,
            },
            "marker": {"color": fade(colour, 0.75)},
            "hovertext": [
                f"{text(pretty(label))}: {row.value:.3f}<br>shorter cut-offs {row.at_shorter:.3f}, "
                f"longer {row.at_longer:.3f}"
                for label, row in shown
            ],
            "hoverinfo": "text",
        }
    ]


def axis_correlation_figure(runs: Mapping[float, OctahedraAnalysis]) -> Figure | None:
    """Draw how far the axes of octahedra agree, in chains and between them, against T."""
    temperatures = sorted(runs)
    traces: list[Trace] = []
    for key, (name, symbol) in _CORRELATIONS.items():
        found = [(t, runs[t].correlation.get(key)) for t in temperatures]
        rows = [(t, q) for t, q in found if q is not None and q.value is not None]
        if rows:
            colour = _AXIS_COLOURS[key.partition("_")[0]]
            traces.append(_correlation(name, rows, colour, symbol))
    if not traces:
        return None
    x, y = axis("temperature (K)"), axis("⟨C<sub>ij</sub>⟩", range=[-0.1, 1.05])
    return {"data": traces, "layout": layout(x, y)}


def _correlation(
    name: str, rows: Sequence[tuple[float, Quantity]], colour: str, symbol: str
) -> Trace:
    values = [float(q.value or 0.0) for _, q in rows]
    symbols = [symbol if trusted(q) else f"{symbol}-open" for _, q in rows]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [t for t, _ in rows],
        "y": values,
        "error_y": error_bars(values, [q for _, q in rows], colour=fade(colour, 0.5)),
        "line": {"color": colour, "width": 1.5, "dash": "solid" if symbol == "circle" else "dash"},
        "marker": {"symbol": symbols, "size": 9, "color": colour, "line": {"width": 1.5}},
    }


def ligand_angle_figure(runs: Mapping[str, OctahedraAnalysis]) -> Figure | None:
    """Draw where terminal ligands point about their chain, over the angle about it."""
    traces: list[Trace] = []
    for index, (name, run) in enumerate(runs.items()):
        if run.ligand_angle_deg:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": text(name or "ligands"),
                    "x": run.ligand_angle_deg,
                    "y": run.ligand_density_per_degree,
                    "line": {"color": OKABE_ITO[index % len(OKABE_ITO)], "width": 1.8},
                }
            )
    if not traces:
        return None
    x = axis("angle about the chain (°)", dtick=60)
    y = axis("density (per degree)", rangemode="tozero")
    return {"data": traces, "layout": layout(x, y)}
