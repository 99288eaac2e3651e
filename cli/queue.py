"""Commands of queues: ``haloflow submit``, ``retry``, ``cancel``, ``pause``, ``resume``..."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import ManagerOption, StoreOption, SweepFile, SweepName

app = typer.Typer()


@app.command()
def submit(
    sweep: SweepFile,
    to: ManagerOption,
    store: StoreOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be handed over; write nothing.")
    ] = False,
    over_budget: Annotated[
        bool, typer.Option("--over-budget", help="Though the estimate is above the budget.")
    ] = False,
) -> None:
    """Hand a sweep to an engine of queues: the same steps that `run` runs here.

    What is stored is reused, what the engine has already is left there. It needs a store on
    MongoDB that the workers reach, and the engine's own configuration on this machine.

    Example: `haloflow submit sweep.yaml --to fireworks --store mongodb://host/haloflow`
    """
    from .campaigns import submit as hand_over

    hand_over(sweep, store, to, dry_run=dry_run, over_budget=over_budget)


@app.command()
def retry(
    cause: Annotated[
        list[str] | None,
        typer.Option("--cause", metavar="TEXT", help="Only failures that say this; repeatable."),
    ] = None,
    sweep: SweepName = None,
    store: StoreOption = None,
) -> None:
    """Run failed steps of submitted sweeps again, all or those of a cause.

    Example: `haloflow retry --cause "out of memory"`
    """
    from .campaigns import change

    change(store, sweep, "retry", cause or [])


@app.command()
def cancel(sweep: SweepName = None, store: StoreOption = None) -> None:
    """Take submitted sweeps back: nothing of them starts, what runs is ended, results stay.

    Example: `haloflow cancel --sweep quickstart`
    """
    from .campaigns import change

    change(store, sweep, "cancel", [])


@app.command()
def pause(sweep: SweepName = None, store: StoreOption = None) -> None:
    """Let no further step of submitted sweeps start; `resume` undoes it.

    Example: `haloflow pause --sweep quickstart`
    """
    from .campaigns import change

    change(store, sweep, "pause", [])


@app.command()
def resume(sweep: SweepName = None, store: StoreOption = None) -> None:
    """Let all of submitted sweeps run that has no result: paused, lost, failed or not queued.

    Example: `haloflow resume`
    """
    from .campaigns import change

    change(store, sweep, "resume", [])


@app.command()
def recover(
    store: StoreOption = None,
    every_s: Annotated[
        float | None,
        typer.Option("--every", metavar="S", min=0.1, help="Again, until all has come to rest."),
    ] = None,
) -> None:
    """Find jobs of submitted sweeps that were lost with a process or machine; let them run again.

    Restarts the runner of jobflow-remote where it is dead. What failed, or is paused, is left
    alone. Workers of FireWorks do this for each other, and `submit` starts it for jobflow-remote;
    a line of cron does it after the machine itself was away.

    Example: `haloflow recover`
    """
    from .campaigns import recover as run_recovery

    run_recovery(store, every_s)
