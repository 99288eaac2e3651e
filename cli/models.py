"""``haloflow models``: what was trained, how wrong it is, and where it holds."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from .options import StoreOption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from ..stores.connection import HaloflowStore
    from ..stores.domain_report import ErrorTable
    from ..stores.fine_tuning import FineTuning
    from ..workflows.models import StoredModel


class _ShowByDefault(TyperGroup):
    """Takes what is no command as the model to show."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  (typer's own)
        if not args or (args[0] not in self.commands and args[0] not in {"-h", "--help"}):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_ShowByDefault, help="Trained models: what there is, and how to hand one on.")


@app.command()
def show(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="Show one in full: the start of its weights' sha256."),
    ] = None,
    store: StoreOption = None,
) -> None:
    """List trained models, of the store and of the package; give any as a potential by its name.

    `student` in a sweep file trains one, the package brings none so far; `auto` as a level takes
    the fastest sound one that covers a run.
    `show` may be left out.

    Example: `haloflow models`
    """
    from ..workflows.models import find_model, known_models
    from .console import coloured, console, table

    out = console()
    with _opened(store) as opened:
        found = known_models(opened)
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


@app.command()
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The start of its sha256.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where its files go.")],
    name: Annotated[
        str | None, typer.Option("--name", help="Of the files; default: that of its weights.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a model's weights, domain, document and card, as haloflow brings models along.

    Example: `haloflow models export 0123456789ab --to students --name na-ta-o-cl`
    """
    from ..workflows.model_export import export_model
    from ..workflows.models import find_model, known_models
    from .console import console

    with _opened(store) as opened:
        one = find_model(known_models(opened).models, model)
        stem = one.document.level.partition(":")[2].partition(".")[0]
        for path in export_model(one, to, name or stem, opened):
            console().print(str(path), soft_wrap=True)


@contextmanager
def _opened(store: str | None) -> Iterator[HaloflowStore | None]:
    """Open the store meant; none by default is as good, for the models that haloflow brings."""
    from ..stores.connection import is_there
    from .stores import existing_store, store_uri

    if store is None and not is_there(store_uri(None)):
        yield None
        return
    with existing_store(store, read_only=True) as opened:
        yield opened


def _show_card(out: Console, model: StoredModel) -> None:
    document, domain, check = model.document, model.document.domain, model.check
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
        "its runs are not watched: it keeps no domain"
        if document.stop_grade is None
        else f"its runs are watched, and end where an atom's grade passes {document.stop_grade:g}",
        *(f"errors, {split}: {_errors(table)}" for split, table in document.errors.items()),
        *(f"test, {at}: {_errors(one)}" for at, one in document.errors_by_temperature.items()),
    ]
    if document.fine_tuning is not None:
        lines += _training_lines(document.fine_tuning)
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
    if check is not None:
        lines.append(
            f"held against its teacher: {len(check.runs)} runs repeated, "
            f"{len(check.long_runs)} long ones, {len(check.problems) or 'no'} differences"
        )
        lines += [f"differs: {problem}" for problem in check.problems]
    for line in lines:
        out.print(f"  {line}", soft_wrap=True)


def _training_lines(tuning: FineTuning) -> Iterator[str]:
    began = f"{tuning.parent_level}" if tuning.parent_level else "random weights"
    yield f"began with: {began}; {tuning.n_parameters_trained} parameters were trained"
    if tuning.parent_errors is not None:
        yield f"that one's errors, test: {_errors(tuning.parent_errors)}"
    if tuning.reference_shift_ev:
        shifts = ", ".join(f"{s} {ev:+.3f}" for s, ev in tuning.reference_shift_ev.items())
        yield f"references moved by: {shifts} eV"
    last, best = tuning.history[-1], tuning.history[tuning.best_epoch]
    early = ", ended early" if tuning.stopped_early else ""
    yield (
        f"training: {last.epoch} epochs{early}, the best is {best.epoch}: energy "
        f"{best.energy_mev_per_atom:.1f} meV/atom, forces {best.force_mev_a:.0f} meV/A in "
        "validation"
    )


def _errors(errors: ErrorTable) -> str:
    elements = ", ".join(
        f"{symbol} {error:.0f}" for symbol, error in errors.force_mae_of_element_mev_a.items()
    )
    return (
        f"{errors.n_frames} frames, energy {errors.energy_mae_mev_per_atom:.1f} meV/atom, forces "
        f"{errors.force_mae_mev_a:.0f} meV/A ({elements}; RMS of the labels "
        f"{errors.force_rms_mev_a:.0f}), stress {errors.stress_mae_gpa:.2f} GPa; RMSE "
        f"{errors.energy_rmse_mev_per_atom:.1f} meV/atom, {errors.force_rmse_mev_a:.0f} meV/A, "
        f"{errors.stress_rmse_gpa:.2f} GPa"
    )


def _range(ends: tuple[float, float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.4g} to {ends[1]:.4g}"
