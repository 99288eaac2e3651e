"""``haloflow``: the commands, their options and their help; the work is done elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperGroup

from ..errors import HaloflowError, InputError
from .data import app as data_app
from .db import app as db_app
from .ingest import app as ingest_app
from .looking import app as looking_app
from .models import app as models_app
from .options import (
    OutputFormat,
    StoreOption,
    SweepFile,
    SweepName,
)
from .phases import app as phases_app
from .queue import app as queue_app
from .setup import app as setup_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.errors import PyMongoError

EXIT_FAILURE = 1
EXIT_INPUT = 2


class _Commands(TyperGroup):
    """Turns errors into one message and an exit code: 2 for wrong input, 1 for the rest."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  (typer's own signature)
        from .console import show_error, show_fault

        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except HaloflowError as error:
            show_error(error)
            raise typer.Exit(
                EXIT_INPUT if isinstance(error, InputError) else EXIT_FAILURE
            ) from None
        except Exception as error:  # whatever it is: shown, without a traceback
            if isinstance(error, BrokenPipeError) or type(error).__module__.startswith("typer"):
                raise
            if type(error).__module__.startswith("pymongo"):  # which takes time to import
                from ..stores.mongodb import store_error

                show_error(store_error(cast("PyMongoError", error), "the store of this command"))
            else:
                show_fault(error)
            raise typer.Exit(EXIT_FAILURE) from None


app = typer.Typer(
    name="haloflow",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(data_app)
app.add_typer(db_app, name="db")
app.add_typer(ingest_app)
app.add_typer(looking_app)
app.add_typer(models_app, name="models")
app.add_typer(phases_app, name="phases")
app.add_typer(queue_app)
app.add_typer(setup_app)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (typer calls it so)
    if wanted:
        from .. import __version__

        typer.echo(f"haloflow {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the full traceback of an error.")
    ] = False,
) -> None:
    """Screen sodium halide and oxyhalide solid electrolytes, crystals and glasses.

    A sweep file goes in; a ranked table of stability and Na conductivity comes out.

    Five minutes:

        haloflow systems                          what can be screened
        haloflow plan examples/quickstart.yaml    what it would cost
        haloflow run examples/quickstart.yaml     run it; again: resume, reuse
        haloflow query --where "e_hull <= 0.1"    ask the store
        haloflow report -o report.html            figures for people
        haloflow serve                            look around in a browser
    """


@app.command()
def systems(
    family: Annotated[
        str | None, typer.Argument(help="Show one family in full, e.g. tacl5-na2s.")
    ] = None,
) -> None:
    """List the families of electrolytes: composition, range, crystals, published numbers.

    Example: `haloflow systems namocl4`
    """
    from .systems import show_systems

    show_systems(family)


@app.command()
def plan(
    sweep: SweepFile,
    store: StoreOption = None,
    steps: Annotated[bool, typer.Option("--steps", help="List every step.")] = False,
) -> None:
    """Say what a sweep would run, cost and reuse. Nothing runs, nothing is written.

    Example: `haloflow plan examples/quickstart.yaml --steps`
    """
    from .plan import show_plan

    show_plan(sweep, store, every_step=steps)


@app.command("run")
def run_command(
    sweep: SweepFile,
    store: StoreOption = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", "-j", min=1, help="Steps side by side. Default: one per core, up to 8."
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Run everything again from the start."),
    ] = False,
    over_budget: Annotated[
        bool,
        typer.Option("--over-budget", help="Run though the estimate is above the budget."),
    ] = False,
) -> None:
    """Run a sweep, then print the ranking.

    What is stored already is reused. Stopped or killed at any moment and started again, it
    goes on from its checkpoints.

    Example: `haloflow run examples/quickstart.yaml -j 2`
    """
    from .run import run_and_rank

    run_and_rank(sweep, store, workers=workers, force=force, over_budget=over_budget)


@app.command()
def status(
    store: StoreOption = None,
    sweep: SweepName = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Follow submitted sweeps; find lost jobs and rerun them."),
    ] = False,
    every_s: Annotated[
        float, typer.Option("--every", metavar="S", min=0.1, help="Seconds between two looks.")
    ] = 5.0,
) -> None:
    """Show how far each candidate is, what runs now, and what failed and why.

    Of submitted sweeps also: steps by stage and state, places in the queue, core-hours spent
    and left, and failures by cause with the end of what the job wrote.

    Example: `haloflow status --sweep quickstart --watch`
    """
    from .campaigns import show_campaigns
    from .status import show_status

    if not watch:
        show_status(store, sweep)
    show_campaigns(store, sweep, watch_s=every_s if watch else None)


