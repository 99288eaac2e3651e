"""What ``haloflow export`` does and prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from ..dashboard.wording import size_text
from ..errors import InputError
from ..stores.manifest import verify_manifest
from ..workflows.exporting import ExportWishes, export
from ..workflows.sweep import load_sweep
from .bars import progress_bars
from .console import console
from .stores import bring_up_to_date, existing_store

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 20


def export_to(
    store: str | None,
    to: Path | None,
    sweep: str | None,
    *,
    where: Sequence[str],
    trajectories: bool,
    licence: str | None,
    title: str | None,
) -> None:
    """Write the dataset and say what is in it."""
    if to is None:
        raise InputError(
            "an export needs a place to go",
            given="no --to",
            remedy="pass --to DIR or --to FILE.tar.gz; or --verify DIR to check one",
        )
    file = Path(sweep) if sweep is not None and sweep.endswith((".yaml", ".yml")) else None
    wishes = ExportWishes(
        sweep=load_sweep(file).name if file is not None else sweep,
        where=where,
        trajectories=trajectories,
        licence=licence,
        sweep_file=file,
        title=title,
    )
    with existing_store(store) as opened, progress_bars() as report:
        bring_up_to_date(opened)
        done = export(opened, to, wishes, report)
    out = console()
    n_documents = sum(done.kinds.values())
    out.print(
        f"{done.n_candidates} candidates, {n_documents} documents, {done.n_structures} structures "
        f"and {done.n_files} files of steps ({size_text(done.n_bytes)}) written to {to}"
    )
    if n_documents < done.n_steps:
        out.print(f"{done.n_steps - n_documents} of {done.n_steps} steps have no result yet.")
    if done.released:
        out.print(f"{done.released} files were released by rules before and are not in it.")
    if licence is None:
        out.print("No licence was chosen: name one with --license before you publish it.")


def verify_export(place: Path) -> bool:
    """Check an export; print what is wrong with it, and return whether nothing is."""
    with progress_bars() as report:
        wrong = verify_manifest(place, report)
    out = console()
    for line in wrong[:_SHOWN]:
        out.print(Text(line, style="red"))
    if len(wrong) > _SHOWN:
        out.print(f"and {len(wrong) - _SHOWN} more")
    out.print(f"{len(wrong)} files are wrong." if wrong else "All files are as they were written.")
    return not wrong
