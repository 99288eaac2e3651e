"""A table beside the documents of a collection with the values that pages sort and filter by.

A row per document, a column per field. Its values compare in SQLite as the values themselves
do in MongoDB, which holds for numbers, short text, booleans, dates, ids and lists of short
text; a document with anything else in such a field is marked irregular, and looked at in
Python.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bson import ObjectId

from .ordering import MISSING, order

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    Value = int | float | str | bytes | None

SEPARATOR = "\x1f"
DATE, BOOLEAN = 45, 40
_LONGEST = 400
_MOST_COLUMNS = 400
_IDENTIFIER = re.compile(r"[a-z_]+")
_TIME_OFFSET = 2**63
_IN_A_LIST = ""
IRREGULAR = object()
"""Stands for a value that has no place in a column."""


@dataclass(frozen=True, slots=True)
class Column:
    """A field of documents in the table.

    Attributes
    ----------
    sql
        Expression of its value; of a list, of its elements between separators.
    is_list
        Whether documents hold a list of texts there.
    """

    path: str
    sql: str
    is_list: bool = False

    def sorted_by(self, *, down: bool) -> str:
        """Return the expression to sort by: of a list its least or greatest element."""
        if not self.is_list:
            return self.sql
        if down:
            return f"{self.sql}_last"
        first = f"substr({self.sql}, 2, max(instr(substr({self.sql}, 2), char(31)), 1) - 1)"
        return f"nullif({first}, '')"


@dataclass(frozen=True)
class Columns:
    """The columns of a collection.

    Attributes
    ----------
    table
        Name of the table.
    by_path
        The columns there are.
    patterns
        Paths with ``*`` for any name, of which a column is made when a document first has it.
    groups
        Of paths, and patterns that end with ``*``, between commas: the column of a number
        that is the same for documents with the same values there.
    covers
        Of columns and groups, the same texts and with `SEPARATOR` between them: an index that
        holds them all, so that what asks for no others reads little.
    """

    table: str
    by_path: dict[str, Column]
    patterns: list[tuple[str, ...]] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    covers: set[str] = field(default_factory=set)

    def get(self, path: str) -> Column | None:
        """Return the column of `path`; one of nothing where no document can have the field."""
        if found := self.by_path.get(path):
            return found
        is_full = len(self.by_path) >= _MOST_COLUMNS
        known = not is_full and any(_fits(path.split("."), pattern) for pattern in self.patterns)
        return Column(path, "NULL") if known else None

    def has(self, paths: Iterable[str]) -> bool:
        """Tell whether all these paths and patterns are known."""
        patterns = {".".join(pattern) for pattern in self.patterns}
        known = self.by_path.keys() | patterns | self.groups.keys() | self.covers
        return all(path in known for path in paths)

    def is_in_order(self, path: str) -> bool:
        """Tell whether an index is in the order of the values at `path`."""
        column = self.by_path.get(path)
        return (
            column is not None
            and not column.is_list
            and any(cover.partition(SEPARATOR)[0] == path for cover in self.covers)
        )

    def within(self, group: str) -> list[Column]:
        """Return the columns of a group, of its patterns as many as there are."""
        names = frozenset(group.split(","))
        starts = tuple(name.removesuffix("*") for name in names if name.endswith(".*"))
        return [
            column
            for path, column in self.by_path.items()
            if path in names or path.startswith(starts)
        ]

    # -- writing -----------------------------------------------------------------------

    def write(
        self, connection: sqlite3.Connection, collection: str, seq: int, document: dict[str, Any]
    ) -> None:
        """Write the row of a document."""
        names: list[str] = ["seq", "irregular"]
        values: list[Value] = [seq, 0]
        irregular = self._add_new(connection, collection, document)
        known: dict[str, Value] = {}
        for column in self.by_path.values():
            value = _at(document, column.path.split("."))
            found = list_value(value) if column.is_list else column_value(value)
            if found is IRREGULAR:
                irregular = True
            elif found is not None:
                known[column.path] = found
                names.append(column.sql)
                values.append(found)
                if column.is_list:
                    names.append(f"{column.sql}_last")
                    values.append(max(value, default=None))
        for group, name in self.groups.items():
            names.append(name)
            paths = [column.path for column in self.within(group)]
            values.append(_digest([(path, known[path]) for path in paths if path in known]))
        values[1] = int(irregular)
        marks = ", ".join("?" * len(values))
        connection.execute(
            f"INSERT OR REPLACE INTO {self.table} ({', '.join(names)}) VALUES ({marks})",  # noqa: S608  (no user text)
            values,
        )

    def _add_new(
        self, connection: sqlite3.Connection, collection: str, document: dict[str, Any]
    ) -> bool:
        """Add columns that the document is the first to have; tell whether it is irregular."""
        paths = {path for pattern in self.patterns for path in _expanded(document, pattern)}
        for path in sorted(paths - self.by_path.keys() - {_IN_A_LIST}):
            if len(self.by_path) < _MOST_COLUMNS:
                self.by_path[path] = _add_column(connection, self, collection, path, "scalar")
        return _IN_A_LIST in paths


def load(connection: sqlite3.Connection, collection: str) -> Columns | None:
    """Return the columns of a collection, ``None`` where it has none."""
    rows = connection.execute(
        "SELECT path, kind, name FROM columns WHERE collection = ?", (collection,)
    )
    found = Columns(f"rows_of_{collection}", {})
    for path, kind, name in rows:
        if kind == "pattern":
            found.patterns.append(tuple(path.split(".")))
        elif kind == "group":
            found.groups[path] = name
        elif kind == "cover":
            found.covers.add(path)
        else:
            found.by_path[path] = Column(path, name, is_list=kind == "list")
    return found if found.by_path or found.patterns else None


def create(connection: sqlite3.Connection, collection: str, wanted: Mapping[str, str]) -> Columns:
    """Add the columns that are missing.

    Parameters
    ----------
    connection
        Inside a transaction.
    collection
        Name of the collection.
    wanted
        Path to ``scalar``, ``list`` or ``pattern``; paths between commas to ``group``; last,
        any of these between `SEPARATOR` to ``cover``.
    """
    assert _IDENTIFIER.fullmatch(collection), collection
    columns = load(connection, collection) or Columns(f"rows_of_{collection}", {})
    new = {path: kind for path, kind in wanted.items() if not columns.has([path])}
    if not columns.by_path and not columns.patterns:
        table = columns.table
        connection.execute(f"CREATE TABLE {table} (seq INTEGER PRIMARY KEY, irregular INTEGER)")
        connection.execute(f"CREATE INDEX irregular_{table} ON {table} (seq) WHERE irregular = 1")
    for path, kind in new.items():
        if kind == "cover":
            _add_cover(connection, collection, path)
        else:
            _add_column(connection, columns, collection, path, kind)
    return load(connection, collection) or columns


def _add_column(
    connection: sqlite3.Connection, columns: Columns, collection: str, path: str, kind: str
) -> Column:
    count = "SELECT count(*) FROM columns WHERE collection = ?"
    name = f"c{connection.execute(count, (collection,)).fetchone()[0]}"
    _remember(connection, collection, path, kind, name)
    if kind != "pattern":
        connection.execute(f"ALTER TABLE {columns.table} ADD COLUMN {name}")
    if kind == "list":
        connection.execute(f"ALTER TABLE {columns.table} ADD COLUMN {name}_last")
    return Column(path, name, is_list=kind == "list")


def _add_cover(connection: sqlite3.Connection, collection: str, paths: str) -> None:
    columns = load(connection, collection)
    assert columns is not None
    known = {path: column.sql for path, column in columns.by_path.items()} | columns.groups
    within = ", ".join(known[path] for path in paths.split(SEPARATOR))
    name = f"cover{len(columns.covers)}_of_{columns.table}"
    connection.execute(f"CREATE INDEX {name} ON {columns.table} ({within}, irregular)")
    _remember(connection, collection, paths, "cover", name)


def _remember(
    connection: sqlite3.Connection, collection: str, path: str, kind: str, name: str
) -> None:
    row = (collection, path, kind, name)
    connection.execute("INSERT INTO columns VALUES (?, ?, ?, ?)", row)


def column_value(value: Any) -> Any:
    """Return what stands for `value` in a column: ordered as MongoDB orders."""
    kind = type(value)
    if value is None or value is MISSING:
        return None
    if kind is float:
        return value if value == value else IRREGULAR  # noqa: PLR0124  (NaN)
    if kind is str:
        return value if len(value) <= _LONGEST and "\0" not in value else IRREGULAR
    if kind is bool:
        return bytes((BOOLEAN, value))
    if isinstance(value, int):
        return int(value)  # BSON has none of more than 64 bits
    if kind is dt.datetime:
        return bytes((DATE,)) + (order(value)[1] + _TIME_OFFSET).to_bytes(9, "big")
    return bytes((35,)) + value.binary if kind is ObjectId else IRREGULAR


def list_value(value: Any) -> Any:
    """Return what stands for a list of short texts."""
    if value is None or value is MISSING:
        return None
    if type(value) is not list or not all(is_element(item) for item in value):
        return IRREGULAR
    return SEPARATOR + "".join(item + SEPARATOR for item in sorted(value))


def is_element(item: Any) -> bool:
    """Tell whether `item` may stand in a list of a column."""
    regular = isinstance(item, str) and column_value(item) is not IRREGULAR
    return regular and item != "" and SEPARATOR not in item


def order_of(stored: Any) -> tuple[Any, ...] | None:
    """Return the order of the value that `stored` stands for, ``None`` for none."""
    if stored is None:
        return None
    if not isinstance(stored, bytes):
        return order(stored)
    rank, rest = stored[0], stored[1:]
    if rank == DATE:
        return rank, int.from_bytes(rest, "big") - _TIME_OFFSET
    return (rank, bool(rest[0])) if rank == BOOLEAN else (rank, rest)


def _digest(values: list[tuple[str, Value]]) -> int:
    """Return a number of 64 bits, the same for different values once in 10^19 pairs."""
    text = repr(sorted(values)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)


def _at(document: Any, parts: Iterable[str]) -> Any:
    node = document
    for part in parts:
        if type(node) is list:
            return IRREGULAR
        if type(node) is not dict:
            return MISSING
        node = node.get(part, MISSING)
    return node


def _fits(parts: list[str], pattern: tuple[str, ...]) -> bool:
    return len(parts) == len(pattern) and all(
        wanted in {"*", part} for part, wanted in zip(parts, pattern, strict=True)
    )


def _expanded(node: Any, pattern: tuple[str, ...], prefix: str = "") -> Iterator[str]:
    if not pattern:
        yield prefix[:-1]
        return
    if type(node) is list:
        yield _IN_A_LIST
    if type(node) is not dict:
        return
    for name in node if pattern[0] == "*" else [pattern[0]]:
        if name in node and "." not in name:
            yield from _expanded(node[name], pattern[1:], f"{prefix}{name}.")
