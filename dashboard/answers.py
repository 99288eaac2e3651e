"""Answers that a client already has are not sent again."""

from __future__ import annotations

from hashlib import blake2b
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class EntityTagMiddleware:
    """Tags answers of the API by what they say; 304 for a client that has this answer."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(self.prefix):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await _send_tagged(start, b"".join(parts), Headers(scope=scope), send)

        await self.app(scope, receive, collect)


async def _send_tagged(start: Message, body: bytes, asked: Headers, send: Send) -> None:
    if start["status"] == HTTPStatus.OK:
        tag = f'W/"{blake2b(body, digest_size=12).hexdigest()}"'
        headers = MutableHeaders(raw=start["headers"])
        headers["ETag"] = tag
        known = [one.strip() for one in asked.get("if-none-match", "").split(",")]
        if "*" in known or tag in known or tag.removeprefix("W/") in known:
            del headers["content-length"]
            start, body = {**start, "status": HTTPStatus.NOT_MODIFIED}, b""
        start = {**start, "headers": headers.raw}
    await send(start)
    await send({"type": "http.response.body", "body": body})
