"""Options and arguments that several commands share."""

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
SweepName = Annotated[
    str | None, typer.Option("--sweep", metavar="NAME", help="Only candidates of this sweep.")
]
