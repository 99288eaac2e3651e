"""What a document may be: the same on both stores, and said before anything is written."""

from __future__ import annotations

from typing import Any

import bson

from ..errors import DocumentError

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
_SHARE = 0.5


def encode(document: dict[str, Any]) -> bytes:
    """Return the BSON of `document`.

    Raises
    ------
    DocumentError
        A value has no BSON form, or the document is larger than 16 MiB; the message
        names the field.
    """
    try:
        body = bson.encode(document)
    except (bson.errors.BSONError, OverflowError, UnicodeEncodeError) as error:
        field = _field_that_fails(document)
        raise DocumentError(
            f"the field {field} cannot be stored",
            given=str(error),
            allowed="numbers (whole ones in 64 bits), text, booleans, None, dates, ObjectId, "
            "bytes, lists, mappings",
        ) from error
    if len(body) > MAX_DOCUMENT_BYTES:
        field, size = _largest_field(document)
        raise DocumentError(
            f"a document of {_mib(len(body))} is too large; its field {field} takes {_mib(size)}",
            allowed=f"at most {_mib(MAX_DOCUMENT_BYTES)}",
            remedy="keep large arrays in files and store a FileReference",
        )
    return body


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB"


def _parts(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    return {str(at): item for at, item in enumerate(value)} if isinstance(value, list) else {}


def _size(value: object) -> int:
    return len(bson.encode({"": value}))


def _largest_field(document: dict[str, Any]) -> tuple[str, int]:
    """Follow the largest part downwards as long as it is most of what is above it."""
    path: list[str] = []
    value, size = document, len(bson.encode(document))
    while parts := _parts(value):
        sizes = {key: _size(item) for key, item in parts.items()}
        key = max(sizes, key=lambda name: sizes[name])
        if path and sizes[key] < _SHARE * size:
            break
        path.append(key)
        value, size = parts[key], sizes[key]
    return ".".join(path), size


def _field_that_fails(document: dict[str, Any]) -> str:
    path: list[str] = []
    value: Any = document
    while failing := [key for key, item in _parts(value).items() if not _encodes(item)]:
        path.append(failing[0])
        value = _parts(value)[failing[0]]
    return ".".join(path) or "names of the document"


def _encodes(value: object) -> bool:
    try:
        bson.encode({"": value})
    except (bson.errors.BSONError, OverflowError, UnicodeEncodeError):  # that is the answer
        return False
    return True
