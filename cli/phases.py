"""``haloflow phases``: competing phases from the Materials Project, as snapshots."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="Competing phases from the Materials Project, as snapshots."
)


class Scheme(StrEnum):
    """Which entries are taken, and how they come on one scale."""

    R2SCAN = "r2scan"
    MIXED = "mixed"


@app.callback()
def phases() -> None:
    """Competing phases from the Materials Project, as snapshots."""


@app.command()
def fetch(
    chemsys: Annotated[
        str, typer.Option("--chemsys", metavar="A-B-C", help="Elements, joined by '-'.")
    ],
    scheme: Annotated[
        Scheme,
        typer.Option(
            "--scheme",
            help="r2scan: entries of r2SCAN alone; mixed: those of PBE(+U) too, on its scale.",
        ),
    ] = Scheme.R2SCAN,
    to: Annotated[
        Path, typer.Option("--to", metavar="FOLDER", help="Where the snapshot is written.")
    ] = Path(),
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="URL", help="A server that answers in its place."),
    ] = None,
) -> None:
    """Fetch the phases of a chemical system; needs MP_API_KEY and the extra `phases`.

    The file is named after its content. `hull: {phases: FILE}` in a sweep file makes hulls of it,
    offline and for ever the same.

    Example: `haloflow phases fetch --chemsys Na-Ta-O-Cl`
    """
    from ..workflows.fetched_phases import fetch as fetch_phases
    from ..workflows.fetched_phases import write_snapshot
    from ..workflows.phase_snapshots import read_snapshot
    from .console import console

    content = fetch_phases(chemsys, scheme=scheme.value, endpoint=endpoint)
    path = write_snapshot(content, to)
    snapshot = read_snapshot(path.absolute())
    out = console()
    out.print(
        f"{len(content['entries'])} entries of {len(snapshot.phases)} formulas, {snapshot.said}"
    )
    out.print(f"hull: {{phases: {path}}}", highlight=False, soft_wrap=True)
