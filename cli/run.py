"""``haloflow run``: run a sweep with progress, then print its ranking."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from ..dashboard.panels import ENERGY_LIMIT
from ..dashboard.wording import duration_text
from ..stores.connection import open_store
from ..stores.query import find_summaries
from ..workflows.run import run_sweep
from ..workflows.sweep import load_sweep
from .console import console
from .observers import LiveLog, PlainLog
from .ranking import print_ranking
from .stores import store_uri

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from ..workflows.run import RunReport

EXIT_FAILED_STEPS = 1
EXIT_INTERRUPTED = 130


def run_and_rank(
    path: Path, store: str | None, *, workers: int | None, force: bool, over_budget: bool
) -> None:
    """Run the sweep file at `path`; exit with 1 when steps failed, 130 when stopped."""
    sweep = load_sweep(path)
    uri = store_uri(store)
    out = console()
    log = LiveLog(out) if out.is_terminal else PlainLog(out)
    with log:
        report = run_sweep(
            sweep, uri, workers=workers, force=force, over_budget=over_budget, observer=log
        )
    _print_outcome(out, report)
    candidates = {plan.document.candidate_id for plan in report.plan.candidates}
    with open_store(uri) as opened:
        found = find_summaries(opened.summaries, [f'sweep == "{sweep.name}"'])
    shown = [summary for summary in found if summary.candidate_id in candidates]
    limit = sweep.screen.model_dump()[ENERGY_LIMIT]
    print_ranking(out, shown, limit_ev=limit)
    _print_next(out, uri)
    if report.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if report.failures:
        raise typer.Exit(EXIT_FAILED_STEPS)


def _print_outcome(out: Console, report: RunReport) -> None:
    out.print(
        f"{report.n_done} steps done, {report.n_reused} reused, {report.n_failed} failed in "
        f"{duration_text(report.wall_s)}"
    )
    if report.skipped:
        count = "a step does" if len(report.skipped) == 1 else f"{len(report.skipped)} steps do"
        message = f"{count} not run: the physics before broke down (haloflow status)"
        out.print(Text(message, style="yellow"))
    if report.failures:
        out.print(Text("What failed and why: haloflow status", style="bold red"))
    if report.interrupted:
        message = "Stopped. Run the same command again: it goes on from the checkpoints."
        out.print(Text(message, style="bold yellow"))


def _print_next(out: Console, uri: str) -> None:
    where = f"--store {shlex.quote(uri)}"
    out.print(f"In full: haloflow show ID {where}; for people: haloflow report {where}")
