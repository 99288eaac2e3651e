"""Progress of what takes long and is no run: one bar with the time left, on a terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from .console import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..stores.streams import Report


@contextmanager
def progress_bars() -> Iterator[Report]:
    """Give what to tell the progress: a bar on stderr for each thing that is done.

    Files and pipes get none.
    """
    out = console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def tell(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what)
        bars.update(tasks[what], completed=done, total=total)

    with bars:
        yield tell
