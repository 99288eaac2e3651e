"""The ranked table: trusted rows first, below a line the others with their bounds."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

from rich.text import Text

from ..dashboard.view import ranked_views
from ..dashboard.wording import (
    NOTHING,
    energy_text,
    footnotes,
    number,
    quantity_text,
    reason,
    status_label,
)
from ..quantity import Status
from ..stores.query import DEFAULT_MAX_ENERGY_ABOVE_HULL
from .console import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from ..dashboard.view import CandidateView
    from ..quantity import Quantity
    from ..stores.documents import CandidateSummary

WIDTH_FOR_REMARKS = 100
REMARK_LENGTH = 90
_COLOUR = {True: "green", False: "yellow"}


def print_ranking(
    out: Console,
    summaries: Sequence[CandidateSummary],
    *,
    limit_ev: float = DEFAULT_MAX_ENERGY_ABOVE_HULL,
) -> None:
    """Print the ranking of `summaries` with its footnotes.

    Parameters
    ----------
    limit_ev
        Energy above hull that passes the screen, eV/atom.
    """
    views = ranked_views(summaries, limit_ev=limit_ev)
    wide = out.width >= WIDTH_FOR_REMARKS
    out.print(ranking_table(views, with_remarks=wide))
    for view in views:
        if not wide and (remarks := _remarks(view.summary)):
            out.print(Text(f"{view.title}: ") + remarks)
    if summaries:
        out.print(Text("- All reasons and warnings: haloflow show ID.", style="dim"))
    for note in footnotes(summaries):
        out.print(Text(f"- {note}", style="dim"))


def ranking_table(views: Sequence[CandidateView], *, with_remarks: bool = True) -> Table:
    """Return the ranked table of candidates already in order."""
    levels = {view.summary.levels.get("hull", "") for view in views}
    several = len(levels) > 1
    made = table("#", "candidate")
    made.add_column("E_hull\nmeV/atom", justify="right", no_wrap=True)
    if several:
        made.add_column("hull level", overflow="fold")
    for heading in ("σ(300 K)\nmS/cm", "E_a\neV", "density\nratio"):
        made.add_column(heading, justify="right", no_wrap=True)
    if with_remarks:
        made.add_column("what to know", overflow="fold", ratio=1)
    below = False
    for view in views:
        if view.rank is None and not below:
            below = True
            made.add_section()
            made.add_row("", Text("below the line: bounds", style="italic yellow"))
        made.add_row(*_cells(view, with_level=several, with_remarks=with_remarks))
    return made


def _cells(view: CandidateView, *, with_level: bool, with_remarks: bool) -> list[Text]:
    s = view.summary
    stability, sigma = s.energy_above_hull_ev_per_atom, s.sigma_300k_ms_cm
    return [
        Text(str(view.rank) if view.rank else NOTHING),
        Text(view.title),
        _cell(stability, energy_text(stability)),
        *([Text(s.levels.get("hull", ""))] if with_level else []),
        _cell(sigma, quantity_text(sigma)),
        Text(quantity_text(s.activation_energy_ev)),
        Text(number(s.density_ratio, 2)),
        *([_remarks(s)] if with_remarks else []),
    ]


def _cell(quantity: Quantity, text: str) -> Text:
    ok = quantity.status is Status.OK
    cell = Text(text, style=_COLOUR[ok])
    return cell if ok else cell + Text(f"\n{status_label(quantity.status)}", style="yellow")


def _remarks(summary: CandidateSummary) -> Text:
    """Say why a number is not ok, in short, and how many warnings there are."""
    parts = ["fails the screen"] if summary.passes_screen is False else []
    said: set[str] = set()
    for name, quantity in (
        ("E_hull", summary.energy_above_hull_ev_per_atom),
        ("σ", summary.sigma_300k_ms_cm),
    ):
        clauses = [clause for clause in reason(quantity).split("; ") if clause not in said]
        said.update(clauses)
        if any(clauses):
            parts.append(f"{name}: {shorten('; '.join(clauses), REMARK_LENGTH, placeholder=' …')}")
    if summary.warnings:
        count = len(summary.warnings)
        parts.append(f"{count} warning{'s' if count > 1 else ''}")
    return Text("; ".join(parts), style="dim")
