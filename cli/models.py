"""``haloflow models``: what was trained, how wrong it is, and where it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from .options import StoreOption

if TYPE_CHECKING:
    from rich.console import Console

    from ..stores.domain_report import ErrorTable
    from ..workflows.models import KnownModels, StoredModel

app = typer.Typer()


@app.command()
def models(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="Show one in full: the start of its weights' sha256."),
    ] = None,
    store: StoreOption = None,
) -> None:
    """List trained models, of the store and of haloflow; give any as a potential by its name.

    `student` in a sweep file trains one; `auto` as a level takes the fastest that covers a run.

    Example: `haloflow models`
    """
    from ..workflows.models import find_model
    from .console import coloured, console, table

    out = console()
    found = _known(store)
    for note in found.notes:
        out.print(Text("note: ", style="bold yellow") + Text(note))
    if model is not None:
        _show_card(out, find_model(found.models, model))
        return
    if all(one.is_shipped for one in found.models):
        out.print("No model was trained in this store. `student` in a sweep file trains one.")
    if not found.models:
        return
    made = table("name", "status", "formulas", "T / K", "forces", "energy", "speed", "teacher")
    for one in found.models:
        document = one.document
        errors = document.errors.get("test")
        made.add_row(
            f"{one.name} (haloflow's)" if one.is_shipped else one.name,
            coloured(document.status.value),
            ", ".join(document.domain.formulas),
            _range(document.domain.temperature_k),
            f"{errors.force_mae_mev_a:.0f} meV/A" if errors else "-",
            f"{errors.energy_mae_mev_per_atom:.1f} meV/atom" if errors else "-",
            f"{document.us_per_atom_step:.0f} us",
            document.teacher,
        )
    out.print(made)
    out.print("Errors are means of absolute values on trajectories that no training saw; speed is")
    out.print("processor time per atom and step where it was trained. In full: haloflow models SHA")


def _known(store: str | None) -> KnownModels:
    """Return the models of the store meant, and haloflow's own where there is none by default."""
    from ..stores.connection import is_there
    from ..workflows.models import known_models
    from .stores import existing_store, store_uri

    if store is None and not is_there(store_uri(None)):
        return known_models(None)
    with existing_store(store, read_only=True) as opened:
        return known_models(opened)


def _show_card(out: Console, model: StoredModel) -> None:
    document, domain = model.document, model.document.domain
    out.print(Text(document.level, style="bold"))
    lines = [
        f"as a potential: {model.name}",
        f"status: {document.status.value}{f', {document.note}' if document.note else ''}",
        f"teacher: {document.teacher} ({document.teacher_sha256[:12]})",
        f"data: {document.data_hash[:12]}, {document.errors['train'].n_frames} frames of training"
        if "train" in document.errors
        else f"data: {document.data_hash[:12]}",
        f"covers: {', '.join(domain.formulas)}",
        f"at {_range(domain.temperature_k)} K, {_range(domain.density_g_cm3)} g/cm3",
        *(f"errors, {split}: {_errors(table)}" for split, table in document.errors.items()),
    ]
    if document.repulsion_ev_a:
        pair, force = min(document.repulsion_ev_a.items(), key=lambda item: item[1])
        lines.append(f"weakest repulsion from 0.5 to 1.2 A: {pair}, {force:.0f} eV/A")
    for number, one in enumerate(document.rounds):
        worst = max((run.share_above for run in one.runs), default=0.0)
        lines.append(
            f"round {number}: {one.n_train} frames, {one.epochs} epochs, {len(one.runs)} runs, "
            f"at most {worst:.0%} of a run's frames above grade {document.select_grade:g}, "
            f"{one.n_new} frames new"
        )
    for line in lines:
        out.print(f"  {line}", soft_wrap=True)


def _errors(errors: ErrorTable) -> str:
    elements = ", ".join(
        f"{symbol} {error:.0f}" for symbol, error in errors.force_mae_of_element_mev_a.items()
    )
    return (
        f"{errors.n_frames} frames, energy {errors.energy_mae_mev_per_atom:.1f} meV/atom, forces "
        f"{errors.force_mae_mev_a:.0f} meV/A ({elements}; RMS of the labels "
        f"{errors.force_rms_mev_a:.0f}), stress {errors.stress_mae_gpa:.2f} GPa"
    )


def _range(ends: tuple[float, float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.4g} to {ends[1]:.4g}"
