"""``haloflow systems``: the chemistry that can be screened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from ..dashboard.wording import literature_label, literature_text
from ..stores.documents import LiteratureValue
from ..systems.families import get_family, list_families
from ..systems.phases import get_phase
from .console import console, table

if TYPE_CHECKING:
    from rich.console import Console

    from ..systems.declarations import Variable
from ..systems.families import Family


def show_systems(family_id: str | None) -> None:
    """Print all families, or one in full."""
    out = console()
    if family_id is not None:
        _show_family(out, get_family(family_id))
        return
    made = table("family", "composition", "sweep", "M", "phases", "crystals")
    for family in list_families():
        made.add_row(
            Text(family.id, style="bold"),
            family.title,
            "\n".join(_range(variable) for variable in family.variables) or "fixed",
            ", ".join(family.formers),
            _phases(family),
            str(len(family.crystals)),
        )
    out.print(made)
    out.print("One family in full: haloflow systems FAMILY. Own chemistry: give `components` in")
    out.print("the sweep file.")


def _phases(family: Family) -> str:
    return " and ".join(["crystal"] * bool(family.crystals) + ["glass"] * family.glass)


def _range(variable: Variable) -> str:
    known = variable.published_range
    published = f", published {known[0]:g} to {known[1]:g}" if known else ""
    return f"{variable.name} = {variable.lower:g} to {variable.upper:g}{published}"


def _show_family(out: Console, family: Family) -> None:
    out.print(Text(f"{family.title}  ", style="bold") + Text(family.id, style="dim"))
    lines = [f"{v.description}: {_range(v)}" for v in family.variables]
    lines += [f"published x: {', '.join(f'{x:g}' for x in v.published)}" for v in family.variables]
    lines += [f"M: {', '.join(family.formers)}"] if family.formers else []
    lines += [_component_line(family), f"made as: {_phases(family)}"]
    for line in [*lines, *family.notes]:
        out.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    _show_crystals(out, family)
    _show_literature(out, family)


def _component_line(family: Family) -> str:
    parts = []
    for rule in family.components:
        choices = [rule.formula] if isinstance(rule.formula, str) else list(rule.formula.values())
        parts.append(f"{rule.amount} {' or '.join(choices)}")
    return f"formula units: {' + '.join(parts)}"


def _show_crystals(out: Console, family: Family) -> None:
    made = table("crystal model", "formula", "space group", "where it comes from", "caution")
    for crystal in family.crystals:
        phase = get_phase(crystal.phase_id)
        where = f"{phase.origin}: {phase.reference}"
        made.add_row(
            phase.id,
            phase.formula,
            phase.space_group.symbol,
            where,
            Text(phase.caution or "none", style="yellow" if phase.caution else "green"),
        )
    if family.crystals:
        out.print(made)


def _show_literature(out: Console, family: Family) -> None:
    if not family.literature:
        return
    made = table("published", "value", "kind", "of", "phases present", "source")
    for row in family.literature:
        document = LiteratureValue(**row.as_document())
        scope = [row.former] if row.former else []
        scope += [f"{name} = {value:g}" for name, value in row.at.items()]
        source = f"{document.source}; {document.conditions}".rstrip("; ")
        made.add_row(
            literature_label(document),
            literature_text(document),
            document.kind,
            ", ".join(scope) or "all",
            document.phases_present,
            source,
        )
    out.print(made)
