"""``haloflow query``: rows of a store, filtered, sorted, as table, JSON or CSV."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ..client import Client
from ..dashboard.wording import NOTHING, hull_error_note, number
from ..errors import InputError
from ..stores.fields import DEFAULT_COLUMNS, FIELDS, get_fields, rows
from ..stores.mongodb import redacted
from ..stores.query import find_summaries
from .console import console, table
from .ranking import print_ranking
from .stores import bring_up_to_date, existing_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stores.documents import CandidateSummary


def show_query(
    store: str | None,
    where: Sequence[str],
    *,
    sort: str | None,
    columns: str | None,
    output: str,
    limit: int,
    url: str | None = None,
    token: str | None = None,
) -> None:
    """Print the summaries that fit; a table without columns and order is the ranking.

    They come from a store, or from the server at `url`.
    """
    names = _names(columns)
    get_fields(names)
    if url is not None:
        _refuse_both(store)
        with Client(url, token) as client:
            found = client.summaries(where, sort=_names(sort), limit=limit)
    else:
        with existing_store(store) as opened:
            bring_up_to_date(opened)
            found = find_summaries(opened.summaries, where, sort=_names(sort), limit=limit)
    if output == "json":
        _print_json(found, names)
    elif output == "csv":
        _print_csv(found, names or list(DEFAULT_COLUMNS))
    elif not found:
        console().print("No candidate fits.")
    elif names or sort:
        _print_table(found, names or list(DEFAULT_COLUMNS))
        _print_hull_errors(found, names or list(DEFAULT_COLUMNS))
    else:
        print_ranking(console(), found)


def _refuse_both(store: str | None) -> None:
    if store is not None:
        raise InputError(
            "the rows can come from a store or from a server, not from both",
            given=f"--store {redacted(store)} and --url",
            remedy="leave one of them out",
        )


def _names(comma_separated: str | None) -> list[str]:
    return [name.strip() for name in (comma_separated or "").split(",") if name.strip()]


def _print_json(found: Sequence[CandidateSummary], names: list[str]) -> None:
    data = rows(found, names) if names else [summary.model_dump(mode="json") for summary in found]
    sys.stdout.write(json.dumps(data, indent=2, default=str, ensure_ascii=False) + "\n")


def _print_csv(found: Sequence[CandidateSummary], names: list[str]) -> None:
    writer = csv.DictWriter(sys.stdout, fieldnames=names)
    writer.writeheader()
    for row in rows(found, names):
        writer.writerow({name: _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:  # noqa: ANN401  (any JSON value)
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _print_table(found: Sequence[CandidateSummary], names: list[str]) -> None:
    made = table()
    for field in get_fields(names):
        numeric = field.type == "number"
        made.add_column(field.header, justify="right" if numeric else "left", overflow="fold")
    for row in rows(found, names):
        made.add_row(*(_cell(value) for value in row.values()))
    console().print(made)


def _print_hull_errors(found: Sequence[CandidateSummary], names: list[str]) -> None:
    """Say how far E_hull can be trusted, where it is a column."""
    if not any(name.startswith("e_hull") for name in names):
        return
    levels = {summary.levels["hull"] for summary in found if "hull" in summary.levels}
    for level in sorted(levels):
        console().print(Text(f"- {hull_error_note(level)}", style="dim"))


def _cell(value: Any) -> Text:  # noqa: ANN401  (any JSON value)
    if value is None:
        return Text(NOTHING)
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, float):
        return Text(number(value))
    return Text(str(_plain(value)))


def show_fields() -> None:
    """Print every field that can be filtered, sorted and shown."""
    made = table("field", "unit", "meaning", "values")
    for field in FIELDS.values():
        values = ", ".join(field.allowed) or {"flag": "true, false"}.get(field.type, field.type)
        made.add_row(Text(field.name, style="bold"), field.unit, field.description, values)
    made.add_row(Text("var.x", style="bold"), "", "sweep variable x; so any other", "number")
    made.add_row(
        Text("d_600K", style="bold"),
        "cm2/s",
        "Na tracer diffusivity at 600 K; also _sd, _lower, _upper, _status",
        "number",
    )
    console().print(made)
