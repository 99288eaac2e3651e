"""The REST API: one router per module, all under ``/api/v1``."""

from __future__ import annotations

from . import details, fields, figures, provenance, structures, trajectories

ROUTERS = [
    fields.router,
    structures.router,
    details.router,
    figures.router,
    trajectories.router,
    provenance.router,
]
