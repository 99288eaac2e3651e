"""Tables and lines of a dataset, written so that equal contents give equal bytes."""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import tarfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..stores.fields import FIELDS, get_fields, rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..stores.documents import CandidateSummary


def write_tables(summaries: list[CandidateSummary], folder: Path) -> None:
    """Write ``summaries.csv``, ``summaries.jsonl``, and ``columns.csv`` with units and meanings."""
    variables = sorted({name for summary in summaries for name in summary.variables})
    kelvins = sorted({key for s in summaries for key in s.diffusivity_cm2_s}, key=_kelvin)
    parts = ("", "_sd", "_lower", "_upper", "_status")
    stages = sorted({stage for summary in summaries for stage in summary.levels})
    columns = [
        *FIELDS,
        *(f"var.{name}" for name in variables),
        *(f"level_{stage}" for stage in stages),
        *(f"d_{key}{part}" for key in kelvins for part in parts),
    ]
    with (folder / "summaries.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        for row in rows(summaries, columns):
            writer.writerow({name: _cell(value) for name, value in row.items()})
    with (folder / "columns.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("column", "unit", "meaning", "values"))
        for one in get_fields(columns):
            table.writerow((one.name, one.unit, one.description, " ".join(one.allowed)))
    write_lines(folder / "summaries.jsonl", (one.model_dump(mode="json") for one in summaries))


def _kelvin(key: str) -> float:
    return float(key.rstrip("K"))


def _cell(value: Any) -> Any:  # noqa: ANN401  (any JSON value)
    return " ".join(map(str, value)) if isinstance(value, list) else value


def write_lines(path: Path, documents: Iterable[dict[str, Any]]) -> None:
    """Write a JSON document per line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(map(line_of, documents))


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401  (any JSON value)
    """Write one JSON document, indented."""
    text = json.dumps(_plain(value), indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def line_of(document: dict[str, Any]) -> str:
    """Return a document as a line of JSON, keys sorted; what is not finite becomes null."""
    return json.dumps(_plain(document), sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:  # noqa: ANN401  (any value of a document)
    """Return JSON types; what is not finite becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def pack(folder: Path, packed: Path) -> None:
    """Write a folder to a tar file, or a ``.gz`` of one, without owners and times."""
    with ExitStack() as opened:
        raw: Any = opened.enter_context(packed.open("wb"))
        if packed.name.endswith("gz"):
            raw = opened.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
        archive = opened.enter_context(
            tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT)
        )
        for path in [folder, *sorted(folder.rglob("*"))]:
            name = Path(folder.name, path.relative_to(folder)).as_posix()
            archive.add(path, name, recursive=False, filter=_anonymous)
    with packed.open("rb") as file:
        os.fsync(file.fileno())


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who wrote a file and when."""
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry
