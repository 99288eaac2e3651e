"""Options and arguments: what several commands share, and those that need many words."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class OutputFormat(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FOLDER|URI",
        help="Folder of the embedded store, or a mongodb:// URI. "
        "Default: $HALOFLOW_STORE, else ./haloflow-store.",
    ),
]
SweepFile = Annotated[
    Path, typer.Argument(metavar="SWEEP", help="A sweep file, e.g. examples/quickstart.yaml.")
]
ManagerOption = Annotated[
    str, typer.Option("--to", metavar="MANAGER", help="fireworks or jobflow-remote.")
]
SweepName = Annotated[
    str | None, typer.Option("--sweep", metavar="NAME", help="Only candidates of this sweep.")
]
ChargesOption = Annotated[
    str | None,
    typer.Option(
        "--charges",
        metavar="EL=Q,...",
        help="Of the mobile ion alone (default 1), or of all: e.g. Na=1,Ta=5,O=-2,Cl=-1. "
        "With all, σ is that of the whole charge displacement.",
    ),
]
CrystalFlag = Annotated[
    bool,
    typer.Option("--crystal", help="The sample is a crystal: sharp lines in its powder pattern."),
]
ReferenceFile = Annotated[
    Path | None,
    typer.Option(
        "--reference",
        metavar="FILE",
        help="CIF, POSCAR... of a crystal: its powder pattern beside the sample's.",
    ),
]
