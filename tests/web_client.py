"""A client that asks an application in this process, as a browser on this machine does."""

from __future__ import annotations

import asyncio

import httpx

BASE = "http://127.0.0.1"


class WebClient:
    """Answers of an ASGI application; errors inside it come out as they are."""

    def __init__(self, app, base_url=BASE, **headers):
        self.app = app
        self.base_url = base_url
        self.headers = headers

    def request(self, method, path, params=None, **headers):
        return asyncio.run(self._request(method, path, params, headers))

    async def _request(self, method, path, params, headers):
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url=self.base_url) as client:
            sent = {**self.headers, **headers}
            return await client.request(method, path, params=params, headers=sent)

    def get(self, path, params=None, **headers):
        return self.request("GET", path, params, **headers)

    def data(self, path, params=None):
        """Return the ``data`` of an answer that must be there."""
        answer = self.get(f"/api/v1{path}", params)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def error(self, path, params=None, status=400):
        """Return the ``error`` of an answer that must be one."""
        answer = self.get(f"/api/v1{path}", params)
        assert answer.status_code == status, answer.text
        return answer.json()["error"]
