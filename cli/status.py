"""``haloflow status``: how far each candidate is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text

from ..quantity import Status
from ..workflows.status import candidate_states
from .console import coloured, console, table
from .stores import existing_store

if TYPE_CHECKING:
    from ..workflows.status import CandidateStates

_STATES = ("done", "running", "waiting", "failed", "skipped")


def show_status(store: str | None, sweep_name: str | None) -> None:
    """Print the states of all candidates, or those of one sweep."""
    with existing_store(store) as opened:
        candidates = candidate_states(opened, sweep_name)
    out = console()
    if not candidates:
        out.print("No candidates yet: haloflow run examples/quickstart.yaml")
        return
    made = table("candidate", "id")
    for state in _STATES:
        made.add_column(state, justify="right")
    made.add_column("now", overflow="fold", ratio=1)
    for candidate in candidates:
        made.add_row(*_cells(candidate))
    out.print(made)
    for candidate in candidates:
        for line in _remarks(candidate):
            out.print(line)


def _cells(candidate: CandidateStates) -> list[Text]:
    counts: Counter[str] = Counter(step.state for step in candidate.steps)
    now = []
    for name, progress in candidate.progress.items():
        share = progress.done / progress.total if progress.total else 0.0
        now.append(f"{name}: {progress.stage}, {share:.0%}")
    return [
        Text(candidate.document.label),
        Text(candidate.document.candidate_id, style="dim"),
        *(coloured(str(counts[state] or "–"), state) for state in _STATES),
        Text("\n".join(now), style="cyan"),
    ]


def _remarks(candidate: CandidateStates) -> list[Text]:
    """Say which steps failed, or are done but not ok, and why."""
    lines = []
    for step in candidate.steps:
        failed = step.state == "failed"
        if failed or (step.state != "skipped" and step.status not in {None, Status.OK}):
            word = coloured("failed" if failed else str(step.status))
            where = Text(f" {candidate.document.label}, {step.name}: ")
            lines.append(word + where + Text(step.note or "no further note", style="dim"))
    return lines
