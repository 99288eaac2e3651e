"""``haloflow analyze``: the analyses of one trajectory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.text import Text

from ..dashboard.wording import quantity_text, reason, status_label
from ..errors import InputError
from ..stores.analyses import TransportAnalysis
from ..workflows.analyze import Request, TrajectoryAnalysis, analyze, as_json
from .console import coloured, console, table

if TYPE_CHECKING:
    from pathlib import Path

    from ..quantity import Quantity


def analyze_file(request: Request, output: Path | None, page: Path | None) -> None:
    """Analyse a trajectory; print the main numbers, write all of them as JSON and as a page."""
    err = console(stderr=True)
    with err.status(f"reading {request.path.name}") as status:

        def report(stage: str, n_frames: int, total: int | None) -> None:
            of = f" of {total:,}" if total else ""
            status.update(
                f"reading {request.path.name}: {n_frames:,}{of} frames"
                if stage == "reading"
                else f"{stage} of {n_frames:,} frames"
            )

        found = analyze(request, report)
    if output is not None:
        _write(output, json.dumps(as_json(found), indent=1))
    _print_numbers(found)
    out = console()
    for name, why in found.left_out.items():
        out.print(Text(f"left out: {name}: {why}", style="dim"))
    for path in (output, page):
        if path is not None:
            out.print(f"Written: {path}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            "the result cannot be written",
            given=f"{path} ({error.strerror})",
            remedy="name a file in a folder that exists and that you may write to",
        ) from None


def _print_numbers(found: TrajectoryAnalysis) -> None:
    facts = found.trajectory
    out = console()
    atoms = " ".join(f"{name}{n}" for name, n in facts["species"].items())
    out.print(f"{facts['n_frames']:,} frames of {facts['n_atoms']} atoms ({atoms})")
    transport = found.sections.get("transport")
    if not isinstance(transport, TransportAnalysis):
        return
    made = table("", "", "status")
    rows: list[tuple[str, Quantity | None, str]] = [
        (f"D({transport.mobile})", transport.diffusivity_cm2_s, "cm²/s"),
        ("σ, ions that move alone", transport.sigma_ne_ms_cm, "mS/cm"),
        ("σ, collective", transport.sigma_ms_cm, "mS/cm"),
        ("Haven ratio", transport.haven_ratio, ""),
    ]
    for name, quantity, unit in rows:
        if quantity is not None:
            word = coloured(status_label(quantity.status))
            why = reason(quantity)
            made.add_row(
                name,
                f"{quantity_text(quantity)} {unit}",
                word + Text(f": {why}" if why else "", style="dim"),
            )
    out.print(made)
