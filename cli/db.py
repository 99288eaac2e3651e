"""``haloflow db``: a database server of one's own, and stores copied, upgraded and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import StoreOption

app = typer.Typer(
    no_args_is_help=True,
    help="Start a database server of your own; copy, upgrade and check stores.",
    rich_markup_mode="markdown",
)

ServerFolder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        metavar="FOLDER",
        help="Of the server's data, log and password. "
        "Default: haloflow/mongod in $XDG_DATA_HOME, else in ~/.local/share.",
    ),
]


@app.command()
def start(
    folder: ServerFolder = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=1,
            max=65535,
            help="Default: the one of last time, at first any that is free.",
        ),
    ] = None,
) -> None:
    """Start a MongoDB server of your own and say how to use it.

    It answers this machine alone, and asks for the password that is in the URI. Needs mongod:
    of the extra `[mongod]`, or named by `$MONGOD`.

    Example: `haloflow db start`
    """
    from .databases import start_server

    start_server(folder, port)


@app.command()
def stop(folder: ServerFolder = None) -> None:
    """Stop the server that `haloflow db start` started, and wait until it has.

    Example: `haloflow db stop`
    """
    from .databases import stop_server

    stop_server(folder)


@app.command()
def status(folder: ServerFolder = None) -> None:
    """Say whether the server is up, where, since when, and how large; exit with 1 if not up.

    Example: `haloflow db status`
    """
    from .databases import show_server

    if not show_server(folder):
        raise typer.Exit(1)


@app.command()
def copy(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM", help="Folder, mongodb:// URI, or what `haloflow export` wrote."
        ),
    ],
    target: Annotated[str, typer.Argument(metavar="TO", help="Folder or mongodb:// URI.")],
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Into a store with documents: add those that it lacks."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be copied.")
    ] = False,
    source_files: Annotated[
        Path | None,
        typer.Option(
            "--from-files",
            metavar="FOLDER",
            help="Files of FROM. Default: its folder's own, else $HALOFLOW_FILES_DIR.",
        ),
    ] = None,
    target_files: Annotated[
        Path | None,
        typer.Option(
            "--to-files",
            metavar="FOLDER",
            help="Files of TO. Default: in its folder; of a server, $HALOFLOW_FILES_DIR.",
        ),
    ] = None,
) -> None:
    """Copy a store, documents and files, between folders and MongoDB servers.

    Refuses a target that is not empty. Every collection is read back and its count and
    checksum compared. Killed and started again, it goes on.

    Example: `haloflow db copy haloflow-store mongodb://127.0.0.1:27017/haloflow`
    """
    from .databases import copy_between

    complete = copy_between(
        (source, source_files), (target, target_files), merge=merge, dry_run=dry_run
    )
    if not complete:
        raise typer.Exit(1)


@app.command()
def migrate(
    store: StoreOption = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write; without it nothing is changed.")
    ] = False,
) -> None:
    """Upgrade the documents of an older haloflow. Says what would change, unless --apply.

    Old documents can be read without it. Killed and started again, it goes on.

    Example: `haloflow db migrate`
    """
    from .databases import migrate_documents

    if not migrate_documents(store, apply=apply):
        raise typer.Exit(1)


@app.command()
def upload(
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="PLACE",
            help="Name the place first: a folder, gridfs or s3://bucket/prefix. "
            "Default: the one that the store has.",
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Send files of this machine's folder to the trajectory store, for other machines.

    New runs do so by themselves; this is for what was there before a place was named. Every
    file is checked against its document. Killed and started again, it goes on.

    Example: `haloflow db upload --to gridfs`
    """
    from .pruning import upload_to

    if not upload_to(store, to):
        raise typer.Exit(1)


@app.command("forget-place")
def forget(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="As it was named.")],
    store: StoreOption = None,
) -> None:
    """Look for trajectories in a place no more, e.g. where it is gone for good.

    Nothing is deleted there. Naming the place again, in a sweep or in
    HALOFLOW_TRAJECTORY_STORE, brings it back.

    Example: `haloflow db forget-place /scratch/old`
    """
    from .pruning import forget

    forget(store, place)


@app.command()
def home(
    moved: Annotated[
        bool, typer.Option("--moved", help="It was moved or restored: it keeps its id.")
    ] = False,
    copy: Annotated[
        bool, typer.Option("--copy", help="Its original goes on: it gets an id of its own.")
    ] = False,
    original: Annotated[
        bool, typer.Option("--original", help="Take --copy back: it has the id of before.")
    ] = False,
    files: Annotated[
        bool, typer.Option("--files", help="Its folder of files is no other store's.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Say whose the store's trajectories are, and exit with 1 if it is a copy that may not tell.

    A copy (`cp -r`, `mongorestore`) has the id of its original, but does not know what that has
    stored since: it neither stores nor deletes in places for trajectories before one of the two
    is said. A folder that is renamed stays at home.

    Example: `haloflow db home --copy --store copied-store`
    """
    from .homes import show_home

    asked = {"moved": moved, "copy": copy, "original": original, "files": files}
    if not show_home(store, [name for name, given in asked.items() if given]):
        raise typer.Exit(1)


@app.command()
def prune(
    failed: Annotated[
        bool, typer.Option("--failed", help="Release trajectories of runs that broke down.")
    ] = False,
    superseded: Annotated[
        bool, typer.Option("--superseded", help="Of runs that no candidate has any more.")
    ] = False,
    preparation: Annotated[
        bool, typer.Option("--preparation", help="Equilibrations, melts and quenches.")
    ] = False,
    keep_every: Annotated[
        int | None,
        typer.Option("--keep-every", metavar="N", min=2, help="Keep each N-th frame, to look at."),
    ] = None,
    after_days: Annotated[
        float, typer.Option("--after-days", metavar="D", min=0, help="Only of runs older than D.")
    ] = 0.0,
    max_gb: Annotated[
        float | None,
        typer.Option("--max-gb", metavar="GB", help="The oldest, until the rest fits."),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it; without it nothing is changed.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Release trajectories that are no longer needed. Says what would go, unless --apply.

    Without rules here, those of the sweeps hold (`retention:` in a sweep file). Only runs are
    touched whose candidates are complete. The document says first by which rule, by whom and
    when a file was released; then it is deleted, wherever it lies. Nothing may be running.

    Example: `haloflow db prune --failed --preparation --after-days 30`
    """
    from .pruning import prune_store

    asked = {"keep_every": keep_every, "max_gb": max_gb, "after_days": after_days}
    chosen = {"failed": failed, "superseded": superseded, "preparation": preparation}
    released = {name: "release" for name, is_on in chosen.items() if is_on}
    prune_store(store, asked | released, apply=apply)


@app.command()
def check(
    store: StoreOption = None,
    fast: Annotated[bool, typer.Option("--fast", help="Leave the checksums of files out.")] = False,
    mend: Annotated[
        bool, typer.Option("--mend", help="Let steps run again whose files are damaged.")
    ] = False,
) -> None:
    """Look for what is wrong in a store; changes nothing, exits with 1 if something is.

    Documents are read by their models; identities, references between steps, files with size
    and sha256, and indexes are looked at. With --mend, damaged files are removed with the
    documents of the steps that made them, which the next run or resume makes anew.

    Example: `haloflow db check --fast`
    """
    from .databases import check_documents

    if not check_documents(store, fast=fast, mend=mend):
        raise typer.Exit(1)
