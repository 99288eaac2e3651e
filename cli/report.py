"""``haloflow report``: the HTML report of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dashboard.collect import collect_report
from ..dashboard.report import write_report
from ..dashboard.wording import size_text
from .console import console
from .stores import existing_store

if TYPE_CHECKING:
    from pathlib import Path


def make_report(store: str | None, path: Path, sweep_name: str | None) -> None:
    """Write the report to `path` and say where it lies."""
    with existing_store(store) as opened:
        report = collect_report(opened, sweep_name)
    write_report(report, path)
    out = console()
    size = size_text(path.stat().st_size)
    out.print(f"Report of {len(report.views)} candidates, {size}: {path.resolve()}")
