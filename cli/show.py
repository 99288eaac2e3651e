"""``haloflow show``: everything known about one candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from ..dashboard.cautions import shown_phases
from ..dashboard.panels import candidate_facts
from ..dashboard.view import CandidateView
from ..dashboard.wording import (
    NOTHING,
    duration_text,
    energy_text,
    footnotes,
    literature_label,
    literature_text,
    quantity_text,
    reason,
    size_text,
    status_label,
)
from ..stores.documents import MDDocument
from ..systems.electrodes import list_electrodes
from ..workflows.status import find_candidate, find_summary, step_documents, update_summaries
from .console import coloured, console, table
from .stores import existing_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from ..dashboard.panels import Fact
    from ..stores.documents import (
        CandidateSummary,
        LiteratureValue,
        Release,
        StepDocument,
        StepState,
    )


def show_candidate(store: str | None, name: str) -> None:
    """Print the candidate that `name` (id, start of an id, label) means."""
    with existing_store(store) as opened:
        candidate = find_candidate(opened, name)
        update_summaries(opened)
        summary = find_summary(opened, candidate.candidate_id)
        documents = step_documents(opened, candidate)
        places = [str(opened.files_dir), *(place.name for place in opened.files.places)]
    out = console()
    _print_head(out, summary)
    _print_facts(out, CandidateView(summary, documents, title=summary.label))
    _print_literature(out, summary)
    _print_steps(out, summary, documents)
    out.print(f"Files lie under {', and in '.join(places)}")
    for note in footnotes([summary], shown_phases(documents.values())):
        out.print(Text(f"- {note}", style="dim"))


def _print_head(out: Console, summary: CandidateSummary) -> None:
    out.print(Text(summary.label, style="bold") + Text(f"  {summary.candidate_id}", style="dim"))
    out.print(
        Text(f"{summary.phase} of family {summary.family}; sweeps {', '.join(summary.sweeps)}")
    )
    cautions = [summary.phase_note] if summary.phase_note else []
    for warning in cautions + summary.warnings:
        out.print(Text(f"! {warning}", style="yellow"))


def _print_facts(out: Console, view: CandidateView) -> None:
    made = table("", "", "status")
    for fact in candidate_facts(view):
        made.add_row(Text(fact.name), *_fact_cells(fact))
    out.print(made)


def _fact_cells(fact: Fact) -> tuple[Text, Text]:
    if fact.quantity is None:
        return Text(fact.text), Text("")
    text = energy_text(fact.quantity) if fact.energy else quantity_text(fact.quantity)
    word = coloured(status_label(fact.quantity.status))
    why = reason(fact.quantity)
    amount = text if text == NOTHING else f"{text} {fact.unit}"
    return Text(amount), word + Text(f": {why}" if why else "", style="dim")


def _print_literature(out: Console, summary: CandidateSummary) -> None:
    if not summary.literature:
        return
    computed = {
        "energy_above_hull_ev_per_atom": quantity_text(summary.energy_above_hull_ev_per_atom),
        "sigma_300k_ms_cm": quantity_text(summary.sigma_300k_ms_cm),
        "activation_energy_ev": quantity_text(summary.activation_energy_ev),
    }
    made = table("published", "value", "here", "kind", "phases present", "source")
    for row in summary.literature:
        source = f"{row.source}; {row.conditions}".rstrip("; ")
        here = computed.get(row.quantity, "") or _voltage_here(summary, row)
        made.add_row(
            literature_label(row), literature_text(row), here, row.kind, row.phases_present, source
        )
    out.print(made)


def _voltage_here(summary: CandidateSummary, row: LiteratureValue) -> str:
    """Return the computed voltage on the scale of the published one."""
    limits = {
        "reduction_limit_v": summary.reduction_limit_v,
        "oxidation_limit_v": summary.oxidation_limit_v,
    }
    limit = limits.get(row.quantity)
    known = {electrode.id: electrode for electrode in list_electrodes()}
    if limit is None or row.electrode not in {None, *known}:
        return ""
    return quantity_text(known[row.electrode].against(limit) if row.electrode else limit)


def _print_steps(
    out: Console, summary: CandidateSummary, documents: Mapping[str, StepDocument]
) -> None:
    out.print(Text("Steps", style="bold"))
    for step in summary.steps:
        line = Text(f"{step.name}  ") + coloured(step.state)
        if step.status is not None:
            line += Text(" ") + coloured(status_label(step.status))
        out.print(line + Text(f"  {step.note}", style="dim"))
        for detail in _provenance(step, documents.get(step.name)):
            out.print(Padding(Text(detail, style="dim"), (0, 0, 0, 4), expand=False))


def _words(gone: Release) -> str:
    return f"released {gone.at:%Y-%m-%d} by {gone.by}: {gone.rule}"


def _provenance(step: StepState, document: StepDocument | None) -> list[str]:
    lines = [f"identity {step.identity}"]
    if document is None:
        return lines
    p = document.provenance
    resumed = f", resumed {p.n_resumes} times" if p.n_resumes else ""
    packages = ", ".join(f"{name} {version}" for name, version in p.packages.items())
    lines.append(
        f"haloflow {p.haloflow_version}, step code {p.code_version}, Python {p.python_version}, "
        f"{p.threads} thread on {p.device}, {duration_text(p.wall_s)}{resumed}"
    )
    lines += [packages] if packages else []
    if p.potential is not None:
        made_by = f"{p.potential.package} {p.potential.package_version}"
        made_by += f", evaluated by {p.runner}" if p.runner != "ase" else ""
        lines.append(f"potential {p.potential.name} (level {p.potential.level}), {made_by}")
        lines.append(f"weights sha256 {p.potential.weights_sha256}")
    lines += [f"from {parent}" for parent in p.parents]
    if isinstance(document, MDDocument):
        lines += [
            f"driven by {one.level} from step {one.from_step} of the {one.part} on"
            for one in document.models
        ]
    lines += [
        f"{file.role}: {file.path}, {size_text(file.n_bytes)}, sha256 {file.sha256}"
        + ("" if file.released is None else f", {_words(file.released)}")
        for file in document.files
    ]
    return lines
