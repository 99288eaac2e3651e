"""Figures of one candidate's making: its place on the hull, its density, its structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymatgen.core import Composition

from .cautions import caution_line, marked
from .theme import (
    GREEN,
    GREY,
    OKABE_ITO,
    VERMILLION,
    Figure,
    Trace,
    axis,
    error_bars,
    layout,
    pretty,
    text,
    trusted,
)
from .wording import MEV_PER_EV, decomposition_text, energy_text, quantity_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..stores.documents import HullDocument, HullEntry, MeltQuenchDocument

_ON_HULL_EV = 1e-4


def hull_figure(document: HullDocument, mobile: str = "Na") -> Figure:
    """Draw formation energies against the fraction of the mobile ion.

    The system has more than two components, so this is a projection. Lines join the
    candidate's products of decomposition; their mixture lies straight below (or above) the
    candidate, at the distance E_hull.
    """
    products = {product.phase_id for product in document.decomposition}
    groups: dict[str, list[HullEntry]] = {"above the hull": [], "on the hull": [], "products": []}
    for entry in document.entries:
        on_hull = entry.energy_above_hull_ev_per_atom <= _ON_HULL_EV
        name = "on the hull" if on_hull else "above the hull"
        groups["products" if entry.phase_id in products else name].append(entry)
    looks = {
        "above the hull": {"symbol": "circle-open", "size": 8, "color": GREY},
        "on the hull": {"symbol": "circle", "size": 8, "color": GREY},
        "products": {"symbol": "circle", "size": 12, "color": GREEN},
    }
    x = mobile_fraction(document.formula, mobile)
    traces = _tie_lines(document, groups["products"], x, mobile)
    for name, entries in groups.items():
        if entries:
            trace = _entries_trace(name, entries, looks[name], mobile)
            if name == "products":
                y = document.formation_energy_ev_per_atom
                trace["textposition"] = [
                    "top center" if entry.formation_energy_ev_per_atom > y else "bottom center"
                    for entry in entries
                ]
            traces.append(trace)
    traces += _candidate_traces(document, x)
    return {
        "data": traces,
        "layout": layout(
            axis(f"atomic fraction of {text(mobile)}"),
            axis("formation energy (eV/atom)"),
            height=440,
        ),
    }


def mobile_fraction(formula: str, mobile: str) -> float:
    """Return the atomic fraction of `mobile` in `formula`."""
    return float(Composition(formula).get_atomic_fraction(mobile))


def _entries_trace(name: str, entries: list[HullEntry], look: dict[str, Any], mobile: str) -> Trace:
    labelled = name == "products"
    return {
        "type": "scatter",
        "mode": "markers+text" if labelled else "markers",
        "name": name,
        "x": [mobile_fraction(entry.formula, mobile) for entry in entries],
        "y": [entry.formation_energy_ev_per_atom for entry in entries],
        "text": [text(pretty(marked(entry.formula, entry.phase_id))) for entry in entries],
        "marker": {**look, "line": {"width": 1.5, "color": look["color"]}},
        "hovertext": [
            f"<b>{text(pretty(entry.formula))}</b> {text(entry.phase_id)} ({text(entry.role)})<br>"
            f"formation {entry.formation_energy_ev_per_atom:.3f} eV/atom<br>"
            f"above hull {entry.energy_above_hull_ev_per_atom * MEV_PER_EV:.1f} meV/atom"
            f"{caution_line(entry.phase_id)}"
            for entry in entries
        ],
        "hoverinfo": "text",
    }


def _tie_lines(
    document: HullDocument, products: list[HullEntry], x: float, mobile: str
) -> list[Trace]:
    hull_y = _hull_energy(document)
    xs: list[float | None] = []
    ys: list[float | None] = []
    for entry in products:
        xs += [mobile_fraction(entry.formula, mobile), x, None]
        ys += [entry.formation_energy_ev_per_atom, hull_y, None]
    if not xs or hull_y is None:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": xs,
            "y": ys,
            "line": {"color": GREEN, "width": 1, "dash": "dot"},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]


def _hull_energy(document: HullDocument) -> float | None:
    above = document.energy_above_hull_ev_per_atom.value
    return None if above is None else document.formation_energy_ev_per_atom - above


def _candidate_traces(document: HullDocument, x: float) -> list[Trace]:
    quantity = document.energy_above_hull_ev_per_atom
    y, hull_y = document.formation_energy_ev_per_atom, _hull_energy(document)
    traces: list[Trace] = []
    if hull_y is not None:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"E<sub>hull</sub> {energy_text(quantity)} meV/atom",
                "x": [x, x],
                "y": [hull_y, y],
                "line": {"color": VERMILLION, "width": 4},
                "hoverinfo": "skip",
            }
        )
    products = text(pretty(decomposition_text(document.decomposition)))
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": text(pretty(document.formula)),
            "x": [x],
            "y": [y],
            "marker": {
                "symbol": "star" if trusted(quantity) else "star-open",
                "size": 16,
                "color": VERMILLION,
                "line": {"width": 0 if trusted(quantity) else 2, "color": VERMILLION},
            },
            "hovertext": f"<b>{text(pretty(document.formula))}</b><br>"
            f"formation {y:.3f} eV/atom<br>"
            f"E_hull {energy_text(quantity)} meV/atom<br>→ {products}",
            "hoverinfo": "text",
        }
    )
    return traces


def density_figure(glasses: Mapping[str, MeltQuenchDocument]) -> Figure | None:
    """Draw the densities of the equilibration blocks beside crystal and component sum."""
    traces: list[Trace] = []
    for index, (name, glass) in enumerate(glasses.items()):
        colour = OKABE_ITO[index % len(OKABE_ITO)]
        blocks = glass.density_blocks_g_cm3
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{text(name)} (seed {glass.seed})",
                "x": list(range(1, len(blocks) + 1)),
                "y": blocks,
                "line": {"color": colour, "width": 2},
                "marker": {"size": 7},
                "hovertemplate": "block %{x}: %{y:.3f} g/cm³<extra></extra>",
            }
        )
        final = glass.density_g_cm3
        if final.value is not None and blocks:
            traces.append(_final_density(glass, len(blocks), colour))
    if not traces:
        return None
    first = next(iter(glasses.values()))
    references = {"components": first.density_components_g_cm3}
    if first.density_crystal_g_cm3 is not None:
        references["crystal"] = first.density_crystal_g_cm3
    shapes, notes = _reference_lines(references)
    x = axis("block of the NPT equilibration", dtick=1)
    y = axis("density (g cm<sup>−3</sup>)")
    return {"data": traces, "layout": layout(x, y, shapes=shapes, annotations=notes)}


def _final_density(glass: MeltQuenchDocument, n_blocks: int, colour: str) -> Trace:
    value = float(glass.density_g_cm3.value or 0.0)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "result",
        "x": [n_blocks + 0.5],
        "y": [value],
        "error_y": error_bars([value], [glass.density_g_cm3], colour=colour),
        "marker": {
            "symbol": "star" if trusted(glass.density_g_cm3) else "star-open",
            "size": 12,
            "color": colour,
        },
        "showlegend": False,
        "hovertemplate": f"{quantity_text(glass.density_g_cm3)} g/cm³<extra></extra>",
    }


def _reference_lines(references: Mapping[str, float]) -> tuple[list[Figure], list[Figure]]:
    lines: Sequence[Figure] = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": value,
            "y1": value,
            "line": {"color": GREY, "width": 1.2, "dash": "dash"},
        }
        for value in references.values()
    ]
    notes: Sequence[Figure] = [
        {"xref": "paper", "x": 1, "xanchor": "right", "y": value, "yanchor": "bottom"}
        | {"text": name, "showarrow": False}
        for name, value in references.items()
    ]
    return list(lines), list(notes)
