"""``haloflow analyze``: the analyses of one trajectory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.text import Text

from ..dashboard.analysis_page import analysis_facts, render_analysis
from ..dashboard.page import write_page
from ..dashboard.wording import quantity_text, reason, status_label
from ..errors import InputError
from ..workflows.analyze import Request, TrajectoryAnalysis, analyze, as_json
from .console import coloured, console, table

if TYPE_CHECKING:
    from pathlib import Path


def analyze_file(request: Request, output: Path | None, page: Path | None) -> None:
    """Analyse a trajectory; print the main numbers, write all of them as JSON and as a page."""
    err = console(stderr=True)
    with err.status(f"reading {request.path.name}") as status:

        def report(stage: str, n_frames: int, total: int | None) -> None:
            of = f" of {total:,}" if total else ""
            status.update(
                f"reading {request.path.name}: {n_frames:,}{of} frames"
                if stage == "reading"
                else f"{stage} of {n_frames:,} frames"
            )

        found = analyze(request, report)
    if output is not None:
        _write(output, json.dumps(as_json(found), indent=1))
    if page is not None:
        write_page(render_analysis(found), page, "page")
    _print_numbers(found)
    out = console()
    for name, why in found.left_out.items():
        out.print(Text(f"left out: {name}: {why}", style="dim"))
    for path in (output, page):
        if path is not None:
            out.print(f"Written: {path}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            "the result cannot be written",
            given=f"{path} ({error.strerror})",
            remedy="name a file in a folder that exists and that you may write to",
        ) from None


def _print_numbers(found: TrajectoryAnalysis) -> None:
    facts = found.trajectory
    out = console()
    atoms = " ".join(f"{name}{n}" for name, n in facts["species"].items())
    out.print(f"{facts['n_frames']:,} frames of {facts['n_atoms']} atoms ({atoms})")
    made = table("", "", "status")
    for fact in analysis_facts(found.sections):
        if fact.quantity is None:
            made.add_row(fact.name, fact.text, "")
            continue
        why = reason(fact.quantity)
        word = coloured(status_label(fact.quantity.status))
        made.add_row(
            fact.name,
            f"{quantity_text(fact.quantity)} {fact.unit}".rstrip(),
            word + Text(f": {why}" if why else "", style="dim"),
        )
    if made.row_count:
        out.print(made)
