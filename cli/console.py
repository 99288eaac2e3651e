"""The terminal: consoles that fit where they write, tables, and how errors look."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ..errors import HaloflowError

WIDTH_WITHOUT_TERMINAL = 120
_COLOURS = {
    "ok": "green",
    "done": "green",
    "running": "cyan",
    "waiting": "dim",
    "failed": "red",
    "skipped": "yellow",
}


def console(*, stderr: bool = False) -> Console:
    """Return a console on stdout, or stderr; files and pipes get lines of 120 columns."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, markup=False)


def table(*headings: str, title: str | None = None) -> Table:
    """Return an empty table in the style of all."""
    made = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, 1))
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def coloured(word: str, key: str = "") -> Text:
    """Return `word` in the colour of a state or status (`key`, default the word itself)."""
    return Text(word, style=_COLOURS.get(key or word, "yellow"))


def show_error(error: HaloflowError) -> None:
    """Print what is wrong, what was given, what is allowed and what to do, on stderr."""
    out = console(stderr=True)
    out.print(Text("error: ", style="bold red") + Text(str(error)))


def show_fault(error: Exception) -> None:
    """Print an error that haloflow did not foresee, on stderr, in one line."""
    out = console(stderr=True)
    message = f"{type(error).__name__}: {error}"
    out.print(Text("internal error: ", style="bold red") + Text(message))
    out.print("This is a fault of haloflow. Run the command with --debug before its name to see")
    out.print("where it happened, and report that.")
