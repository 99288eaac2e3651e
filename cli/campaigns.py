"""What the commands of queues do, and how far submitted sweeps are."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from ..dashboard.wording import duration_text, number
from ..stores.connection import open_store
from ..workflows.managers.base import open_manager
from ..workflows.managers.campaigns import (
    campaigns,
    cancel,
    go_on,
    pause,
    retry,
    submit_sweep,
)
from ..workflows.managers.campaigns import recover as recover_campaigns
from ..workflows.managers.follow import STATES, campaign_state
from ..workflows.managers.watching import recover_all, start_watchdog, watch
from ..workflows.status import update_summaries
from ..workflows.sweep import load_sweep
from .console import coloured, console, table
from .plan import show_plan
from .stores import existing_store, store_uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console, RenderableType

    from ..stores.connection import HaloflowStore
    from ..workflows.managers.base import Manager
    from ..workflows.managers.campaigns import Campaign
    from ..workflows.managers.follow import CampaignState, Failure

_RECOVER_S = 60.0
_MOST_STEPS = 3
_MOST_POSITIONS = 5


def submit(
    path: Path, store: str | None, manager_name: str, *, dry_run: bool, over_budget: bool
) -> None:
    """Hand the sweep file at `path` to a manager."""
    sweep = load_sweep(path)
    if dry_run:
        show_plan(path, store)
        return
    with closing(open_manager(manager_name)) as manager, open_store(store_uri(store)) as opened:
        plan, made = submit_sweep(sweep, opened, manager, over_budget=over_budget)
        _let_watch(opened, manager)
        starter = manager.starter
    out = console()
    out.print(
        f"{made.n_jobs} jobs in {made.n_flows} flows handed to {manager.name}; {made.n_known} were "
        f"there already, {made.n_reused} steps are reused. About {number(plan.core_hours, 2)} "
        "core-hours in all."
    )
    for warning in plan.warnings:
        out.print(Text("note: ", style="bold yellow") + Text(warning))
    if starter:
        out.print(f"Start jobs by: {starter}")
    out.print("How far it is: haloflow status --watch")


def change(store: str | None, sweep_name: str | None, verb: str, causes: list[str]) -> None:
    """Do what `verb` says with the submitted sweeps, and say with how many steps."""
    actions: dict[str, Callable[[Campaign, HaloflowStore], str]] = {
        "retry": lambda one, opened: _count("run again", retry(one, opened, causes)),
        "cancel": lambda one, opened: _count("taken back", cancel(one, opened)),
        "pause": lambda one, opened: _count("paused", pause(one, opened)),
        "resume": _resume,
    }
    out = console()
    with existing_store(store) as opened, campaigns(opened, sweep_name) as found:
        for campaign in found:
            out.print(f"{campaign.sweep.name}: {actions[verb](campaign, opened)}")
            if verb in {"retry", "resume"}:
                _let_watch(opened, campaign.manager)
    if not found:
        out.print("No sweep is submitted: haloflow submit SWEEP --to fireworks")


def _let_watch(store: HaloflowStore, manager: Manager) -> None:
    """See that somebody looks after the sweeps of an engine that needs it."""
    if manager.watch_log is not None:
        start_watchdog(store, manager.watch_log)


def recover(store: str | None, every_s: float | None) -> None:
    """Let run again what was lost: once, or until all submitted sweeps are settled."""
    out = console()
    with existing_store(store) as opened:
        if every_s is not None:
            watch(opened, every_s, out.print)
            return
        for name, lost in recover_all(opened).items():
            out.print(f"{name}: {_count('lost and run again', lost)}")
        update_summaries(opened)


def _count(what: str, identities: set[str]) -> str:
    return f"{len(identities)} {'step' if len(identities) == 1 else 'steps'} {what}"


def _resume(campaign: Campaign, store: HaloflowStore) -> str:
    made = go_on(campaign, store)
    parts = {
        "with damaged files run again": made["mended"],
        "lost and run again": made["recovered"],
        "no longer paused": made["resumed"],
        "failed and run again": made["retried"],
    }
    said = [_count(what, identities) for what, identities in parts.items() if identities]
    if made["submission"].n_jobs:
        said.append(f"{made['submission'].n_jobs} jobs handed over")
    return ", ".join(said) or "nothing to do"


def show_campaigns(store: str | None, sweep_name: str | None, *, watch_s: float | None) -> None:
    """Print how far submitted sweeps are; with `watch_s`, until nothing runs or waits."""
    out = console()
    with existing_store(store) as opened, campaigns(opened) as submitted:
        found = [one for one in submitted if sweep_name in {None, one.sweep.name}]
        if not found:
            return
        if watch_s is None:
            for campaign in found:
                out.print(_rendered(campaign_state(campaign, opened)))
            return
        _watch(out, opened, found, watch_s)


def _watch(out: Console, store: HaloflowStore, found: list[Campaign], every_s: float) -> None:
    recover_at = 0.0
    with Live(console=out, auto_refresh=False, transient=False) as live:
        while True:
            if time.monotonic() >= recover_at:
                recover_campaigns(found, store)
                update_summaries(store)
                recover_at = time.monotonic() + _RECOVER_S
            states = [campaign_state(campaign, store) for campaign in found]
            live.update(Group(*map(_rendered, states)), refresh=True)
            if all(state.is_settled for state in states):
                update_summaries(store)
                return
            time.sleep(every_s)


def _rendered(state: CampaignState) -> RenderableType:
    made = table("stage", title=f"{state.sweep_name} on {state.manager}")
    shown = [name for name in STATES if state.counts[name]]
    for name in shown:
        made.add_column(name, justify="right")
    for stage, counts in state.stages.items():
        cells = (coloured(str(counts[name] or "–"), name) for name in shown)
        made.add_row(Text(stage), *cells)
    return Group(made, *_lines(state))


def _lines(state: CampaignState) -> list[Text]:
    spent, left = number(state.core_hours_spent, 2), number(state.core_hours_left, 2)
    work = f"{spent} core-hours spent, about {left} left"
    if state.eta_s is not None:
        work += f", {duration_text(state.eta_s)} at the present pace"
    lines = [Text(work)]
    if state.next_positions:
        first = ", ".join(map(str, state.next_positions[:_MOST_POSITIONS]))
        n_waiting = len(state.next_positions)
        jobs = "1 job waits" if n_waiting == 1 else f"{n_waiting} jobs wait"
        lines.append(Text(f"{jobs} in the queue, at {first}"))
    if state.starter:
        lines.append(Text("nothing is in the queue; start jobs by: ") + Text(state.starter, "bold"))
    for cause, times in state.overcome.items():
        again = "once" if times == 1 else f"{times} times"
        lines.append(coloured("run again ", "waiting") + Text(f"{again}: {cause}", style="dim"))
    for failure in state.failures:
        lines += _failure(failure)
    return lines


def _failure(failure: Failure) -> list[Text]:
    shown = ", ".join(failure.steps[:_MOST_STEPS])
    more = len(failure.steps) - _MOST_STEPS
    where = f"{len(failure.steps)} failed: {shown}" + (f" and {more} more" if more > 0 else "")
    return [
        coloured(where, "failed"),
        Text(f"  {failure.cause}"),
        *(Text(f"  | {line}", style="dim") for line in failure.tail.splitlines()),
    ]
