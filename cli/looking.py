"""Commands that look at results: ``haloflow serve`` and ``haloflow analyze``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ChargesOption, CrystalFlag, ReferenceFile, StoreOption

app = typer.Typer()


@app.command()
def serve(
    store: StoreOption = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Address to listen at. Others than 127.0.0.1 are reached from other machines, "
            "and need the token that is then printed.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Port; 0 for a free one.")
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TOKEN",
            envvar="HALOFLOW_TOKEN",
            help="Ask for this token. Default: a new one, and none on 127.0.0.1.",
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the dashboard in the browser.")
    ] = False,
) -> None:
    """Serve the dashboard and the REST API of a store, for reading only.

    Answers this machine alone unless told otherwise, writes nothing, and asks no other
    server for anything. Stop with Ctrl-C.

    Example: `haloflow serve --port 8000 --open`
    """
    from .serve import serve_store

    serve_store(store, host=host, port=port, token=token, open_browser=open_browser)


@app.command("analyze")
def analyze_command(
    trajectory: Annotated[
        Path,
        typer.Argument(
            metavar="TRAJ",
            help="XDATCAR, extxyz, vasprun.xml, ASE traj, LAMMPS dump..., or the folder of a "
            "haloflow MD run.",
        ),
    ],
    mobile: Annotated[str, typer.Option("--mobile", help="The mobile ion.")] = "Na",
    temperature: Annotated[
        float | None, typer.Option("--temperature", metavar="K", help="Of the run, in K.")
    ] = None,
    frame_ps: Annotated[
        float | None, typer.Option("--frame-ps", metavar="PS", help="Time between frames, in ps.")
    ] = None,
    charges: ChargesOption = None,
    lags: Annotated[
        str | None,
        typer.Option("--lags", metavar="N,...", help="Lags of the MSD in frames. Default: all."),
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="NAMES", help="Sections, comma-separated.")
    ] = None,
    types: Annotated[
        str | None,
        typer.Option("--types", metavar="EL,...", help="Elements of LAMMPS types 1, 2, 3..."),
    ] = None,
    unwrapped: Annotated[
        bool, typer.Option("--unwrapped", help="Positions are continuous already, not wrapped.")
    ] = False,
    coupling_mhz: Annotated[
        float | None,
        typer.Option(
            "--quadrupole-coupling-mhz", metavar="MHZ", help="C_Q of 23Na. Without it, no T1."
        ),
    ] = None,
    asymmetry: Annotated[
        float | None, typer.Option("--asymmetry", metavar="ETA", help="Of the field gradient, 0-1.")
    ] = None,
    larmor_mhz: Annotated[
        str | None,
        typer.Option("--larmor-mhz", metavar="MHZ,...", help="Of 23Na. Default: 132.294,73.39."),
    ] = None,
    crystal: CrystalFlag = False,
    reference: ReferenceFile = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="JSON file to write.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="HTML page with the figures.")
    ] = None,
) -> None:
    """Analyse a trajectory of any code: transport, structure, landscape. Needs no store.

    Wrapped positions are made continuous by the nearest image; motion is relative to the
    framework (all atoms but the mobile ones).

    Example: `haloflow analyze XDATCAR --temperature 500 --frame-ps 0.1 -o out.json`
    """
    from ..makers.nmr import nmr_protocol
    from ..workflows.analyze import Request
    from .analyze import analyze_file
    from .lists import charges_of, integers_of, numbers_of, words_of

    request = Request(
        path=trajectory,
        mobile=mobile,
        temperature_k=temperature,
        frame_ps=frame_ps,
        charges=charges_of(charges),
        lags=integers_of(lags),
        only=words_of(only),
        types=words_of(types),
        unwrapped=unwrapped,
        nmr=nmr_protocol(coupling_mhz, asymmetry, numbers_of(larmor_mhz)),
        crystal=crystal,
        reference=reference,
    )
    analyze_file(request, output, html)
