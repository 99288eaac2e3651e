"""The report: one HTML file that holds everything and asks no server for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from .. import __version__
from ..errors import InputError
from . import wording
from .panels import (
    ENERGY_LIMIT,
    Fact,
    Panel,
    Scene,
    candidate_facts,
    candidate_panels,
    candidate_scenes,
    overview_panels,
)
from .theme import pretty

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..quantity import Quantity
    from ..stores.documents import CandidateSummary, StepDocument
    from .view import CandidateView

OPEN_SECTIONS = 3
_FIGURE_DIGITS = 6


@dataclass(frozen=True)
class Report:
    """What goes into a report.

    Attributes
    ----------
    title
        Headline, e.g. the sweep's name.
    views
        Candidates in the order of the ranking, those below the line last.
    screen
        Field to the limit that passes.
    created_at
        Time of writing.
    """

    title: str
    views: Sequence[CandidateView]
    screen: Mapping[str, float] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class _Section:
    """A candidate's section, ready for the template."""

    summary: CandidateSummary
    documents: Mapping[str, StepDocument]
    rank: int | None
    title: str
    anchor: str
    facts: list[Fact]
    panels: list[Panel]
    scenes: list[Scene]


def write_report(report: Report, path: Path) -> None:
    """Write `report` to `path`, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    html = render_report(report)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(html, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise InputError(
            "the report cannot be written",
            given=f"{path} ({error.strerror})",
            remedy="name a file in a folder that exists and that you may write to",
        ) from None


def render_report(report: Report) -> str:
    """Return the HTML of `report`."""
    sections = [_section(view, index) for index, view in enumerate(report.views)]
    overview = overview_panels(report.views, report.screen)
    panels = [*overview, *(panel for section in sections for panel in section.panels)]
    scenes = [scene for section in sections for scene in section.scenes]
    data = {
        "figures": {panel.id: panel.figure for panel in panels},
        "scenes": {scene.id: scene.scene for scene in scenes},
    }
    scripts = [get_plotlyjs(), _asset("structure.js"), _asset("report.js")]
    summaries = [view.summary for view in report.views]
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=report.title,
            version=__version__,
            created=report.created_at.strftime("%Y-%m-%d %H:%M UTC"),
            views=sections,
            ranked=[section for section in sections if section.rank is not None],
            below=[section for section in sections if section.rank is None],
            levels=_levels(summaries),
            screen_text=_screen_text(report.screen),
            notes=wording.footnotes(summaries),
            overview=overview,
            open_count=OPEN_SECTIONS,
            meanings=wording.STATUS_MEANINGS,
            data=_embedded_json(data),
            css=_asset("report.css"),
            scripts=scripts,
            script_hashes=" ".join(_csp_hash(script) for script in scripts),
        )
    )


def _section(view: CandidateView, index: int) -> _Section:
    prefix = f"c{index + 1}"
    return _Section(
        summary=view.summary,
        documents=view.documents,
        rank=view.rank,
        title=view.title,
        anchor=f"candidate-{index + 1}",
        facts=candidate_facts(view),
        panels=candidate_panels(view, prefix),
        scenes=candidate_scenes(view, prefix),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("haloflow.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "pretty": pretty,
        "number": wording.number,
        "quantity_text": wording.quantity_text,
        "energy_text": wording.energy_text,
        "reason": wording.reason,
        "status_label": wording.status_label,
        "sort_key": _sort_key,
        "quench_rate": wording.quench_rate_text,
        "duration": wording.duration_text,
        "file_size": wording.size_text,
        "literature_label": wording.literature_label,
        "literature_text": wording.literature_text,
    }
    return environment


def _sort_key(quantity: Quantity) -> float | str:
    for value in (quantity.value, quantity.lower, quantity.upper):
        if value is not None and math.isfinite(value):
            return value
    return ""


def _levels(summaries: Sequence[CandidateSummary]) -> dict[str, list[str]]:
    levels: dict[str, set[str]] = {}
    for summary in summaries:
        for stage, level in summary.levels.items():
            levels.setdefault(stage, set()).add(level)
    return {stage.replace("_", "-"): sorted(names) for stage, names in levels.items()}


def _screen_text(screen: Mapping[str, float]) -> str:
    parts = []
    for name, limit in screen.items():
        if name == ENERGY_LIMIT:
            parts.append(f"E_hull ≤ {wording.number(limit * wording.MEV_PER_EV)} meV/atom")
        else:
            parts.append(f"σ(300 K) ≥ {wording.number(limit)} mS/cm")
    return " and ".join(parts)


def _asset(name: str) -> str:
    return files("haloflow.dashboard").joinpath("assets", name).read_text(encoding="utf-8")


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _embedded_json(data: object) -> str:
    """Return JSON that may stand inside a script element: no tag can end it."""
    encoded = json.dumps(_drawable(data), ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    return encoded


def _drawable(value: Any) -> Any:  # noqa: ANN401  (JSON has no narrower type)
    """Round floats to what a plot can show, and turn those that are not finite into gaps."""
    if isinstance(value, dict):
        return {key: _drawable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_drawable(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{_FIGURE_DIGITS}g}") if math.isfinite(value) else None
    return value
