"""What the client of the REST API sends, and what it makes of the answers."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

import httpx

from .errors import HaloflowError, InputError, NotFoundError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

API: Final = "/api/v1"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_NOT_FOUND: Final = 404
_SERVER_TROUBLE: Final = 500


class Connection:
    """A server and how to ask it; the parameters are those of the client.

    Raises
    ------
    InputError
        The address is none.
    """

    def __init__(self, url: str, token: str | None, timeout_s: float) -> None:
        parts = _split(url)
        if parts is None:
            raise InputError(
                "this is not the address of a server",
                given=url.partition("?")[0].partition("#")[0],
                allowed="http://host:port or https://host:port",
                remedy="take the address that `haloflow serve` prints",
            )
        known = parse_qs(parts.query) | parse_qs(parts.fragment)
        token = token or next(iter(known.get("token", [])), None)
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._http = httpx.Client(
            base_url=self.url + API,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout_s,
            trust_env=parts.hostname not in _LOOPBACK,
        )

    def close(self) -> None:
        """Close it."""
        self._http.close()

    def get(self, path: str, asked: dict[str, Any]) -> Any:  # noqa: ANN401  (any JSON)
        """Return the answer of a path below the API, as JSON.

        Raises
        ------
        HaloflowError
            With the server's own words, or because it does not answer.
        """
        try:
            answer = self._http.get(path, params=asked)
        except httpx.HTTPError as error:
            late = isinstance(error, httpx.TimeoutException)
            raise StoreError(
                "the server did not answer in time" if late else "the server does not answer",
                given=f"{self.url} ({type(error).__name__})",
                remedy="ask for less, or give more time with timeout_s"
                if late
                else "check the address, and that `haloflow serve` runs there",
            ) from error
        try:
            body = answer.json()
        except json.JSONDecodeError:
            body = None
        if answer.is_success and isinstance(body, dict):
            return body
        raise _error_of(answer.status_code, body, self.url)


def _split(url: str) -> SplitResult | None:
    """Return the parts of the address of a server; ``None`` where it is none."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
    except ValueError:  # no address
        return None
    return parts if known else None


_MOST_READINGS: Final = 3


class Pages:
    """All rows of a search, page by page and each once, and what the server says of them."""

    def __init__(
        self, connection: Connection, asked: dict[str, Any], limit: int | None, per_page: int
    ) -> None:
        self._connection = connection
        self._asked = asked
        self._limit = limit
        self._per_page = per_page
        self.fields: list[dict[str, Any]] = []
        self.total = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        for _ in range(_MOST_READINGS):  # rows that moved to a page read before are missing
            for row in self._once(len(seen)):
                name = row.get("id") or row["candidate_id"]
                if name not in seen and len(seen) < self._most:
                    seen.add(name)
                    yield row
            if len(seen) >= self._most:
                return

    @property
    def _most(self) -> int:
        return self.total if self._limit is None else min(self._limit, self.total)

    def _once(self, known: int) -> Iterator[dict[str, Any]]:
        """Yield the rows of all pages, some of which are `known` from an earlier reading."""
        done, after = 0, None
        while True:
            left = self._per_page if self._limit is None or known else self._limit - done
            size = max(min(left, self._per_page), 1)  # of none at all the fields are asked for
            place = {"_after": after} if after else {"_skip": str(done)}
            page = {"_limit": str(size), **place}
            body = self._connection.get("/candidates", self._asked | page)
            self.fields, self.total = body["meta"]["fields"], body["meta"]["total_doc"]
            yield from body["data"]
            done, after = done + len(body["data"]), body["meta"].get("next")
            if not body["data"] or done >= (self.total if known else self._most):
                return


def _error_of(status: int, body: object, url: str) -> HaloflowError:
    """Return the server's error as it was raised there, as near as the status tells."""
    said = body.get("error") if isinstance(body, dict) else None
    if not isinstance(said, dict) or "problem" not in said:
        return StoreError(
            "what answers here is no haloflow server",
            given=f"{url}, status {status}",
            remedy="check the address; take the one that `haloflow serve` prints",
        )
    kind: type[HaloflowError] = InputError
    if status == _NOT_FOUND:
        kind = NotFoundError
    elif status >= _SERVER_TROUBLE:
        kind = StoreError
    parts = {name: said.get(name) for name in ("given", "allowed", "remedy")}
    return kind(str(said["problem"]), **parts)


def parameters_of(filters: dict[str, object]) -> dict[str, Any]:
    """Return filters as query parameters: lists joined by commas, flags in lower case.

    An item of a list with a comma in it gets double quotes; a text is sent as it is.

    A list of ``variable`` stays one: each of its conditions must hold.
    """
    return {
        name: list(map(_word, value))
        if name == "variable" and isinstance(value, list | tuple)
        else _word(value)
        for name, value in filters.items()
        if value is not None
    }


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | set | frozenset):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(map(_word, value))
        return line.getvalue()
    return str(value)


def joined(names: str | Sequence[str] | None) -> str:
    """Return names as one parameter; empty for none."""
    return names if isinstance(names, str) else ",".join(names or ())


def checked_limit(limit: int | None) -> int | None:
    """Return the most rows that are wanted, ``None`` for all.

    Raises
    ------
    InputError
        It is no whole number from 0 up.
    """
    if limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0):
        return limit
    raise InputError("a limit cannot be so", given=limit, allowed="a whole number from 0 up")


def named(**parameters: object) -> dict[str, str]:
    """Return the parameters that are not empty."""
    return {name: str(value) for name, value in parameters.items() if value != ""}


def escaped(name: str) -> str:
    """Return a name as one part of a path."""
    return quote(name, safe="")
