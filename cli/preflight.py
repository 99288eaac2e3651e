"""``haloflow doctor --remote``: a worker examines itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ..stores.connection import open_store
from ..workflows.managers.preflight import examine_remotely
from ..workflows.plan import plan_sweep
from ..workflows.sweep import load_sweep
from .console import console
from .doctor import print_checks
from .stores import store_uri

if TYPE_CHECKING:
    from pathlib import Path


def examine_remote(store: str | None, manager: str, sweep: Path | None, deadline_s: float) -> bool:
    """Let a worker examine itself; return whether nothing stops sweeps from running there.

    Parameters
    ----------
    store, manager
        As for ``haloflow submit``.
    sweep
        Whose potentials and disk space are needed; default: none.
    deadline_s
        Longest wait for the worker.
    """
    plan = plan_sweep(load_sweep(sweep)) if sweep is not None else None
    levels = {level for step in plan.steps.values() for level in step.maker.levels} if plan else ()
    out = console()
    with open_store(store_uri(store)) as opened:
        checks = examine_remotely(
            opened,
            manager,
            levels=sorted(levels),
            disk_gb=plan.disk_gb if plan else 0.0,
            deadline_s=deadline_s,
            told=lambda words: out.print(Text(words, style="dim")),
        )
    return print_checks(f"A worker of {manager}", checks, "Ready to take sweeps.")
