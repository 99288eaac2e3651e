"""The REST API: one router per module, all under ``/api/v1``."""

from __future__ import annotations

from . import details, fields, figures, structures

ROUTERS = [
    fields.router,
    structures.router,
    details.router,
    figures.router,
]
