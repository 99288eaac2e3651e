"""The REST API: one router per module, all under ``/api/v1``."""

from __future__ import annotations

from . import (
    campaign,
    candidates,
    compare,
    details,
    experiment,
    fields,
    figures,
    overview,
    provenance,
    stats,
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
    stats.router,
    compare.router,
]
