"""``haloflow setup``: configuration of a manager, asked for or taken from options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ManagerOption, StoreOption

app = typer.Typer()


@app.command()
def setup(
    to: ManagerOption,
    store: StoreOption = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="slurm, pbs, sge, lsf or shell.")
    ] = None,
    files_dir: Annotated[
        Path | None,
        typer.Option("--files-dir", help="Of trajectories and checkpoints, on all workers."),
    ] = None,
    trajectory_store: Annotated[
        str | None,
        typer.Option(
            "--trajectory-store",
            metavar="PLACE",
            help="For trajectories, where machines share no folder: a folder, gridfs or "
            "s3://bucket/prefix?endpoint=...; --files-dir is then scratch of each worker.",
        ),
    ] = None,
    work_dir: Annotated[
        Path | None, typer.Option("--work-dir", help="Scratch folder of the worker.")
    ] = None,
    queue: Annotated[
        str | None, typer.Option("--queue", "--partition", help="Default: the scheduler's.")
    ] = None,
    account: Annotated[str | None, typer.Option("--account", help="To charge.")] = None,
    walltime: Annotated[
        str, typer.Option("--walltime", metavar="[D-]HH:MM[:SS]", help="Limit of a job.")
    ] = "24:00:00",
    cores: Annotated[int, typer.Option("--cores", min=1, help="Of a step.")] = 1,
    gpus: Annotated[int, typer.Option("--gpus", min=0, help="Of a job.")] = 0,
    memory_gb: Annotated[
        float | None, typer.Option("--memory-gb", help="Of a step; default: the queue's.")
    ] = None,
    module: Annotated[
        list[str] | None, typer.Option("--module", help="To load on the worker; repeatable.")
    ] = None,
    environment: Annotated[
        Path | None,
        typer.Option("--environment", help="Prefix of the worker's Python. Default: this one."),
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Where jobflow-remote logs in to submit.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="Of worker or project. Default: haloflow; of FireWorks, with user and host.",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Of the files. Default: ~/.fireworks or ~/.jfremote."),
    ] = None,
    packed: Annotated[
        bool, typer.Option("--packed", help="Let a job of the queue run many steps.")
    ] = False,
    side_by_side: Annotated[
        int, typer.Option("--side-by-side", min=1, help="Steps at once in such a job.")
    ] = 1,
    max_jobs: Annotated[
        int | None,
        typer.Option("--max-jobs", min=1, help="In the queue at once, of jobflow-remote."),
    ] = None,
    poll_s: Annotated[
        float, typer.Option("--poll", metavar="S", min=0.1, help="Of jobflow-remote's runner.")
    ] = 10.0,
    force: Annotated[bool, typer.Option("--force", help="Replace other files.")] = False,
    preflight: Annotated[
        bool, typer.Option("--preflight/--no-preflight", help="Let a worker examine itself.")
    ] = True,
    deadline_s: Annotated[
        float, typer.Option("--deadline", metavar="S", min=1, help="Longest wait for it.")
    ] = 600.0,
) -> None:
    """Configure FireWorks or jobflow-remote for this machine's queue, in their own formats.

    Asks for what is not given, when there is somebody to ask. Files that are there with other
    contents are shown with the difference and kept, unless forced. Then a worker examines
    itself, as by `haloflow doctor --remote`.

    Example: `haloflow setup --to fireworks --scheduler slurm --partition long --store mongodb://h`
    """
    from .configure import Wishes, configure, examined

    place = configure(
        Wishes(
            manager=to,
            store=store,
            scheduler=scheduler,
            files_dir=files_dir,
            folder=folder,
            walltime=walltime,
            cores=cores,
            gpus=gpus,
            memory_gb=memory_gb,
            rest={
                "name": name,
                "queue": queue,
                "account": account,
                "modules": tuple(module or ()),
                "environment": environment,
                "work_dir": work_dir,
                "host": host,
                "packed": packed,
                "side_by_side": side_by_side,
                "max_jobs": max_jobs,
                "poll_s": poll_s,
                "trajectory_store": trajectory_store,
            },
        ),
        force=force,
    )
    if preflight and not examined(place, deadline_s):
        raise typer.Exit(1)
