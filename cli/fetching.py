"""What ``haloflow fetch`` does and prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from ..dashboard.wording import size_text
from ..errors import UnknownNameError
from ..workflows.fetching import FORMATS, fetch_files, fetch_frames, find_documents
from .bars import progress_bars
from .console import console
from .stores import existing_store

if TYPE_CHECKING:
    from collections.abc import Sequence


def fetch_to(
    store: str | None,
    name: str,
    to: Path | None,
    *,
    steps: Sequence[str],
    kind: str,
    stride: int,
) -> bool:
    """Fetch what `name` means to a folder; return whether all of it is there."""
    if kind not in FORMATS:
        raise UnknownNameError.of("format", kind, FORMATS)
    with existing_store(store, read_only=True) as opened, progress_bars() as report:
        opened.files.patience_s = None  # there is no one else to wait for
        title, documents = find_documents(opened, name)
        for wanted in steps:
            if wanted not in documents:
                raise UnknownNameError.of("step with a result", wanted, documents)
        chosen = {step: d for step, d in documents.items() if not steps or step in steps}
        target = to or Path(title)
        if kind == "native":
            done = fetch_files(chosen, opened.files, target, report=report)
        else:
            done = fetch_frames(chosen, opened.files, target, kind, stride=stride, report=report)
    out = console()
    there = f", {done.n_there} there already" if done.n_there else ""
    out.print(f"{done.n_fetched} files fetched to {target}{there} ({size_text(done.n_bytes)}).")
    if done.released:
        what, why = next(iter(done.released.items()))
        out.print(f"{len(done.released)} files were released by rules, e.g. {what} ({why}).")
    for what, why in done.failures.items():
        out.print(Text(f"{what}: ", style="red") + Text(why))
    if done.failures:
        many = "file is" if len(done.failures) == 1 else "files are"
        out.print(f"{len(done.failures)} {many} not here; the rest is, and was checked.")
    return not done.failures
