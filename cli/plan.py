"""``haloflow plan``: what a sweep would run, cost and reuse."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text

from ..dashboard.wording import duration_text, number, size_text
from ..errors import SweepError
from ..stores.connection import is_there, open_store
from ..units import SECONDS_PER_HOUR
from ..workflows.plan import plan_sweep
from ..workflows.sweep import load_sweep
from .console import coloured, console, table
from .stores import store_uri

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from ..workflows.plan import CandidatePlan, Plan

_BYTES_PER_GB = 1e9


def show_plan(path: Path, store: str | None, *, every_step: bool = False) -> None:
    """Print the plan of the sweep file at `path`."""
    sweep = load_sweep(path)
    uri = store_uri(store)
    if is_there(uri):
        with open_store(uri) as opened:
            plan = plan_sweep(sweep, opened)
    else:
        plan = plan_sweep(sweep)
    out = console()
    _print_candidates(out, plan)
    if every_step:
        for candidate in plan.candidates:
            _print_steps(out, candidate)
    _print_totals(out, plan)


def _print_candidates(out: Console, plan: Plan) -> None:
    made = table("candidate", "steps to run")
    for heading in ("atoms", "mobile", "steps", "reused", "core-hours", "disk"):
        made.add_column(heading, justify="right")
    for candidate in plan.candidates:
        kinds = Counter(step.kind for step in candidate.to_run)
        made.add_row(
            candidate.document.label,
            ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "nothing",
            str(candidate.document.n_atoms),
            str(candidate.document.n_mobile),
            str(len(candidate.steps)),
            str(candidate.n_reused),
            number(candidate.core_hours, 2),
            size_text(candidate.disk_gb * _BYTES_PER_GB),
        )
    out.print(made)


def _print_steps(out: Console, candidate: CandidatePlan) -> None:
    made = table("step", "level", "core-hours", "state", title=candidate.document.label)
    for step in candidate.steps:
        done = step.identity in candidate.done
        made.add_row(
            step.name,
            ", ".join(step.maker.levels),
            number(step.cost.core_hours, 2),
            coloured("reused", "ok") if done else "to run",
        )
    out.print(made)


def _print_totals(out: Console, plan: Plan) -> None:
    hours = duration_text(plan.core_hours * SECONDS_PER_HOUR)
    out.print(
        f"{len(plan.candidates)} candidates, {plan.n_steps} different steps: {plan.n_reused} "
        f"reused, {len(plan.to_run)} to run, about {hours} on one core "
        f"({number(plan.core_hours, 2)} core-hours) and {size_text(plan.disk_gb * _BYTES_PER_GB)}."
    )
    out.print("What candidates share runs once, so rows may add up to more than the total.")
    for warning in plan.warnings:
        out.print(Text("note: ", style="bold yellow") + Text(warning))
    try:
        plan.require_budget()
    except SweepError as error:
        out.print(Text("over budget: ", style="bold red") + Text(str(error)))
