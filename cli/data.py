"""Commands that give data away: ``haloflow fetch`` and ``haloflow export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import StoreOption

app = typer.Typer()


@app.command()
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Candidate (id or label), step (identity) or job (UUID); ids may be cut short.",
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Folder to write to. Default: one named by ID."),
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option("--step", metavar="NAME", help="Only this step, e.g. md-600K; repeatable."),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            help="native: all files as they are; extxyz, traj (ASE): trajectories, unwrapped.",
        ),
    ] = "native",
    stride: Annotated[
        int, typer.Option("--stride", min=1, help="With extxyz and traj: every so many frames.")
    ] = 1,
    store: StoreOption = None,
) -> None:
    """Fetch the files of a candidate, step or job, wherever they are kept.

    Trajectories are looked for in the folder of files, in this machine's cache, and in the
    trajectory store (a shared folder, GridFS, S3). Every file is checked against its sha256.
    What is there already stays: started again, it goes on. What rules have released is said.
    Exits with 1 if something is missing or damaged, and names it; the rest is fetched.

    Example: `haloflow fetch "NaCl crystal" --to nacl --step md-600K`
    """
    from .fetching import fetch_to

    if not fetch_to(store, name, to, steps=step or [], kind=kind, stride=stride):
        raise typer.Exit(1)


@app.command()
def export(
    sweep: Annotated[
        str | None,
        typer.Argument(
            metavar="[SWEEP]",
            help="Name of a sweep, or its file, which then goes along. Default: all candidates.",
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR|FILE.tar[.gz]", help="What to write; must not exist."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", "-w", metavar="FILTER", help="As of haloflow query; repeatable."),
    ] = None,
    trajectories: Annotated[
        bool, typer.Option("--trajectories", help="Let the files of steps go along.")
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option("--license", help="CC-BY-4.0, CC-BY-SA-4.0, CC0-1.0 or ODC-By-1.0."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Heading of its README.")] = None,
    verify: Annotated[
        Path | None,
        typer.Option("--verify", metavar="DIR|FILE", help="Only check an export that is there."),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a campaign as a dataset: tables, documents, structures, provenance, README, checksums.

    The same store gives the same bytes. It appears under its name when it is complete, or not
    at all. With --verify, every file of an export is checked against the manifest; exits with
    1 if one is missing, changed or strange.

    Example: `haloflow export quickstart --to quickstart-data.tar.gz --license CC-BY-4.0`
    """
    from .exporting import export_to, verify_export

    if verify is not None:
        if not verify_export(verify):
            raise typer.Exit(1)
        return
    export_to(
        store,
        to,
        sweep,
        where=where or [],
        trajectories=trajectories,
        licence=licence,
        title=title,
    )
