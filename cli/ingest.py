"""``haloflow ingest``: VASP runs made elsewhere, as documents of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from .options import StoreOption

app = typer.Typer()


@app.command()
def ingest(
    places: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Folders; runs in them are found at any depth."),
    ],
    store: StoreOption = None,
) -> None:
    """Take VASP runs made elsewhere: relaxations, energies and MD at the levels of VASP.

    They pass the same gates as haloflow's own: they are by VASP, with the POTCARs of one
    release, of the settings of a level, and converged. A run that does not is named with the
    reason and left out; the exit code is then 1.

    Example: `haloflow ingest old-runs`
    """
    from ..stores.connection import open_store
    from ..workflows.ingest import ingest as take
    from .console import coloured, console

    out = console()
    n_taken = n_there = n_skipped = 0
    with open_store(store) as opened:
        for found in take(opened, places):
            word = "taken" if found.is_new else "there" if found.identity else "skipped"
            n_taken += found.is_new
            n_there += bool(found.identity) and not found.is_new
            n_skipped += not found.identity
            key = "skipped" if word == "skipped" else "done"
            out.print(coloured(word, key) + Text(f"  {found.folder}: {found.words}"))
    out.print(f"{n_taken} taken, {n_there} there already, {n_skipped} skipped")
    if n_skipped:
        raise typer.Exit(1)
