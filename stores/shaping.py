"""Projection, sorting, distinct values and groups, as MongoDB makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from .ordering import EMPTY_ARRAY_ORDER, MISSING, order, values_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Document = dict[str, Any]

Tree = dict[str, "Tree | None"]


def compile_projection(projection: dict[str, Any] | None) -> Callable[[Document], Document]:
    """Return the function that keeps the fields asked for (or drops those marked 0).

    Raises
    ------
    StoreError
        Fields to keep and to drop are mixed, a path contains another, or an operator is used.
    """
    if not projection:
        return lambda document: document
    flags = dict(_flattened(projection))
    with_id = flags.pop("_id", True)
    kept = {path for path, keep in flags.items() if keep}
    if kept and len(kept) < len(flags):
        raise StoreError(
            "a projection cannot both keep and drop fields",
            given=projection,
            allowed="only 1, or only 0, beside _id",
        )
    tree = _tree(flags)
    if kept or (not flags and with_id):
        tree["_id"] = None
        if with_id:
            return lambda document: _kept(document, tree)
        return lambda document: _without_id(_kept(document, tree))
    if not with_id:
        tree["_id"] = None
    return lambda document: dict(_dropped(document, tree))


def _flattened(projection: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, bool]]:
    for key, value in projection.items():
        if isinstance(value, dict) and value and not any(name.startswith("$") for name in value):
            yield from _flattened(value, f"{prefix}{key}.")
        elif isinstance(value, (bool, int, float)):
            yield prefix + key, bool(value)
        else:
            raise StoreError(
                "the embedded store cannot compute fields in a projection",
                given=f"{prefix}{key}: {value!r}",
                allowed="1 to keep a field, 0 to drop it",
            )


def _tree(paths: Iterable[str]) -> Tree:
    root: Tree = {}
    for path in paths:
        node, parts = root, path.split(".")
        for part in parts[:-1]:
            below = node.setdefault(part, {})
            if below is None:
                raise _collision(path)
            node = below
        if node.get(parts[-1]):
            raise _collision(path)
        node[parts[-1]] = None
    return root


def _collision(path: str) -> StoreError:
    return StoreError("a projection names a field and a part of it", given=path)


def _without_id(document: Document) -> Document:
    return {key: value for key, value in document.items() if key != "_id"}


def _kept(document: Document, tree: Tree) -> Document:
    result = {}
    for key, value in document.items():
        if key not in tree:
            continue
        below = tree[key]
        if below is None:
            result[key] = value
        elif isinstance(value, dict):
            result[key] = _kept(value, below)
        elif isinstance(value, list):
            result[key] = _kept_in_array(value, below)
    return result


def _kept_in_array(array: list[Any], tree: Tree) -> list[Any]:
    return [
        _kept(item, tree) if isinstance(item, dict) else _kept_in_array(item, tree)
        for item in array
        if isinstance(item, (dict, list))
    ]


def _dropped(value: Any, tree: Tree) -> Any:
    if isinstance(value, list):
        return [_dropped(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _dropped(item, below) if (below := tree.get(key)) else item
        for key, item in value.items()
        if key not in tree or tree[key] is not None
    }


def sort_documents(documents: list[Document], sort: Sequence[tuple[str, int]]) -> None:
    """Sort in place; arrays count with their least (ascending) or greatest element."""
    for path, direction in reversed(sort):
        parts = tuple(path.split("."))
        pick = min if direction > 0 else max
        keys = [pick(_sort_keys(document, parts)) for document in documents]
        places = sorted(range(len(keys)), key=keys.__getitem__, reverse=direction < 0)
        documents[:] = [documents[place] for place in places]


def _sort_keys(node: Any, parts: tuple[str, ...]) -> list[tuple[Any, ...]]:
    if type(node) is list:
        if not parts:
            return [order(item) for item in node] or [EMPTY_ARRAY_ORDER]
        if parts[0].isdecimal() and int(parts[0]) < len(node):
            item = node[int(parts[0])]
            return _sort_keys(item, parts[1:]) if parts[1:] or item == [] else [order(item)]
        below = (_sort_keys(item if type(item) is dict else None, parts) for item in node)
        return [key for keys in below for key in keys] or [order(None)]
    if not parts:
        return [order(node)]
    return _sort_keys(node.get(parts[0], MISSING) if type(node) is dict else MISSING, parts[1:])


def distinct_values(documents: Iterable[Document], path: str) -> list[Any]:
    """Return each different value at `path` once, arrays by their elements."""
    parts = tuple(path.split("."))
    found: dict[tuple[Any, ...], Any] = {}
    for document in documents:
        for value in values_at(document, parts, expand=False):
            for item in value if type(value) is list else (value,):
                if item is not MISSING:
                    found.setdefault(order(item), item)
    return list(found.values())


def group_documents(
    documents: Iterable[Document], keys: Sequence[str]
) -> list[tuple[list[tuple[str, Any]], list[Document]]]:
    """Group by the values at `keys`.

    A missing value is ``None`` where there is one key, and a value of its own among several,
    as MongoDB has it.

    Returns
    -------
    list
        Pairs of the group's (key, value) pairs, without the missing ones, and its documents.
    """
    groups: dict[tuple[Any, ...], tuple[list[tuple[str, Any]], list[Document]]] = {}
    for document in documents:
        values = [value_of(document, key) for key in keys]
        values = [None] if values == [MISSING] else values
        identity = tuple((value is MISSING, order(value)) for value in values)
        present = [(key, value) for key, value in zip(keys, values, strict=True)]
        label = [(key, value) for key, value in present if value is not MISSING]
        groups.setdefault(identity, (label, []))[1].append(document)
    return list(groups.values())


def value_of(document: Document, path: str) -> Any:
    """Return what the expression ``"$a.b"`` is of a document, or MISSING."""
    return _expression(document, path.split("."))


def _expression(node: Any, parts: Sequence[str]) -> Any:
    """Evaluate ``"$a.b"``: arrays on the way give the array of their elements' values."""
    for at, part in enumerate(parts):
        if type(node) is list:
            values = (_expression(item, parts[at:]) for item in node)
            return [value for value in values if value is not MISSING]
        if type(node) is not dict:
            return MISSING
        node = node.get(part, MISSING)
    return node
