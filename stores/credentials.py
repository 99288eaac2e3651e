"""Passwords of servers, which stand in no job: a worker finds its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import StoreError
from ..settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_URI = re.compile(
    r"(?P<scheme>mongodb(?:\+srv)?://)(?P<user>[^:@/]*)(?P<password>:[^@/]*)?@(?P<servers>[^/?]*)"
    r"(?P<path>/?[^?]*)(?P<options>.*)",
    re.DOTALL,
)
_SECRET_OPTION = re.compile(
    r"(?<=[?&])(?:tlsCertificateKeyFilePassword|authMechanismProperties|proxyPassword)=[^&]*&?",
    re.IGNORECASE,
)
_NEEDS_NONE = re.compile(r"[?&]authMechanism=(?!SCRAM|PLAIN)", re.IGNORECASE)
_known: dict[tuple[str, str], re.Match[str]] = {}
"""URIs with secrets that this process was given, by user and servers."""


def without_password(uri: str) -> str:
    """Return `uri` as it may stand in a document: with its user, without anything secret."""
    match = _URI.fullmatch(uri)
    shown = uri if match is None else _joined(match, match)
    return without_secret_options(shown)


def without_secret_options(uri: str) -> str:
    """Return `uri` without the options that hold something secret."""
    return _SECRET_OPTION.sub("", uri).rstrip("?&")


def has_password(uri: str) -> bool:
    """Tell whether `uri` holds something secret."""
    return without_password(uri) != uri.rstrip("?&")


def remember(uri: str) -> None:
    """Keep what is secret in `uri`, for stores of the same user that come without it."""
    match = _URI.fullmatch(uri)
    if match is not None and has_password(uri):
        _known[_login(match)] = match


def with_password(uri: str) -> str:
    """Return `uri` with the secrets that it was stored without.

    They are those that this process was given, or of ``HALOFLOW_STORE`` or of the file named in
    ``HALOFLOW_STORE_FILE``, for the same user of the same servers.

    Raises
    ------
    StoreError
        The URI names a user, and this machine knows no password of theirs.
    """
    match = _URI.fullmatch(uri)
    if match is None or match["password"] or not match["user"]:
        return uri
    for given in _settings_uris():
        remember(given)
    if (known := _known.get(_login(match))) is not None:
        return _joined(match, known, known["password"] or "")
    if _NEEDS_NONE.search(uri):
        return uri
    raise StoreError(
        "this machine does not know the password of the store",
        given=without_password(uri),
        remedy="write the store's URI with its password into a file for you alone (chmod 600), "
        "and name that in HALOFLOW_STORE_FILE where jobs run, as `haloflow setup` does",
    )


def _joined(place: re.Match[str], access: re.Match[str], password: str = "") -> str:
    user = f"{place['scheme']}{place['user']}{password}@"
    return f"{user}{place['servers']}{place['path']}{access['options']}"


def _login(match: re.Match[str]) -> tuple[str, str]:
    return match["user"], ",".join(sorted(match["servers"].casefold().split(",")))


def _settings_uris() -> Iterator[str]:
    settings = get_settings()
    yield settings.store
    if settings.store_file is not None:
        yield settings.uri_in_file()
