"""The report: one HTML file that holds everything and asks no server for anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from . import wording
from .cautions import caution_notes, shown_phases
from .page import render_page, write_page
from .panels import (
    Fact,
    Panel,
    Scene,
    candidate_facts,
    candidate_scenes,
    overview_panels,
)
from .panels_candidate import candidate_panels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..stores.documents import CandidateSummary, StepDocument
    from .view import CandidateView

OPEN_SECTIONS = 3


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
    cautions: list[str]
    panels: list[Panel]
    scenes: list[Scene]


def write_report(report: Report, path: Path) -> None:
    """Write `report` to `path`, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write_page(render_report(report), path, "report")


def render_report(report: Report) -> str:
    """Return the HTML of `report`."""
    sections = [_section(view, index) for index, view in enumerate(report.views)]
    overview = overview_panels(report.views, report.screen)
    panels = [*overview, *(panel for section in sections for panel in section.panels)]
    scenes = [scene for section in sections for scene in section.scenes]
    summaries = [view.summary for view in report.views]
    return render_page(
        "report.html",
        {panel.id: panel.figure for panel in panels},
        {scene.id: scene.scene for scene in scenes},
        title=report.title,
        created_at=report.created_at,
        views=sections,
        ranked=[section for section in sections if section.rank is not None],
        below=[section for section in sections if section.rank is None],
        levels=_levels(summaries),
        screen_text=wording.screen_text(report.screen),
        notes=wording.footnotes(summaries),
        overview=overview,
        open_count=OPEN_SECTIONS,
        meanings=wording.STATUS_MEANINGS,
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
        cautions=caution_notes(
            [
                *shown_phases(view.documents.values()),
                *(p.phase_id for p in view.summary.decomposition),
            ]
        ),
        panels=candidate_panels(view, prefix),
        scenes=candidate_scenes(view, prefix),
    )


def _levels(summaries: Sequence[CandidateSummary]) -> dict[str, list[str]]:
    levels: dict[str, set[str]] = {}
    for summary in summaries:
        for stage, level in summary.levels.items():
            levels.setdefault(stage, set()).add(level)
    return {stage.replace("_", "-"): sorted(names) for stage, names in levels.items()}
