"""The ranked table: trusted rows first, below a line the others with their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ..dashboard.view import ranked_views
from ..dashboard.wording import (
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
    out.print(ranking_table(views))
    for note in footnotes(summaries):
        out.print(Text(f"- {note}", style="dim"))


def ranking_table(views: Sequence[CandidateView]) -> Table:
    """Return the ranked table of candidates already in order."""
    levels = {view.summary.levels.get("hull", "") for view in views}
    made = table("#", "candidate")
    made.add_column("E_hull\nmeV/atom", justify="right")
    if len(levels) > 1:
        made.add_column("hull level", overflow="fold")
    for heading in ("σ(300 K)\nmS/cm", "E_a\neV", "density\nratio"):
        made.add_column(heading, justify="right")
    made.add_column("what to know", overflow="fold", ratio=1)
    last_ranked = max((i for i, view in enumerate(views) if view.rank), default=None)
    for index, view in enumerate(views):
        made.add_row(*_cells(view, with_level=len(levels) > 1))
        if index == last_ranked:
            made.add_section()
    return made


def _cells(view: CandidateView, *, with_level: bool) -> list[Text]:
    s = view.summary
    cells = [
        Text(str(view.rank) if view.rank else "–"),
        Text(view.title),
        _cell(s.energy_above_hull_ev_per_atom, energy_text(s.energy_above_hull_ev_per_atom)),
    ]
    if with_level:
        cells.append(Text(s.levels.get("hull", "")))
    cells += [
        _cell(s.sigma_300k_ms_cm, quantity_text(s.sigma_300k_ms_cm)),
        Text(quantity_text(s.activation_energy_ev)),
        Text(number(s.density_ratio, 2)),
        _remarks(s),
    ]
    return cells


def _cell(quantity: Quantity, text: str) -> Text:
    ok = quantity.status is Status.OK
    cell = Text(text, style=_COLOUR[ok])
    return cell if ok else cell + Text(f"\n{status_label(quantity.status)}", style="yellow")


def _remarks(summary: CandidateSummary) -> Text:
    """Say why a number is not ok, and how many warnings there are."""
    parts = []
    if summary.passes_screen is False:
        parts.append("fails the screen")
    stability, sigma = summary.energy_above_hull_ev_per_atom, summary.sigma_300k_ms_cm
    parts += [f"E_hull: {reason(stability)}"] if reason(stability) else []
    parts += [f"σ: {reason(sigma)}"] if reason(sigma) else []
    if summary.melted is False:
        parts.append("never melted")
    if summary.amorphous is False:
        parts.append("not amorphous")
    if summary.warnings:
        count = len(summary.warnings)
        parts.append(f"{count} warning{'s' if count > 1 else ''}, see `haloflow show`")
    return Text("; ".join(parts), style="dim")
