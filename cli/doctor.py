"""``haloflow doctor``: what is missing or clashing, and the line that mends it."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from rich.text import Text

from .. import __version__
from ..workflows.doctor import examination
from .console import console, table
from .stores import store_uri

if TYPE_CHECKING:
    from ..workflows.doctor import Check

_COLOURS = {"ok": "green", "note": "yellow", "problem": "bold red"}


def examine(store: str | None) -> bool:
    """Print all checks; return whether nothing stops sweeps from running."""
    return print_checks(
        f"haloflow {__version__} on {platform.platform()}",
        examination(store_uri(store)),
        "Ready to run sweeps.",
    )


def print_checks(title: str, checks: list[Check], ready: str) -> bool:
    """Print a table of checks, or how ready all is; return whether none is a problem."""
    made = table("", "what", "found", "what to do")
    for check in checks:
        word = Text(check.verdict, style=_COLOURS[check.verdict])
        made.add_row(word, check.subject, check.message, Text(check.remedy, style="bold"))
    out = console()
    out.print(title)
    out.print(made)
    problems = sum(check.verdict == "problem" for check in checks)
    many = "1 problem" if problems == 1 else f"{problems} problems"
    out.print(f"{many} to solve first." if problems else ready)
    return problems == 0
