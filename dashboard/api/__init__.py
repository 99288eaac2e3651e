"""The REST API: one router per module, all under ``/api/v1``."""

from __future__ import annotations

from . import fields

ROUTERS = [
    fields.router,
]
