"""``haloflow doctor``: what is missing or clashing, and the line that mends it."""

from __future__ import annotations

import platform

from rich.text import Text

from .. import __version__
from ..workflows.doctor import examination
from .console import console, table
from .stores import store_uri

_COLOURS = {"ok": "green", "note": "yellow", "problem": "bold red"}


def examine(store: str | None) -> bool:
    """Print all checks; return whether nothing stops sweeps from running."""
    checks = examination(store_uri(store))
    made = table("", "what", "found", "what to do")
    for check in checks:
        word = Text(check.verdict, style=_COLOURS[check.verdict])
        made.add_row(word, check.subject, check.message, Text(check.remedy, style="bold"))
    out = console()
    out.print(f"haloflow {__version__} on {platform.platform()}")
    out.print(made)
    problems = sum(check.verdict == "problem" for check in checks)
    many = "1 problem" if problems == 1 else f"{problems} problems"
    out.print(f"{many} to solve first." if problems else "Ready to run sweeps.")
    return problems == 0
