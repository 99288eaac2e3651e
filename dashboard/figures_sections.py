"""Figures of sweeps on the hull: pseudo-binary, ternary, and salt that segregates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..quantity import Quantity
from ..workflows.sections import sweep_sections
from .cautions import caution_line, caution_notes, marked
from .theme import (
    GREEN,
    GREY,
    VERMILLION,
    Figure,
    Trace,
    axis,
    error_bars,
    fade,
    layout,
    pretty,
    text,
    trusted,
)
from .wording import MEV_PER_EV, energy_text, formula_units_text, hull_error_note, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..workflows.sections import SectionCandidate, SectionPhase, SweepSection
    from .view import CandidateView

    Section = SweepSection[CandidateView]
    Shown = SectionCandidate[CandidateView]

_ON_HULL_EV = 1e-4
_SAME_FRACTION = 1e-6
_TERNARY_HEIGHT = 520
_TERNARY_CAPTION = (
    "Lines join phases that coexist within this triangle; hollow phases lie above the hull. "
    "Stars: candidates."
)
_SEGREGATION_CAPTION = (
    "Energy gained per atom of the candidate. Green: the rest falls into the phases of the hull, "
    "full where their mixture holds the salt. Dotted: the rest stays a glass of this sweep."
)


def section_figures(
    views: Sequence[CandidateView], *, segregation: bool = True
) -> list[tuple[str, str, str, Figure | None]]:
    """Return id, title, caption and figure for each set of components swept over.

    Parameters
    ----------
    views
        Candidates with their hulls.
    segregation
        Compare glasses that lose salt to each other, see
        :func:`~haloflow.workflows.sections.sweep_sections`.
    """
    figures: list[tuple[str, str, str, Figure | None]] = []
    sections = sweep_sections(views, segregation=segregation)
    for index, section in enumerate(sections, start=1):
        of = pretty(" – ".join(section.components))
        along = (
            "Energies against the unmixed components; the hull is that of all phases, at its "
            f"dots the phases change. {hull_error_note(section.level)}"
        )
        models = " ".join(caution_notes(_shown(section)))
        figures += [
            (
                f"overview-section-{index}",
                f"Hull along {of}",
                f"{along} {models}",
                pseudo_binary_figure(section),
            ),
            (
                f"overview-ternary-{index}",
                f"Phases of {of}",
                f"{_TERNARY_CAPTION} {models}",
                ternary_figure(section),
            ),
            (
                f"overview-segregation-{index}",
                f"Salt that leaves {of}",
                _SEGREGATION_CAPTION,
                segregation_figure(section),
            ),
        ]
    return figures


def _shown(section: Section) -> list[str]:
    """Return the ids of the phases that the figures of a section name."""
    of_triangle = section.triangle.phases if section.triangle is not None else ()
    return [
        *(phase.entry.phase_id for phase in (*section.line.phases, *of_triangle)),
        *(product.phase_id for point in section.line.points for product in point.products),
    ]


def pseudo_binary_figure(section: Section) -> Figure:
    """Draw candidates and the hull below them, relative to the unmixed components.

    The hull is that of all phases, so most of its mixtures hold phases that do not lie on
    the line between the components.
    """
    points = section.line.points
    known = section.line.phases
    curve: Trace = {
        "type": "scatter",
        "mode": "lines",
        "name": "hull",
        "x": [point.fractions[section.axis] for point in points],
        "y": [point.energy_ev_per_atom * MEV_PER_EV for point in points],
        "line": {"color": GREEN, "width": 2},
        "hovertext": [
            f"hull {point.energy_ev_per_atom * MEV_PER_EV:.1f} meV/atom<br>"
            + text(pretty(formula_units_text(point.products)))
            for point in points
        ],
        "hoverinfo": "text",
    }
    kinks = [point for point in points if point.is_vertex]
    vertices: Trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [point.fractions[section.axis] for point in kinks],
        "y": [point.energy_ev_per_atom * MEV_PER_EV for point in kinks],
        "marker": {"symbol": "circle", "size": 7, "color": GREEN},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    traces = [curve, vertices]
    if known:
        phases = {"x": [phase.fractions[section.axis] for phase in known]}
        traces.append(_phases_trace(known, "scatter", phases, with_energy=True))
    traces += [_candidate_trace(one, section.axis) for one in section.candidates]
    return {
        "data": traces,
        "layout": layout(
            axis(_fraction_title(section)),
            axis("energy against the components (meV/atom)"),
            height=440,
        ),
    }


def _fraction_title(section: Section) -> str:
    others = " + ".join(section.components[:-1])
    return text(pretty(f"mole fraction of {section.axis} in {section.axis} + {others}"))


def _candidate_trace(one: Shown, component: str) -> Trace:
    quantity = one.document.energy_above_hull_ev_per_atom
    value = one.mixing_energy_ev_per_atom * MEV_PER_EV
    error = Quantity(one.mixing_energy_ev_per_atom, quantity.sd)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [one.fractions[component]],
        "y": [value],
        "error_y": error_bars(
            [value], [error], scale=MEV_PER_EV, colour=fade(one.view.colour, 0.4)
        ),
        "marker": _star(one, quantity),
        "customdata": [one.view.summary.candidate_id],
        "hovertext": f"<b>{text(pretty(one.view.title))}</b><br>"
        f"{value:.1f} meV/atom against the components<br>{_hull_line(one)}",
        "hoverinfo": "text",
        "showlegend": False,
    }


def _hull_line(one: Shown) -> str:
    quantity = one.document.energy_above_hull_ev_per_atom
    why = reason(quantity)
    return f"E_hull {energy_text(quantity)} meV/atom" + (f"<br>{text(why)}" if why else "")


def _star(one: Shown, quantity: Quantity) -> dict[str, Any]:
    filled = trusted(quantity)
    return {
        "symbol": "star" if filled else "star-open",
        "size": 13,
        "color": one.view.colour,
        "line": {"width": 0 if filled else 2, "color": one.view.colour},
    }


def _phases_trace(
    phases: Sequence[SectionPhase], kind: str, places: Trace, *, with_energy: bool = False
) -> Trace:
    stable = [phase.energy_above_hull_ev_per_atom <= _ON_HULL_EV for phase in phases]
    trace: Trace = {
        "type": kind,
        "mode": "markers+text",
        "name": "phases of the section",
        "cliponaxis": False,
        **places,
        "text": [
            text(pretty(marked(phase.entry.formula, phase.entry.phase_id)))
            if on_hull and (with_energy or _mixed(phase))
            else ""
            for phase, on_hull in zip(phases, stable, strict=True)
        ],
        "textposition": "top center",
        "marker": {
            "symbol": ["circle" if on_hull else "circle-open" for on_hull in stable],
            "size": 9,
            "color": GREY,
        },
        "hovertext": [
            f"<b>{text(pretty(phase.entry.formula))}</b> {text(phase.entry.phase_id)} "
            f"({text(phase.entry.role)})<br>"
            f"{phase.energy_ev_per_atom * MEV_PER_EV:.1f} meV/atom against the components<br>"
            f"above hull {phase.energy_above_hull_ev_per_atom * MEV_PER_EV:.1f} meV/atom"
            f"{caution_line(phase.entry.phase_id)}"
            for phase in phases
        ],
        "hoverinfo": "text",
    }
    if with_energy:
        trace["y"] = [phase.energy_ev_per_atom * MEV_PER_EV for phase in phases]
    return trace


def _mixed(phase: SectionPhase) -> bool:
    """Tell a phase inside from a corner, which the axes of a triangle name."""
    return max(phase.fractions.values()) < 1 - _SAME_FRACTION


def ternary_figure(section: Section) -> Figure | None:
    """Draw the triangle of three components with the phases in it that coexist."""
    if section.triangle is None:
        return None
    by_id = {phase.entry.phase_id: phase for phase in section.triangle.phases}
    ends = [(by_id[one], by_id[other]) for one, other in section.triangle.tie_lines]
    traces: list[Trace] = [
        {
            "type": "scatterternary",
            "mode": "lines",
            **_corners(section, [one.fractions, other.fractions]),
            "line": {"color": GREEN, "width": 1.2},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for one, other in ends
    ]
    phases = section.triangle.phases
    places = _corners(section, [phase.fractions for phase in phases])
    traces.append(_phases_trace(phases, "scatterternary", places))
    traces += [
        {
            "type": "scatterternary",
            "mode": "markers",
            "cliponaxis": False,
            **_corners(section, [one.fractions]),
            "marker": _star(one, one.document.energy_above_hull_ev_per_atom),
            "customdata": [one.view.summary.candidate_id],
            "hovertext": f"<b>{text(pretty(one.view.title))}</b><br>{_hull_line(one)}",
            "hoverinfo": "text",
            "showlegend": False,
        }
        for one in section.candidates
    ]
    ternary: dict[str, Any] = {"sum": 1}
    for name, component in zip(("baxis", "caxis", "aaxis"), section.components, strict=True):
        ternary[name] = {"title": {"text": text(pretty(component))}, "ticks": "outside"}
    look = layout({}, {}, height=_TERNARY_HEIGHT, ternary=ternary)
    del look["xaxis"], look["yaxis"]
    return {"data": traces, "layout": look | {"margin": {"l": 60, "r": 60, "t": 70, "b": 60}}}


def _corners(section: Section, fractions: Sequence[dict[str, float]]) -> Trace:
    """Return barycentric coordinates, the component of the axis on top."""
    heavy, middle, light = section.components
    return {
        "a": [one[light] for one in fractions],
        "b": [one[heavy] for one in fractions],
        "c": [one[middle] for one in fractions],
    }


def segregation_figure(section: Section) -> Figure | None:
    """Draw what is gained when salt leaves; ``None`` where no candidate can lose any."""
    known = [one for one in section.candidates if one.document.segregation is not None]
    if not known:
        return None
    salt = known[0].document.segregation.salt  # type: ignore[union-attr]  # filtered above
    traces: list[Trace] = [_equilibrium_trace(known, section.axis)]
    stays = [one for one in known if one.homogeneous_gain_ev_per_atom is not None]
    if stays:
        traces.append(_homogeneous_trace(stays, section.axis))
    zero = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0}
    shapes = [zero | {"line": {"color": fade(GREY, 0.6), "width": 1.2}}]
    title = f"gained when {salt} leaves (meV/atom)"
    return {
        "data": traces,
        "layout": layout(
            axis(_fraction_title(section)), axis(text(pretty(title))), height=420, shapes=shapes
        ),
    }


def _equilibrium_trace(known: Sequence[Shown], component: str) -> Trace:
    """Full markers: the equilibrium mixture holds the salt; hollow: it does not."""
    hulls = [one.document for one in known]
    quantities = [hull.energy_above_hull_ev_per_atom for hull in hulls]
    values = [(quantity.value or 0.0) * MEV_PER_EV for quantity in quantities]
    salted = [bool(hull.segregation and hull.segregation.equilibrium_amount) for hull in hulls]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "rest in equilibrium",
        "x": [one.fractions[component] for one in known],
        "y": values,
        "error_y": error_bars(values, quantities, scale=MEV_PER_EV, colour=fade(GREEN, 0.5)),
        "line": {"color": GREEN, "width": 1.5},
        "marker": {
            "symbol": ["circle" if holds else "circle-open" for holds in salted],
            "size": 10,
            "color": GREEN,
        },
        "hovertext": [_equilibrium_hover(one) for one in known],
        "hoverinfo": "text",
    }


def _equilibrium_hover(one: Shown) -> str:
    found = one.document.segregation
    if found is None:
        return ""
    decomposition = formula_units_text(found.splits[0].products) if found.splits else ""
    return (
        f"<b>{text(pretty(one.view.title))}</b><br>{found.equilibrium_amount:.3g} of "
        f"{found.largest_amount:.3g} {text(found.salt)} leave per {text(one.document.formula)}"
        f"<br>→ {text(pretty(decomposition))}"
    )


def _homogeneous_trace(stays: Sequence[Shown], component: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "rest a glass of this sweep",
        "x": [one.fractions[component] for one in stays],
        "y": [(one.homogeneous_gain_ev_per_atom or 0.0) * MEV_PER_EV for one in stays],
        "line": {"color": VERMILLION, "width": 1.5, "dash": "dot"},
        "marker": {"symbol": "diamond", "size": 9, "color": VERMILLION},
        "hovertext": [
            f"<b>{text(pretty(one.view.title))}</b><br>"
            f"{one.homogeneous_amount or 0.0:.3g} units of salt leave per "
            f"{text(one.document.formula)}"
            for one in stays
        ],
        "hoverinfo": "text",
    }
