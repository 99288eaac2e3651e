"""The REST API: one router per module, all under ``/api/v1``."""

from __future__ import annotations

from . import (
    campaign,
    candidates,
    details,
    experiment,
    fields,
    figures,
    overview,
    provenance,
    structures,
    trajectories,
)

ROUTERS = [
    candidates.router,
    fields.router,
    campaign.router,
    experiment.router,
    structures.router,
    details.router,
    figures.router,
    overview.router,
    trajectories.router,
    provenance.router,
]