@app.command()
def query(
    where: Annotated[
        list[str] | None,
        typer.Option("--where", "-w", metavar="FILTER", help="Which rows; several must all hold."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="FIELDS", help="Comma-separated; -FIELD sorts downwards."),
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="FIELDS", help="Comma-separated fields.")
    ] = None,
    output: Annotated[
        OutputFormat, typer.Option("--format", help="Of the rows.")
    ] = OutputFormat.TABLE,
    limit: Annotated[int, typer.Option(min=0, help="Most rows; 0 for all.")] = 0,
    fields: Annotated[
        bool, typer.Option("--fields", help="List the fields with units and meaning.")
    ] = False,
    store: StoreOption = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Ask a server (`haloflow serve`), no store."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", metavar="TEXT", envvar="HALOFLOW_TOKEN", help="Of that server, if it asks."
        ),
    ] = None,
) -> None:
    """Filter, sort and print the candidates of a store; without options: the ranking.

    Fields have short names (`haloflow query --fields`): `e_hull` (eV/atom), `sigma` (mS/cm at
    300 K), `sigma_lower`, `sigma_status`, `phase`, `family`, `var.x`, `d_600K`...

    Filters compare them: `==` `!=` `<` `<=` `>` `>=` `~` (regular expression) `in (...)`,
    joined by `and`, `or`, `not`, parentheses.

    For example:

    `haloflow query -w "e_hull <= 0.1 and phase == glass" --sort -sigma_lower`

    `haloflow query -w "label ~ NaTa.*" --columns label,e_hull,sigma,sigma_upper --format csv`

    `haloflow query --url http://127.0.0.1:8000 -w "sigma >= 1"`
    """
    from .query import show_fields, show_query

    if fields:
        show_fields()
        return
    show_query(
        store,
        where or [],
        sort=sort,
        columns=columns,
        output=output,
        limit=limit,
        url=url,
        token=token,
    )


@app.command()
def show(
    candidate: Annotated[
        str, typer.Argument(metavar="ID", help="Candidate id, the start of one, or a label.")
    ],
    store: StoreOption = None,
) -> None:
    """Show everything known about a candidate, down to the weights that made each number.

    Example: `haloflow show "NaTaOCl4 glass"`
    """
    from .show import show_candidate

    show_candidate(store, candidate)


@app.command()
def report(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="HTML file to write.")
    ] = Path("haloflow-report.html"),
    sweep: SweepName = None,
    store: StoreOption = None,
) -> None:
    """Write one HTML file with ranking, figures, structures and provenance.

    It holds everything itself and asks no server for anything: mail it, print it, keep it.

    Example: `haloflow report --sweep quickstart -o quickstart.html`
    """
    from .report import make_report

    make_report(store, output, sweep)


@app.command()
def doctor(
    store: StoreOption = None,
    remote: Annotated[
        str | None,
        typer.Option(
            "--remote", metavar="MANAGER", help="Examine a worker of fireworks or jobflow-remote."
        ),
    ] = None,
    sweep: Annotated[
        Path | None,
        typer.Option("--for", metavar="SWEEP", help="With --remote: this sweep's potentials."),
    ] = None,
    deadline_s: Annotated[
        float, typer.Option("--deadline", metavar="S", min=1, help="Longest wait for the worker.")
    ] = 600.0,
) -> None:
    """Check Python, packages, potentials, packmol, the store and the machine.

    Says what is missing with the pip line that brings it; exits with 1 if something stops
    sweeps from running. With --remote, a job goes to a worker and looks from there: package,
    store, weights, folders, clock.

    Example: `haloflow doctor --remote fireworks --for sweep.yaml`
    """
    if remote is None:
        from .doctor import examine

        ready = examine(store)
    else:
        from .preflight import examine_remote

        ready = examine_remote(store, remote, sweep, deadline_s)
    if not ready:
        raise typer.Exit(EXIT_FAILURE)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line with `arguments` (default: those of the process)."""
    app(args=None if arguments is None else list(arguments), prog_name="haloflow")
