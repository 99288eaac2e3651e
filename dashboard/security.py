"""What every request must pass and every answer carries: Host, method, size, token, headers."""

from __future__ import annotations

import hmac
import json
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
MAX_QUERY_BYTES: Final = 4000
MAX_PATH_BYTES: Final = 2000
COOKIE: Final = "haloflow-token"
"""With the port behind it: to a browser cookies of all ports of a host are one."""
_SOURCES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    # plotly and Tabulator write style attributes and a style sheet at run time
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "font-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
CONTENT_SECURITY_POLICY: Final = "; ".join(f"{kind} {known}" for kind, known in _SOURCES.items())
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityMiddleware:
    """Refuses what no page and no client of ours sends, before anything else sees it.

    Parameters
    ----------
    app
        What answers the requests that pass.
    allowed_hosts
        Names in the Host header under which the server answers, without ports. Anything else
        is a page of another site that had its own name point here (DNS rebinding).
    token
        What a client must know; ``None`` for no token.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str], token: str | None) -> None:
        self.app = app
        self.allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self.token = token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        head = scope["method"] == "HEAD"
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache")
            elif head:
                message = {**message, "body": b""}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal.send(send_on)
            return
        try:
            await self.app({**scope, "method": "GET"}, receive, send_on)
        except Exception:  # told to the client, and raised again
            if not started:
                remedy = "see what the terminal of haloflow serve says, and report that"
                fault = _error(500, "this is a fault of haloflow", remedy=remedy)
                await fault.send(send_on)
            raise

    def _refusal(self, scope: Scope) -> _Answer | None:
        headers = Headers(scope=scope)
        if host_name(headers.get("host", "")) not in self.allowed_hosts:
            return _error(
                400,
                "this server does not answer under this name",
                given=headers.get("host", "no Host header")[:100],
                remedy="use the address that haloflow serve printed",
            )
        if scope["method"] not in {"GET", "HEAD"}:
            problem = "this server only shows what is stored"
            answer = _error(405, problem, given=scope["method"][:20], allowed="GET, HEAD")
            answer.headers["Allow"] = "GET, HEAD"
            return answer
        for what, size, most in (
            ("query", len(scope["query_string"]), MAX_QUERY_BYTES),
            ("path", len(scope.get("raw_path") or b""), MAX_PATH_BYTES),
        ):
            if size > most:
                problem = f"the {what} of the address is too long"
                return _error(414, problem, given=f"{size} bytes", allowed=f"up to {most} bytes")
        return self._refusal_without_token(scope, headers) if self.token else None

    def _refusal_without_token(self, scope: Scope, headers: Headers) -> _Answer | None:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = [value for name, value in pairs if name == "token"]
        if any(self._is_token(value) for value in shown):
            rest = urlencode([(name, value) for name, value in pairs if name != "token"])
            return _signed_in(scope, rest, (self.token or b"").decode())
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(bearer.strip()):
            return None
        if self._is_token(_cookie(headers)):
            return None
        answer = _error(
            401,
            "this server asks for its token",
            given="another token" if shown or bearer else "no token",
            remedy="open the whole address that haloflow serve printed, or send the header "
            "Authorization: Bearer TOKEN",
        )
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    def _is_token(self, given: str) -> bool:
        known = self.token or b""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), known)


async def answer_busy(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Send a client away, whatever it asks for, and close the connection."""
    answer = _error(
        503,
        "the server is busy with other requests",
        remedy="ask again in some seconds",
    )
    answer.headers |= {"Retry-After": "5", "Connection": "close", **SECURITY_HEADERS}
    await answer.send(send)


def host_name(header: str) -> str:
    """Return the name in a Host header: lower case, without the port, IPv6 in brackets."""
    name, closing, port = header.strip().lower().rpartition("]")
    if closing:
        return f"{name}]" if port == "" or _is_port(port) else ""
    name, colon, port = header.strip().lower().partition(":")
    return name if not colon or _is_port(f":{port}") else ""


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit()


class _Answer:
    def __init__(self, status: int, body: bytes = b"") -> None:
        self.status = status
        self.body = body
        self.headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}

    async def send(self, send: Send) -> None:
        raw = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in self.headers.items()
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": self.body})


def _error(
    status: int,
    problem: str,
    *,
    given: str | None = None,
    allowed: str | None = None,
    remedy: str | None = None,
) -> _Answer:
    error = {"problem": problem, "given": given, "allowed": allowed, "remedy": remedy}
    answer = _Answer(status, json.dumps({"error": error}).encode())
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _signed_in(scope: Scope, query: str, token: str) -> _Answer:
    """Send the browser on to the same page without the token, which a cookie now holds."""
    answer = _Answer(303)
    # one slash at the front: two would be the address of another server
    path = "/" + (scope.get("raw_path") or b"/").decode("latin-1").lstrip("/\\")
    answer.headers["Location"] = f"{path}?{query}" if query else path
    answer.headers["Set-Cookie"] = (
        f"{_cookie_name(Headers(scope=scope))}={token}; Path=/; HttpOnly; SameSite=Strict"
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _cookie_name(headers: Headers) -> str:
    port = headers.get("host", "").rpartition(":")[2]
    return f"{COOKIE}-{port}" if _is_port(f":{port}") else COOKIE


def _cookie(headers: Headers) -> str:
    """Return the token that a browser was given here; empty where it was not."""
    name = _cookie_name(headers)
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:  # of another program on this host
        return ""
    return jar[name].value if name in jar else ""
