"""A few candidates over each other: conductivity over temperature, motion, structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..stores.analyses import StructureDocument, TransportDocument
from ..stores.documents import DiffusionDocument
from .figures_arrhenius import arrhenius_overview
from .figures_regimes import regime_traces
from .menus import with_menu
from .overview_marks import label_text
from .theme import Figure, Trace, axis, layout, log_axis, text
from .view import candidate_colour

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .view import CandidateView

Curve = tuple[str, list[float], list[float]]

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def compare_arrhenius(views: Sequence[CandidateView]) -> Figure | None:
    """Draw the conductivities of all, with their regimes and extrapolations to 300 K."""
    figure = arrhenius_overview(views)
    if figure is None:
        return None
    for index, view in enumerate(views):
        for document in view.of_kind(TransportDocument).values():
            name = label_text(view.title)
            figure["data"] += regime_traces(document, candidate_colour(index), name)
    return figure


def compare_msd(views: Sequence[CandidateView]) -> Figure | None:
    """Draw the mean squared displacements at a temperature that a menu chooses."""
    curves = [
        (f"{curve.temperature_k:g} K", (view_index, curve.lag_ps, curve.msd_a2))
        for view_index, view in enumerate(views)
        for document in view.of_kind(DiffusionDocument).values()
        for curve in sorted(document.msd, key=lambda one: one.temperature_k)
    ]
    found: dict[str, list[tuple[int, list[float], list[float]]]] = {}
    for name, (index, lags, values) in curves:
        pairs = [pair for pair in zip(lags, values, strict=True) if min(pair) > 0]
        if pairs:
            xs, ys = ([pair[end] for pair in pairs] for end in (0, 1))
            found.setdefault(name, []).append((index, xs, ys))
    return _menu(views, found, layout(log_axis("lag (ps)"), log_axis("MSD (Å²)")), "ps", "Å²")


def compare_rdf(views: Sequence[CandidateView]) -> Figure | None:
    """Draw g(r) of a pair at a temperature; a menu chooses both."""
    found: dict[str, list[tuple[int, list[float], list[float]]]] = {}
    for index, view in enumerate(views):
        for name, r, g in _pair_curves(view):
            found.setdefault(name, []).append((index, r, g))
    x, y = axis("r (Å)", rangemode="tozero"), axis("g(r)", rangemode="tozero")
    return _menu(views, found, layout(x, y), "Å", "")


def _pair_curves(view: CandidateView) -> Iterator[Curve]:
    """Yield pair and temperature, r and g(r): of the structure, else of the diffusion."""
    structures = view.of_kind(StructureDocument).values()
    for document in structures:
        for point in document.points:
            for pair, curve in point.structure.rdf.items():
                yield f"{pair}, {point.temperature_k:g} K", curve.r_a, curve.g
    if not structures:
        for diffusion in view.of_kind(DiffusionDocument).values():
            for known in diffusion.rdf:
                yield f"{known.pair}, {known.temperature_k:g} K", known.r_a, known.g


def _menu(
    views: Sequence[CandidateView],
    found: dict[str, list[tuple[int, list[float], list[float]]]],
    look: Figure,
    x_unit: str,
    y_unit: str,
) -> Figure | None:
    """Draw a group of curves at a time; those that most candidates share come first."""
    order = sorted(found, key=lambda name: -len({index for index, _, _ in found[name]}))
    groups = {
        text(name): [
            _curve(views[index], index, nth, (xs, ys), (x_unit, y_unit))
            for nth, (index, xs, ys) in _numbered(found[name])
        ]
        for name in order
    }
    return with_menu(groups, look)


def _numbered(
    curves: list[tuple[int, list[float], list[float]]],
) -> Iterator[tuple[int, tuple[int, list[float], list[float]]]]:
    """Yield each curve with its number among those of its candidate (samples of a glass)."""
    seen: dict[int, int] = {}
    for curve in curves:
        nth = seen.get(curve[0], 0)
        seen[curve[0]] = nth + 1
        yield nth, curve


def _curve(
    view: CandidateView,
    index: int,
    nth: int,
    points: tuple[list[float], list[float]],
    units: tuple[str, str],
) -> Trace:
    name = label_text(view.title) + (f", sample {nth + 1}" if nth else "")
    hover = f"%{{x:.3g}} {units[0]}: %{{y:.3g}} {units[1]}".rstrip()
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": points[0],
        "y": points[1],
        "meta": view.summary.candidate_id,
        "line": {
            "color": candidate_colour(index),
            "width": 1.8,
            "dash": _DASHES[nth % len(_DASHES)],
        },
        "hovertemplate": f"{hover}<extra>{name}</extra>",
    }
