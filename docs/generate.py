"""Write the generated parts of the pages, or check that they are up to date.

Usage: ``python docs/generate.py`` writes, ``python docs/generate.py --check`` only tells.
A part stands between ``<!-- generated:NAME:begin -->`` and ``<!-- generated:NAME:end -->``.
"""

from __future__ import annotations

import re
import sys
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from haloflow.engines.potential_registry import registered
from haloflow.engines.weights import WheelFile
from haloflow.settings import Settings
from haloflow.stores.fields import FIELDS
from haloflow.systems.families import list_families
from haloflow.systems.phases import load_phases
from haloflow.workflows.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from haloflow.systems.declarations import LiteratureRow
    from haloflow.systems.families import Family

DOCS = Path(__file__).parent
_PART = re.compile(
    r"(?P<begin><!-- generated:(?P<name>\w+):begin -->\n).*?(?P<end><!-- generated:\w+:end -->)",
    re.DOTALL,
)
_BOUNDS = {
    "exclusiveMinimum": "above {:g}",
    "minimum": "from {:g}",
    "exclusiveMaximum": "below {:g}",
    "maximum": "up to {:g}",
}


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(item) for item in line) + " |" for line in lines)


def _cell(item: object) -> str:
    return str(item).replace("|", "\\|").replace("\n", " ")


def sweep_part() -> str:
    """Return one table per section of a sweep file."""
    schema = Sweep.model_json_schema()
    parts = []
    for path, section in _sections("", schema, schema["$defs"]):
        required = section.get("required", ())
        rows = [
            (
                f"`{name}`",
                _type(field, schema["$defs"]),
                "required" if name in required else _default(field),
                field.get("description", ""),
            )
            for name, field in section["properties"].items()
        ]
        title = f"### `{path}`\n\n{section['description'].splitlines()[0]}" if path else "### Top"
        parts.append(f"{title}\n\n{table(('field', 'type', 'default', 'meaning'), rows)}")
    return "\n\n".join(parts)


def _sections(path: str, section: Any, defs: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  (JSON)
    yield path, section
    for name, field in section["properties"].items():
        for key in re.findall(r"#/\$defs/(\w+)", str(field)):
            inner = f"{path}.{name}" if path else name
            listed = "[]" if field.get("type") == "array" else ""
            yield from _sections(inner + listed, defs[key], defs)


def _type(field: Any, defs: Any) -> str:  # noqa: ANN401  (JSON)
    if "$ref" in field:
        return "section"
    if "anyOf" in field:
        kinds = [_type(one, defs) for one in field["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in field or "enum" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field["type"] == "array":
        return f"list of {_plural(_type(field['items'], defs))}"
    if field["type"] == "object":
        return f"mapping of names to {_plural(_type(field['additionalProperties'], defs))}"
    kind = {"integer": "whole number", "boolean": "`true` or `false`", "string": "text"}
    bounds = [text.format(field[key]) for key, text in _BOUNDS.items() if key in field]
    return " ".join([kind.get(field["type"], field["type"]), *bounds])


def _plural(kind: str) -> str:
    first, _, rest = kind.partition(" ")
    if kind.startswith("whole number"):
        return f"whole numbers{kind.removeprefix('whole number')}"
    plural = {"number": "numbers", "text": "texts", "section": "sections", "mapping": "mappings"}
    return f"{plural.get(first, first)} {rest}".strip()


def _default(field: Any) -> str:  # noqa: ANN401  (JSON)
    value = field.get("default")
    if value is None or (isinstance(value, dict) and "default" not in field):
        return "none" if "$ref" not in field else "see below"
    if isinstance(value, dict):
        return "see below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return "`[" + ", ".join(f"{item:g}" for item in value) + "]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value != "" else "empty"


def settings_part() -> str:
    """Return the environment variables."""
    prefix = Settings.model_config["env_prefix"]
    rows = (
        (f"`{prefix}{name.upper()}`", _setting(field.default), field.description)
        for name, field in Settings.model_fields.items()
    )
    return table(("variable", "default", "meaning"), rows)


def _setting(value: object) -> str:
    return "none" if value is None else f"`{value}`"


def fields_part() -> str:
    """Return the fields of a summary by their short names."""
    rows = (
        (f"`{field.name}`", field.type, field.unit, field.description) for field in FIELDS.values()
    )
    return table(("field", "type", "unit", "meaning"), rows)


def potentials_part() -> str:
    """Return the potentials that have a name."""
    rows = (
        (
            f"`{recipe.name}`",
            recipe.theory,
            f"`{recipe.package}`",
            f"`[{recipe.extra}]`",
            "inside the wheel" if isinstance(recipe.weights, WheelFile) else "downloaded once",
            len(recipe.elements) if recipe.elements else "asked of the model",
        )
        for recipe in registered().values()
    )
    return table(("name", "level of theory", "package", "extra", "weights", "elements"), rows)


def families_part() -> str:
    """Return the families and what they are swept over."""
    rows = ((f"`{family.id}`", *_family_row(family)) for family in list_families())
    header = ("id", "components", "former M", "x from to", "published x", "crystal models")
    return table(header, rows)


def _family_row(family: Family) -> tuple[str, ...]:
    amounts = (f"({rule.amount}) {_formula(rule.formula)}" for rule in family.components)
    components = " + ".join(amounts)
    variable = family.variable
    return (
        components.replace("(1.0) ", "").replace("(1) ", ""),
        ", ".join(family.formers) or "fixed",
        f"{variable.lower:g} to {variable.upper:g}" if variable else "no variable",
        ", ".join(f"{x:g}" for x in variable.published) if variable else "",
        ", ".join(f"`{crystal.phase_id}`" for crystal in family.crystals),
    )


def _formula(formula: str | dict[str, str]) -> str:
    return formula if isinstance(formula, str) else " or ".join(formula.values())


def phases_part() -> str:
    """Return the phase library with what a reader must know of each phase."""
    rows = (
        (
            f"`{phase.id}`",
            phase.formula,
            phase.role,
            phase.space_group.symbol.replace("_", "\\_"),
            phase.caution.replace("_", "\\_"),
        )
        for phase in load_phases().values()
    )
    return table(("id", "formula", "role", "space group", "caution"), rows)


def literature_part() -> str:
    """Return the published values, family by family."""
    header = (
        "of", "column", "quantity", "value", "kind", "phases present", "source", "conditions",
    )  # fmt: skip
    return "\n\n".join(
        f"## {family.title}\n\n{table(header, map(_literature_row, family.literature))}"
        for family in list_families()
    )


def _literature_row(row: LiteratureRow) -> tuple[str, ...]:
    point = [row.former or "", *(f"{name} = {value:g}" for name, value in row.at.items())]
    return (
        row.compound or ", ".join(part for part in point if part) or "all",
        row.phase or "neither",
        f"`{row.quantity}`",
        _value(row),
        row.kind,
        row.phases_present,
        row.source,
        row.conditions,
    )


def _value(row: LiteratureRow) -> str:
    if row.value is not None:
        return f"{row.value:g}"
    if row.lower is not None and row.upper is not None:
        return f"{row.lower:g} to {row.upper:g}"
    return f"above {row.lower:g}" if row.lower is not None else f"up to {row.upper:g}"


def commands_part() -> str:
    """Return every command of the command line with its arguments and options."""
    from typer.main import get_command  # noqa: PLC0415  (only this part needs it)

    from haloflow.cli.main import app  # noqa: PLC0415  (only this page needs it)

    return "\n\n".join(_command(name, command) for name, command in _commands(get_command(app)))


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401  (click is untyped here)
    """Yield the commands of a group, and of the groups in it, by their full names."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _command(name: str, command: Any) -> str:  # noqa: ANN401  (click is untyped here)
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        is_option = parameter.param_type_name == "option"
        names = (
            [*parameter.opts, *parameter.secondary_opts] if is_option else [parameter.name.upper()]
        )
        default = parameter.default
        shown = "required" if parameter.required else _option_default(default)
        rows.append(
            (", ".join(f"`{n}`" for n in names), shown, getattr(parameter, "help", "") or "")
        )
    text = cleandoc(command.help or "")
    body = f"\n\n{table(('argument or option', 'default', 'meaning'), rows)}" if rows else ""
    return f"### `haloflow {name}`\n\n{text}{body}"


def _option_default(default: object) -> str:
    if default is None or callable(default) or default in ((), [], ""):
        return "none"
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"


PARTS: dict[str, Callable[[], str]] = {
    "sweep": sweep_part,
    "settings": settings_part,
    "fields": fields_part,
    "potentials": potentials_part,
    "families": families_part,
    "phases": phases_part,
    "literature": literature_part,
    "commands": commands_part,
}


def regenerated(page: str) -> str:
    """Return the text of a page with its generated parts made anew."""
    return _PART.sub(
        lambda found: f"{found['begin']}{PARTS[found['name']]()}\n{found['end']}", page
    )


def main(arguments: Sequence[str]) -> int:
    """Write the pages that differ, or with ``--check`` name them and return 1."""
    stale = []
    for path in sorted(DOCS.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        new = regenerated(page)
        if new != page:
            stale.append(path.name)
            if "--check" not in arguments:
                path.write_text(new, encoding="utf-8")
    sys.stdout.write(f"{', '.join(stale) or 'nothing'} to write\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
